/**
 * Ingestion through HTTP: track-event beside the function most people write first, which inserts
 * each event of a batch with a call of its own.
 */

import { startStack, type TestUser } from "../../supabase/tests/support/stack.ts";
import { naiveFunction, type NaiveTable, post } from "./naive_function.ts";
import { median } from "./quantile.ts";
import type { Bench } from "./types.ts";

const BATCH = 100;
const CLIENTS = 2;
const ROUNDS = 5;
/** Enough people that no one meets their rate limit. */
const USERS = 24;

/** `ingest.vs_naive` (ratio) and `ingest.events_per_s` (absolute, on the given database). */
export const bench: Bench = async ({ dbUrl, log }) => {
  if (dbUrl !== undefined) Deno.env.set("MIRA_TEST_DB_URL", dbUrl);
  const stack = await startStack();
  const naive = await naiveFunction(stack, NAIVE);
  try {
    const users = await Promise.all(Array.from({ length: USERS }, () => stack.newUser()));
    const ours = (user: TestUser, events: unknown[]) =>
      post(stack, `${stack.url}/functions/v1/track-event`, user, { events });
    const theirs = (user: TestUser, events: unknown[]) => post(stack, naive.url, user, { events });
    await measure(users, ours, 10);
    await measure(users, theirs, 2);
    const ourRates: number[] = [];
    const theirRates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ourRates.push(await measure(users, ours, 60));
      theirRates.push(await measure(users, theirs, 4));
      log(
        `round ${round + 1}: ${Math.round(ourRates.at(-1)!)} against ${
          Math.round(theirRates.at(-1)!)
        } events/s`,
      );
    }
    const [our, their] = [median(ourRates), median(theirRates)];
    const baseline = "one insert per event";
    return [
      {
        metric: "ingest.vs_naive",
        ours: our,
        baseline,
        baseline_value: their,
        ratio: our / their,
        unit: "events/s",
        goal: "ratio >= 8",
        pass: our / their >= 8,
      },
      {
        metric: "ingest.events_per_s",
        ours: our,
        baseline: dbUrl === undefined ? "goal for native PostgreSQL" : "goal",
        baseline_value: 5000,
        ratio: our / 5000,
        unit: "events/s",
        goal: "ours >= 5000 on native PostgreSQL",
        pass: our >= 5000,
      },
    ];
  } finally {
    naive.close();
    await stack.close();
  }
};

type Send = (user: TestUser, events: unknown[]) => Promise<void>;

/** Events per second over `batches` batches sent by the clients side by side. */
async function measure(users: TestUser[], send: Send, batches: number): Promise<number> {
  let left = batches;
  const started = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (left-- > 0) {
      await send(users[left % users.length]!, batch());
    }
  }));
  return batches * BATCH / ((performance.now() - started) / 1000);
}

function batch(): unknown[] {
  const session = crypto.randomUUID();
  return Array.from({ length: BATCH }, (_, i) => ({
    event_id: crypto.randomUUID(),
    session_id: session,
    event_type: "click",
    module: "leads",
    page: "/leads",
    target: `button#b${i % 7}`,
    payload: { x: i, y: 2 * i, label: "Save" },
    occurred_at: new Date().toISOString(),
  }));
}

const NAIVE: NaiveTable = {
  make: [
    `create table public.naive_events (id uuid primary key default gen_random_uuid(),
      session_id uuid not null, user_id uuid references auth.users (id), event_type text not null,
      module text not null, page text not null, payload jsonb default '{}', created_at timestamptz default now())`,
    "create index on public.naive_events (session_id)",
    "create index on public.naive_events (user_id)",
    "create index on public.naive_events (created_at)",
  ],
  name: "naive_events",
  list: "events",
  rowOf: ({ session_id, event_type, module, page, payload }) => ({
    session_id,
    event_type,
    module,
    page,
    payload,
  }),
};
