/**
 * The engine under SIGKILL, immediate restarts and dropped connections. Needs a real server
 * (MIRA_TEST_DB_URL). MIRA_TEST_DB_RESTART, a command that restarts that server at once
 * (`pg_ctl -m immediate restart …`), adds power cuts; without it every connection is cut instead.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import postgres from "postgres";
import { openTestDatabase } from "../support/test_database.ts";

const native = Deno.env.get("MIRA_TEST_DB_URL") !== undefined;
const RESTART = Deno.env.get("MIRA_TEST_DB_RESTART");
const WORKER = new URL("./engine_worker.ts", import.meta.url).pathname;
const RUNS = 1000;
const STEPS = 10;
const WORKERS = 4;
const KILLS = 75;
const CUTS = 10;
const LEASE_MS = 6000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test({
  name: `${RUNS} runs of ${STEPS} tool calls, ${KILLS} SIGKILLs, ${CUTS} ${
    RESTART === undefined ? "cuts of every connection" : "immediate restarts"
  }: all complete, each side effect once`,
  ignore: !native,
  fn: async () => {
    const database = await openTestDatabase();
    const [{ name } = { name: "" }] = await database.db.query(
      "select current_database() as name",
    );
    const url = new URL(Deno.env.get("MIRA_TEST_DB_URL")!);
    url.pathname = `/${name}`;
    const sql = postgres(url.href, { max: 4, onnotice: () => {} });
    const again = async <T>(ask: () => Promise<T>): Promise<T> => {
      for (;;) {
        try {
          return await ask();
        } catch (error) {
          const code = String((error as { code?: string }).code ?? "");
          if (!/^(CONN|ECONN|57P|08|CONNECT)/.test(code)) throw error;
          await pause(100);
        }
      }
    };

    // the outside world: honours a key once, as a payment service would, and counts every call
    const effects = new Map<string, number>();
    let calls = 0;
    const world = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const key = request.headers.get("idempotency-key")!;
      calls++;
      if (!effects.has(key)) effects.set(key, effects.size);
      return Response.json({ receipt: effects.get(key) });
    });
    const target = `http://127.0.0.1:${world.addr.port}`;

    const workflow = await author(sql);
    const ids = new Set<string>();
    for (let from = 0; from < RUNS; from += 50) {
      const starts = Array.from({ length: 50 }, (_, i) => from + i);
      const started = await Promise.all(
        [...starts, ...starts.slice(0, 10)].map((i) =>
          sql`select public.mira_start_run(null, ${workflow.id}, p_input => ${sql.json({ i })},
          p_idempotency_key => ${`run-${i}`}) as reply`.catch(() => undefined)
        ),
      );
      for (const row of started) if (row !== undefined) ids.add(row[0]!.reply.run_id);
    }
    equal(ids.size, RUNS, "a start that is sent twice is one run");

    const spawn = () =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", WORKER, url.href, target, String(LEASE_MS)],
        stdout: "null",
        stderr: "null",
      }).spawn();
    const end = async (worker: Deno.ChildProcess): Promise<void> => {
      try {
        worker.kill("SIGKILL");
      } catch {
        // a restart of the database had ended it already
      }
      await worker.status;
    };
    const workers = Array.from({ length: WORKERS }, spawn);
    let kills = 0, cuts = 0, worst = 0, backSince = performance.now();
    const left = () =>
      again(async () =>
        (await sql`select count(*)::int as n, coalesce(max(extract(epoch from now() - due_at))
            filter (where leased_at is not null), 0)::float8 * 1000 as overdue
          from public.mira_workflow_state where status not in ('completed', 'failed', 'cancelled')`)[
          0
        ] as { n: number; overdue: number }
      );

    // faults come as long as there is work, evenly over it; then everything is left to finish
    const began = performance.now();
    for (;;) {
      const { n, overdue } = await left();
      if (n === 0) break;
      // how long a lapsed lease lay while there was a database to claim it from
      worst = Math.max(worst, Math.min(overdue, performance.now() - backSince));
      const done = (RUNS - n) / RUNS;
      if (kills < KILLS && (kills / KILLS <= done + 0.05)) {
        const at = kills % WORKERS;
        await end(workers[at]!);
        workers[at] = spawn();
        kills++;
      }
      if (cuts < CUTS && cuts / CUTS <= done) {
        cuts++;
        if (RESTART !== undefined) {
          await new Deno.Command("sh", { args: ["-c", RESTART], stdout: "null", stderr: "null" })
            .output();
        } else {
          await again(async () => {
            await sql`select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()
                and application_name <> 'test' and query like '%mira_%'`;
          });
        }
        backSince = performance.now();
      }
      ok(performance.now() - began < 15 * 60_000, `${n} runs are stuck`);
      await pause(150);
    }
    await Promise.all(workers.map(end));

    const ends = await again(() =>
      sql`select status, error ->> 'code' as code, count(*)::int as n
        from public.mira_workflow_state group by 1, 2`
    );
    deepEqual([...ends], [{ status: "completed", code: null, n: RUNS }]);
    equal(effects.size, RUNS * STEPS, "each step's side effect happened");
    const [recorded] = await again(() =>
      sql`select count(*)::int as steps, count(distinct (run, seq))::int as once,
          (select count(*)::int from public.workflow_executions where current_state = 'completed') as ledger,
          (select count(*)::int from public.task_history where status = 'completed') as history,
          (select count(*)::int from public.tool_executions) as tools,
          (select count(*)::int from public.execution_logs where message like '% done.') as lines
        from private.run_steps where kind = 'step'`
    );
    deepEqual({ ...recorded }, {
      steps: RUNS * STEPS,
      once: RUNS * STEPS,
      ledger: RUNS,
      history: RUNS,
      tools: RUNS * STEPS,
      lines: RUNS * STEPS,
    }, "every step, ledger row, history row, tool call and line is there once");
    // what a run carries is what the world answered under its keys
    const outputs = await again(() =>
      sql`select r.id || ':' || s.seq as key, (s.output ->> 'receipt')::int as receipt
        from private.run_steps s join public.mira_workflow_state r on r.number = s.run
        where s.kind = 'step'`
    );
    for (const { key, receipt } of outputs) equal(receipt, effects.get(key), key);
    ok(kills >= 70 && cuts >= 9, `${kills} kills, ${cuts} cuts`);
    ok(worst <= LEASE_MS, `a lapsed lease lay for ${Math.round(worst)} ms`);
    console.log(
      `    ${kills} kills, ${cuts} cuts, ${calls - effects.size} calls repeated under their key, ` +
        `lapsed leases lay ${Math.round(worst)} ms at worst, ${
          Math.round((performance.now() - began) / 1000)
        } s`,
    );
    await sql.end();
    await world.shutdown();
    await database.close().catch(() => {}); // its session may have died with a restart
  },
});

/** A workflow of ten tool calls in a row, with its user. */
async function author(sql: postgres.Sql): Promise<{ id: string; user: string }> {
  const user = crypto.randomUUID();
  await sql`insert into auth.users (id, email) values (${user}, ${`${user}@example.com`})`;
  await sql`insert into public.mira_tool_definitions (name, schema, function_path)
    values ('count', '{"type":"object"}', 'internal:http') on conflict do nothing`;
  const [{ id } = { id: "" }] = await sql`insert into public.mira_workflows (user_id, name)
    values (${user}, 'ten calls') returning id`;
  const names = ["start", ...Array.from({ length: STEPS }, (_, i) => `s${i}`), "end"];
  const nodes = names.map((name) => ({
    id: crypto.randomUUID(),
    workflow_id: id,
    name,
    type: /^s\d/.test(name) ? "tool" : name,
    config: sql.json(/^s\d/.test(name) ? { tool: "count" } : {}) as never,
  }));
  await sql`insert into public.mira_workflow_nodes ${sql(nodes)}`;
  await sql`insert into public.mira_workflow_edges ${
    sql(
      nodes.slice(1).map((node, i) => ({
        workflow_id: id,
        source_node_id: nodes[i]!.id,
        target_node_id: node.id,
      })),
    )
  }`;
  await sql`update public.mira_workflows set is_active = true where id = ${id}`;
  return { id, user };
}
