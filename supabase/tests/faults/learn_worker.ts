/**
 * A learner in a process of its own: `learn_worker.ts <db url>`. Learns whoever has something new
 * until it is killed; prints "ready" once it has begun.
 */

import { learnUsers } from "../../../functions-shared/learning/learn_users.ts";
import { sqlAdmin } from "../support/sql_admin.ts";

const { admin } = sqlAdmin(Deno.args[0]!, 1);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

// a connection that breaks between statements rejects where nobody waits; the next statement reconnects
globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());

console.log("ready");
for (;;) {
  const users = await learnUsers(admin, { max_users: 50, budget_ms: 30_000 })
    .then((result) => result.users, () => 0);
  if (users === 0) await pause(20);
}
