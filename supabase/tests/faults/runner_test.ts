/**
 * The runner under fire: processes killed, connections cut, the database restarted. Needs a real
 * server (MIRA_TEST_DB_URL). MIRA_TEST_DB_RESTART, a command that restarts that server at once, adds
 * power cuts. MIRA_FAULT_RUNS sets the size, default 200; blows grow with it.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { startCountingServer } from "../support/counting_server.ts";
import { sqlAdmin } from "../support/sql_admin.ts";
import { startStack } from "../support/stack.ts";

const native = Deno.env.get("MIRA_TEST_DB_URL") !== undefined;
const RESTART = Deno.env.get("MIRA_TEST_DB_RESTART");
const RUNS = Number(Deno.env.get("MIRA_FAULT_RUNS") ?? 200);
const STEPS = 10;
const WORKERS = 4;
const KILLS = Math.ceil(RUNS * 0.075);
const RESTARTS = RESTART === undefined ? 0 : Math.ceil(RUNS / 100);
const CUTS = Math.ceil(RUNS / 100);
const LEASE_MS = 3000;

const step = (i: number) => ({
  type: "tool",
  name: `s${i}`,
  config: {
    tool: "http_request",
    arguments: { url: "{{origin}}/effect", method: "POST", body: { run: "{{n}}", step: i } },
    retry: { max_attempts: 20, base_ms: 50, factor: 1 },
  },
});

/** One step, three side by side and their join, then one after another: ten in all. */
const workflow = {
  name: "under fire",
  nodes: [
    { type: "start", name: "begin" },
    ...Array.from({ length: STEPS }, (_, i) => step(i)),
    { type: "end", name: "done" },
  ],
  edges: [
    ["begin", "s0"],
    ...[1, 2, 3].flatMap((i) => [["s0", `s${i}`], [`s${i}`, "s4"]]),
    ...[4, 5, 6, 7, 8].map((i) => [`s${i}`, `s${i + 1}`]),
    ["s9", "done"],
  ].map(([source, target]) => ({ source, target })),
};

Deno.test({
  name:
    `${RUNS} runs of ${STEPS} side effects, runners killed, connections cut, the database restarted: every run ends, each effect once`,
  ignore: !native,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const stack = await startStack();
    const user = await stack.newUser();
    const db = sqlAdmin(stack.dbUrl!, 4, "postgres");
    const effects = new Map<string, { run: number; step: number }>();
    let repeats = 0;
    const service = startCountingServer(async ({ headers, body }) => {
      // a service that honours the key: the first arrival is the effect, the others find it done
      const key = headers.get("idempotency-key")!;
      if (effects.has(key)) repeats++;
      else effects.set(key, JSON.parse(body));
      await pause(60 + Math.random() * 60);
      // now and then the answer is lost after the effect
      return Math.random() < 0.01
        ? new Response(null, { status: 502 })
        : Response.json({ ok: true });
    });

    const start = (n: number) =>
      retried(() =>
        db.admin.rpc("mira_start_run", {
          p_user_id: user.id,
          p_workflow: workflow,
          p_input: { n, origin: service.origin },
          p_idempotency_key: `run-${n}`,
        })
      );
    const numbers = Array.from({ length: RUNS }, (_, n) => n);
    const started = performance.now();
    for (let at = 0; at < RUNS; at += 100) {
      // every fifth is started twice at the same moment
      await Promise.all(
        numbers.slice(at, at + 100).flatMap((n) => n % 5 === 0 ? [start(n), start(n)] : [start(n)]),
      );
    }

    let complaints = "";
    const boot = () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          import.meta.resolve("./runner_worker.ts"),
          stack.dbUrl!,
          service.origin,
          String(LEASE_MS),
        ],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      for (const stream of [child.stdout, child.stderr]) {
        (async () => {
          for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) {
            complaints += text;
          }
        })().catch(() => {});
      }
      return child;
    };
    const workers = Array.from({ length: WORKERS }, boot);

    // blows fall with the progress of the work, so that there is load under each of them
    const due: { at: number; blow: () => Promise<unknown> }[] = [];
    const every = (count: number, blow: () => Promise<unknown>) => {
      for (let i = 0; i < count; i++) {
        due.push({ at: (i + Math.random()) / count * RUNS * STEPS * 0.95, blow });
      }
      due.sort((a, b) => a.at - b.at);
    };
    let kills = 0, restarts = 0, cuts = 0, deaths = 0;
    every(KILLS, async () => {
      const i = Math.floor(Math.random() * WORKERS);
      try {
        workers[i]!.kill("SIGKILL");
      } catch {
        deaths++; // nobody killed it
      }
      await workers[i]!.status;
      workers[i] = boot();
      kills++;
    });
    every(RESTARTS, async () => {
      const { success } = await new Deno.Command("sh", { args: ["-c", RESTART!] }).output();
      ok(success, "the server did not restart");
      restarts++;
    });
    every(CUTS, async () => {
      await db.sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`.catch(() => {});
      cuts++;
    });
    const open = async () =>
      Number(
        (await retried(async () => ({
          error: null,
          data: await db.sql`select count(*)::int as n from public.mira_workflow_state
            where user_id = ${user.id} and status not in ('completed', 'failed', 'cancelled')`,
        })) as { n: number }[])[0]!.n,
      );
    const giveUpAt = performance.now() + 600_000;
    let left = RUNS;
    for (let asked = 0; performance.now() < giveUpAt;) {
      while (due.length > 0 && effects.size >= due[0]!.at) await due.shift()!.blow();
      if (performance.now() - asked > 1000) {
        asked = performance.now();
        left = await open();
        if (left === 0) break;
      }
      await pause(20);
    }
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(
      `  ${seconds} s: ${kills} kills, ${restarts} restarts, ${cuts} times all connections cut; ` +
        `${effects.size} effects, ${repeats} repeats under a known key`,
    );
    for (const worker of workers) worker.kill("SIGKILL");
    await Promise.all(workers.map(({ status }) => status));

    equal(left, 0, `${left} runs did not end: ${complaints.slice(-2000)}`);
    const runs = await db
      .sql`select id, status, error, state_data ->> 'n' as n from public.mira_workflow_state
      where user_id = ${user.id}`;
    equal(runs.length, RUNS, "a duplicate start made a run");
    const failed = runs.filter(({ status }) => status !== "completed");
    deepEqual(failed.map(({ error }) => error), [], "every run completes");
    const wanted = new Set(
      numbers.flatMap((n) => Array.from({ length: STEPS }, (_, i) => `${n}/${i}`)),
    );
    const made = [...effects.values()].map(({ run, step }) => `${run}/${step}`);
    equal(new Set(made).size, made.length, "a side effect happened under two keys");
    equal(made.length, RUNS * STEPS);
    ok(made.every((one) => wanted.has(one)));
    const [steps] = await db
      .sql`select count(*)::int as n, count(distinct (run, seq))::int as once
      from private.run_steps where kind = 'step'`;
    deepEqual(
      [steps!["n"], steps!["once"]],
      [RUNS * STEPS, RUNS * STEPS],
      "each step is recorded once",
    );
    deepEqual([kills, restarts, cuts], [KILLS, RESTARTS, CUTS], "every blow fell");
    equal(deaths, 0, `runners died by themselves: ${complaints.slice(-2000)}`);

    await Promise.all([service.close(), db.close()]);
    await stack.close();
  },
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Repeats a call while the database is down. */
async function retried<T>(call: () => PromiseLike<{ data: T; error: unknown }>): Promise<T> {
  for (let attempt = 0;; attempt++) {
    try {
      const { data, error } = await call();
      if (!error) return data;
      if (attempt > 100) throw new Error(JSON.stringify(error));
    } catch (error) {
      if (attempt > 100) throw error;
    }
    await pause(100);
  }
}
