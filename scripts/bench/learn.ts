/**
 * Learning: events a second in the core, and a call after a few new events beside recomputing
 * everything the user ever did.
 */

import { digestSessions } from "../../functions-shared/behaviour/digest.ts";
import { learn } from "../../functions-shared/behaviour/learn.ts";
import { trainNext } from "../../functions-shared/behaviour/predict_next.ts";
import { seededRandom } from "../../functions-shared/behaviour/statistics.ts";
import type { BehaviourEvent } from "../../functions-shared/behaviour/types.ts";
import { startStack, type TestStack, type TestUser } from "../../supabase/tests/support/stack.ts";
import { median } from "./quantile.ts";
import type { Bench } from "./types.ts";

const OLD = [1_000, 10_000, 100_000];
const PER_SESSION = 20;
const ROUNDS = 7;

/** `learn.events_per_s`, `learn.incremental_vs_recompute`, `learn.nothing_new_ms`, `learn.next_ms`. */
export const bench: Bench = async ({ dbUrl, log }) => {
  const rate = core();
  log(`core: ${Math.round(rate).toLocaleString("en")} events/s`);

  if (dbUrl !== undefined) Deno.env.set("MIRA_TEST_DB_URL", dbUrl);
  const stack = await startStack();
  try {
    let incremental = 0, nothing = 0, recompute = 0, next = 0, training = 0;
    for (const events of OLD) {
      const user = await stack.newUser();
      await history(stack, user, events);
      recompute = await timed(() => callUntilDone(stack, user));
      const calls: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await history(stack, user, PER_SESSION, events + round * PER_SESSION);
        calls.push(await timed(() => callUntilDone(stack, user)));
      }
      incremental = median(calls);
      const idle: number[] = [];
      for (let round = 0; round < ROUNDS; round++) idle.push(await timed(() => call(stack, user)));
      nothing = median(idle);
      [next, training] = await predicting(stack, user);
      log(
        `${events.toLocaleString("en")} old events: ${incremental.toFixed(0)} ms a call, ` +
          `${recompute.toFixed(0)} ms afresh, ${nothing.toFixed(1)} ms with nothing new, ` +
          `${next.toFixed(1)} ms a prediction`,
      );
    }
    return [
      {
        metric: "learn.events_per_s",
        ours: rate,
        baseline: "goal",
        baseline_value: 50_000,
        ratio: rate / 50_000,
        unit: "events/s",
        goal: "ours >= 50,000 on one core",
        pass: rate >= 50_000,
      },
      {
        metric: "learn.incremental_vs_recompute",
        ours: incremental,
        baseline: "recompute from 100,000 old events",
        baseline_value: recompute,
        ratio: recompute / incremental,
        unit: "ms",
        goal: "ratio >= 20",
        pass: recompute / incremental >= 20,
      },
      {
        metric: "learn.nothing_new_ms",
        ours: nothing,
        baseline: "a call with one new session",
        baseline_value: incremental,
        ratio: incremental / nothing,
        unit: "ms",
        goal: "ours <= 50",
        pass: nothing <= 50,
      },
      {
        metric: "learn.next_ms",
        ours: next,
        baseline: "training on the person's sessions per request",
        baseline_value: training,
        ratio: training / next,
        unit: "ms",
        goal: "ratio > 1",
        pass: training > next,
      },
    ];
  } finally {
    await stack.close();
  }
};

/** Events a second through digests and all three learners: 200 sessions with a habit in some. */
function core(): number {
  const random = seededRandom(1);
  const events: BehaviourEvent[] = [];
  for (let s = 0; s < 200; s++) {
    const session = `s${s}`;
    const habit = s % 6 === 0 ? ["open", "call", "note", "save"] : [];
    for (let i = 0; i < PER_SESSION; i++) {
      events.push({
        event_id: `${session}-${i}`,
        session_id: session,
        event_type: i === 7 ? "input" : "click",
        module: "crm",
        page: `/leads/${i % 3}`,
        target: habit[i - 4] ?? `t${Math.floor(30 * random() ** 2)}`,
        payload: i === 7 ? { control: "view", choice: s % 5 ? "table" : "cards" } : {},
        at: s * 43_200_000 + i * 4_000,
      });
    }
  }
  const rates: number[] = [];
  for (let round = 0; round < 12; round++) {
    const took = timedSync(() => learn(digestSessions(events)));
    if (round >= 2) rates.push(events.length / (took / 1000));
  }
  return median(rates);
}

/** A prediction for a live session through the door, and what training for it would take alone. */
async function predicting(
  stack: TestStack,
  user: TestUser,
): Promise<[next: number, train: number]> {
  const session_id = crypto.randomUUID();
  const events = ["t0", "t3", "t1"].map((target) => ({
    event_id: crypto.randomUUID(),
    session_id,
    event_type: "click",
    module: "crm",
    page: "/leads",
    target,
  }));
  await (await stack.fetch("/functions/v1/track-event", { as: user, json: { events } })).json();
  const ask = async () => {
    const response = await stack.fetch("/functions/v1/learn-patterns/next", {
      as: user,
      json: { session_id },
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    await response.body?.cancel();
  };
  const asked: number[] = [], trained: number[] = [];
  for (let round = 0; round < 5 * ROUNDS; round++) asked.push(await timed(ask));
  const history: string[][] = (await stack.sql(
    `select digest -> 'tokens' as tokens from private.learner_sessions where user_id = $1
     order by started_at desc limit 200`,
    [user.id],
  )).map(({ tokens }) => tokens);
  for (let round = 0; round < ROUNDS; round++) {
    trained.push(timedSync(() => trainNext(history, { questions: 100 })));
  }
  return [median(asked), median(trained)];
}

/** Puts events of the past straight into the table, as track-event would have left them. */
async function history(stack: TestStack, user: TestUser, events: number, after = 0): Promise<void> {
  await stack.sql(
    `with added as (
       insert into mira_behavioral_events (id, user_id, event_id, session_id, event_type, module,
         page, target, payload, occurred_at, ingest_seq)
       select gen_random_uuid(), $1::uuid, gen_random_uuid(), md5($1::text || (g / ${PER_SESSION}))::uuid, 'click', 'crm', '/leads',
         't' || floor(30 * power(random(), 2)), '{}',
         now() - interval '1000 days' + (g / ${PER_SESSION}) * interval '4 hours' + (g % ${PER_SESSION}) * interval '5 seconds', g + 1
       from generate_series($2::int, $2::int + $3::int - 1) g
       returning ingest_seq)
     insert into private.behaviour_heads (user_id, last_seq, events)
     select $1::uuid, max(ingest_seq), count(*) from added
     on conflict (user_id) do update set last_seq = excluded.last_seq`,
    [user.id, after, events],
  );
}

async function call(stack: TestStack, user: TestUser): Promise<boolean> {
  const response = await stack.fetch("/functions/v1/learn-patterns", {
    as: "secret",
    json: { user_id: user.id, budget_ms: 60_000 },
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).more;
}

async function callUntilDone(stack: TestStack, user: TestUser): Promise<void> {
  while (await call(stack, user));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function timedSync(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
