/**
 * A worker of the engine that may die at any moment: claims, does each tool call against a counting
 * server under the step's key, reports. Arguments: database URL, address of the server, lease in ms.
 */

import postgres from "postgres";

interface Task {
  run_id: string;
  seq: number;
  epoch: number;
  key: string;
}
interface Reply {
  tasks: Task[];
}

const [url = "", target = "", lease = "3000"] = Deno.args;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const sql = postgres(url, { max: 4, onnotice: () => {}, connect_timeout: 2, idle_timeout: 5 });

// a connection that breaks between statements rejects where nobody waits; the next statement reconnects
globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());

/** A statement that is sent again until it is answered: the database may be gone for a while. */
async function call(statement: () => Promise<postgres.RowList<postgres.Row[]>>): Promise<Reply> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      return (await statement())[0]!.reply as Reply;
    } catch {
      await pause(250);
    }
  }
  throw new Error("the database did not come back");
}

async function drive(first: Task): Promise<void> {
  const open = [first];
  for (let task = open.shift(); task !== undefined; task = open.shift()) {
    const { run_id, epoch, seq, key } = task;
    const response = await fetch(target, { method: "POST", headers: { "idempotency-key": key } });
    const outcome = { output: await response.json(), arguments: { key } };
    const reply = await call(() =>
      sql`select public.mira_advance(${run_id}, ${epoch}, ${seq}, ${
        sql.json(outcome)
      }, ${lease}) as reply`
    );
    open.push(...reply.tasks);
  }
}

for (;;) {
  const { tasks } = await call(() => sql`select public.mira_claim_tasks(8, ${lease}) as reply`);
  if (tasks.length === 0) await pause(250);
  await Promise.all(tasks.map(drive));
}
