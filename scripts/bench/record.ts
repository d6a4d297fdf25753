/**
 * The record: batches beside one insert per line, how soon a viewer sees a line, and what it costs
 * to let a million old lines go while new ones arrive.
 */

import { startStack, type TestStack, type TestUser } from "../../supabase/tests/support/stack.ts";
import { readEvents } from "../../supabase/tests/support/sse.ts";
import { naiveFunction, type NaiveTable, post } from "./naive_function.ts";
import { median, quantile } from "./quantile.ts";
import type { Bench, BenchRow } from "./types.ts";

const BATCH = 200;
const CLIENTS = 2;
const ROUNDS = 5;
const VIEWERS = 20;
const LINES = 150;
const NAIVE_POLL_MS = 1000;

/**
 * `record.vs_naive` (lines/s), `record.viewer_latency_ms` (insert to viewer, p50; p95 is logged) and
 * `record.retention_longest_ms` (one statement).
 */
export const bench: Bench = async ({ dbUrl, args, log }) => {
  if (dbUrl !== undefined) Deno.env.set("MIRA_TEST_DB_URL", dbUrl);
  const rows = Number(/--rows[= ](\d+)/.exec(args.join(" "))?.[1] ?? (dbUrl ? 1_000_000 : 100_000));
  const stack = await startStack();
  try {
    return [
      await writing(stack, log),
      await watching(stack, log),
      await retaining(stack, rows, log),
    ];
  } finally {
    await stack.close();
  }
};

type Say = (message: string) => void;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function writing(stack: TestStack, log: Say): Promise<BenchRow> {
  const naive = await naiveFunction(stack, NAIVE);
  try {
    const users = await Promise.all(Array.from({ length: 12 }, () => stack.newUser()));
    const ours = (user: TestUser) =>
      post(stack, `${stack.url}/functions/v1/log-execution`, user, { logs: batch() });
    const theirs = (user: TestUser) => post(stack, naive.url, user, { logs: batch() });
    await rate(users, ours, 4);
    await rate(users, theirs, 2);
    const [our, their]: number[][] = [[], []];
    for (let round = 1; round <= ROUNDS; round++) {
      our!.push(await rate(users, ours, 50));
      their!.push(await rate(users, theirs, 4));
      log(`round ${round}: ${our!.at(-1)!.toFixed()} against ${their!.at(-1)!.toFixed()} lines/s`);
    }
    const ratio = median(our!) / median(their!);
    return {
      metric: "record.vs_naive",
      ours: median(our!),
      baseline: "one insert per line",
      baseline_value: median(their!),
      ratio,
      unit: "lines/s",
      goal: "ratio >= 8",
      pass: ratio >= 8,
    };
  } finally {
    naive.close();
  }
}

/** Lines written past the function, as the engine and other processes do: no shortcut to viewers. */
async function watching(stack: TestStack, log: Say): Promise<BenchRow> {
  const user = await stack.newUser();
  const { data: task } = await user.client
    .rpc("insert_task_history", { p_description: "Watched" }).throwOnError();
  const sent = new Map<string, number>();
  const ours: number[] = [];
  const theirs: number[] = [];
  const viewers = Array.from({ length: VIEWERS }, async () => {
    const response = await stack.fetch(`/functions/v1/log-execution/stream?task_id=${task}`, {
      as: user,
    });
    for await (const { event, data } of readEvents(response)) {
      if (event === "log") ours.push(performance.now() - sent.get(data.message)!);
    }
  });
  let isOver = false;
  const poller = (async () => {
    let last = 0;
    while (!isOver) {
      await pause(NAIVE_POLL_MS);
      const { data } = await user.client.from("execution_logs").select("seq,message")
        .eq("task_id", task).gt("seq", last).order("seq");
      for (const line of data ?? []) theirs.push(performance.now() - sent.get(line.message)!);
      last = data?.at(-1)?.seq ?? last;
    }
  })();
  await pause(1000);
  for (let i = 0; i < LINES; i++) {
    const message = `line ${i}`;
    sent.set(message, performance.now());
    await user.client.rpc("insert_execution_log", { p_task_id: task, p_message: message })
      .throwOnError();
    await pause(20 + Math.random() * 120);
  }
  await user.client
    .rpc("update_task_history_status", { p_task_id: task, p_status: "completed" }).throwOnError();
  await Promise.all(viewers);
  await pause(NAIVE_POLL_MS);
  isOver = true;
  await poller;
  const heard = `${ours.length} of ${VIEWERS * LINES} deliveries`;
  log(
    `${VIEWERS} viewers, ${heard}: p50 ${median(ours).toFixed(1)} ms, p95 ${
      quantile(ours, 0.95).toFixed(1)
    } ms; polling p50 ${median(theirs).toFixed(1)} ms`,
  );
  return {
    metric: "record.viewer_latency_ms",
    ours: median(ours),
    baseline: "a page that polls every second",
    baseline_value: median(theirs),
    ratio: median(theirs) / median(ours),
    unit: "ms p50",
    goal: "every line delivered, p95 <= 250 ms",
    pass: ours.length === VIEWERS * LINES && quantile(ours, 0.95) <= 250,
  };
}

/** Old lines beside young ones; a writer measures what it feels while they go. */
async function retaining(stack: TestStack, rows: number, log: Say): Promise<BenchRow> {
  const { id: user } = await stack.newUser();
  await stack.sql("create table public.naive_logs (like public.execution_logs including all)");
  await stack.sql("create index on public.naive_logs (created_at)");
  for (const table of ["execution_logs", "naive_logs"]) {
    for (const [share, age] of [[0.8, 100], [0.2, 1]] as const) {
      await stack.sql(
        `insert into public.${table} (seq, user_id, task_id, message, created_at)
          select nextval('public.execution_logs_seq_seq'), $1::uuid, md5((n / 50)::text)::uuid, 'Step ' || n || ' finished: found 3 documents',
            now() - make_interval(days => $2::int) from generate_series(1, $3::int) n`,
        [user, age, Math.round(rows * share)],
      );
    }
    await stack.sql(`analyze public.${table}`);
  }
  const feel = async <T>(work: () => Promise<T>): Promise<{ ms: number; felt: number[] }> => {
    const felt: number[] = [];
    let isOn = true;
    const writer = (async () => {
      while (isOn) {
        const started = performance.now();
        await stack.sql(
          `insert into public.execution_logs (seq, user_id, task_id, message)
          values (nextval('public.execution_logs_seq_seq'), $1, gen_random_uuid(), 'live')`,
          [user],
        );
        felt.push(performance.now() - started);
        await pause(5);
      }
    })();
    const started = performance.now();
    await work();
    const ms = performance.now() - started;
    isOn = false;
    await writer;
    return { ms, felt };
  };
  const naive = await feel(() =>
    stack.sql("delete from public.naive_logs where created_at < now() - interval '90 days'")
  );
  let deleted = 0;
  let longest = 0;
  const ours = await feel(async () => {
    for (let n = -1; n !== 0;) {
      const started = performance.now();
      const [row] = await stack.sql(
        "select private.delete_old_execution_logs(null, 90, 10000) as n",
      );
      longest = Math.max(longest, performance.now() - started);
      n = row.n;
      deleted += n;
    }
  });
  const say = ({ ms, felt }: typeof ours) =>
    `${ms.toFixed()} ms (writers p95 ${quantile(felt, 0.95).toFixed()} ms)`;
  log(`${deleted} of ${rows} lines deleted in ${say(ours)}; by one statement in ${say(naive)}`);
  return {
    metric: "record.retention_longest_ms",
    ours: longest,
    baseline: "one delete over created_at",
    baseline_value: naive.ms,
    ratio: naive.ms / longest,
    unit: "ms",
    goal: "all old lines gone, no statement over 1 s",
    pass: deleted === Math.round(rows * 0.8) && longest < 1000,
  };
}

async function rate(
  users: TestUser[],
  send: (user: TestUser) => Promise<void>,
  batches: number,
): Promise<number> {
  let left = batches;
  const started = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (left > 0) await send(users[left-- % users.length]!);
  }));
  return batches * BATCH / ((performance.now() - started) / 1000);
}

function batch(): Record<string, unknown>[] {
  const task_id = crypto.randomUUID();
  return Array.from({ length: BATCH }, (_, i) => ({
    id: crypto.randomUUID(),
    task_id,
    step: `step ${i % 7}`,
    agent_type: "worker",
    level: "info",
    message: `Step ${i % 7} finished: searched the documents and found ${i} of them`,
    metadata: { i, ms: 12.5 },
  }));
}

/** A table as seed 004 describes it. */
const NAIVE: NaiveTable = {
  make: [
    `create table public.seed_logs (id uuid primary key default gen_random_uuid(),
      user_id uuid not null references auth.users (id) on delete cascade, task_id uuid not null,
      step text, agent_type text, level text, message text not null, metadata jsonb default '{}',
      created_at timestamptz default now())`,
    "create index on public.seed_logs (user_id)",
    "create index on public.seed_logs (task_id)",
    "create index on public.seed_logs (created_at)",
  ],
  name: "seed_logs",
  list: "logs",
  rowOf: (line) => line,
};
