/**
 * Engine: Mira beside durable engines from npm on the same server, in one run, interleaved.
 *
 * Every engine does the same work in a process of its own on a scratch database: 16 runs in flight,
 * five trivial steps each, every one durable before the next; then one run at a time for the latency; ours and pgflow also a fan-out of
 * 1,000 items and their join. Mira writes its whole record meanwhile (ledger, checkpoint, steps,
 * logs, tool calls, history); the others write what they write. Peers come from npm into Deno's
 * cache; one that cannot be had or fails is named and left out. `--runs N`, `--rounds N`,
 * `--engines mira,dbos` for some of them only (without a peer there is no ratio to it).
 */

import { parseArgs } from "node:util";
import postgres from "postgres";
import { applyMigrations } from "../db/apply_migrations.ts";
import { openPostgres } from "../stack/database.ts";
import { newKeys } from "../stack/keys.ts";
import { createLite, ensurePlatform } from "../stack/platform.ts";
import { plot } from "./engine/plot.ts";
import type { BenchContext, BenchRow } from "./types.ts";

const LIBRARIES = ["langgraph", "dbos", "openworkflow", "mastra"];
/**
 * Shown beside: LangGraph's `exit` writes once per run, so a crash loses every step; ours with the
 * record of every tool call, and with a statement for every step instead of the recorder's groups;
 * ours through HTTP, gateway and edge function included.
 */
const ASIDE = ["langgraph exit", "mira alone", "mira tools", "mira http"];
const BACKLOG = 20_000;

interface Measured {
  name: string;
  steps_per_s: number;
  wal_per_step: number;
  p50_ms: number;
  statements_per_step?: number;
  batched_per_s?: number;
  fanout_per_s?: number;
}

/** Runs the area. Needs a real server: without one it says so and measures nothing. */
export async function bench(ctx: BenchContext): Promise<BenchRow[]> {
  if (ctx.dbUrl === undefined) {
    ctx.log("the engine is measured on a real server: give --db-url (PGlite has one connection)");
    return [];
  }
  const { values } = parseArgs({
    args: ctx.args,
    strict: false,
    options: {
      runs: { type: "string" },
      rounds: { type: "string" },
      engines: { type: "string" },
    },
  });
  const runs = Number(values.runs ?? 1000);
  const rounds = Number(values.rounds ?? 2);
  const engines = values.engines === undefined
    ? ["mira", "pgflow", ...LIBRARIES, ...ASIDE]
    : [...new Set(["mira", ...String(values.engines).split(",")])];
  const best = new Map<string, Measured>();
  const keep = (measured: Measured | undefined) => {
    const known = best.get(measured?.name ?? "");
    if (measured && (known === undefined || measured.steps_per_s > known.steps_per_s)) {
      best.set(measured.name, measured);
    }
  };
  for (let round = 0; round < rounds; round++) {
    for (const name of engines) {
      if (round > 0 && !best.has(name)) continue; // it could not be had
      keep(await measure(ctx, name, runs));
    }
  }
  const claim = await claimFromBacklog(ctx);

  const ours = best.get("mira")!;
  const tools = best.get("mira tools");
  const pgflow = best.get("pgflow");
  const libraries = LIBRARIES.flatMap((name) => best.get(name) ?? []);
  const fastest = libraries.toSorted((a, b) => b.steps_per_s - a.steps_per_s)[0];
  const quickest = [...libraries, ...(pgflow ? [pgflow] : [])]
    .toSorted((a, b) => a.p50_ms - b.p50_ms)[0];
  ctx.log("\n" + plot("steps per second", [...best.values()].map((m) => [m.name, m.steps_per_s])));
  ctx.log(
    "\n" + plot("WAL bytes per step", [...best.values()].map((m) => [m.name, m.wal_per_step])),
  );

  const rows: BenchRow[] = [];
  const ratio = (
    metric: string,
    value: number,
    other: Measured | undefined,
    base: number | undefined,
    unit: string,
    goal: number,
    lower = false,
  ) => {
    if (other === undefined || base === undefined) return;
    const times = lower ? base / value : value / base;
    rows.push({
      metric,
      ours: value,
      baseline: other.name,
      baseline_value: base,
      ratio: times,
      unit,
      goal: `≥${goal}x`,
      pass: times >= goal,
    });
  };
  const most = (metric: string, value: number, limit: number, unit: string) =>
    rows.push({
      metric,
      ours: value,
      baseline: "limit",
      baseline_value: limit,
      ratio: limit / value,
      unit,
      goal: `≤${limit} ${unit}`,
      pass: value <= limit,
    });
  ratio(
    "engine.chain_vs_best_library",
    ours.steps_per_s,
    fastest,
    fastest?.steps_per_s,
    "steps/s",
    2,
  );
  const alone = best.get("mira alone");
  if (alone) {
    ratio(
      "engine.chain_ungrouped_vs_best_library",
      alone.steps_per_s,
      fastest,
      fastest?.steps_per_s,
      "steps/s",
      2,
    );
  }
  ratio("engine.chain_vs_pgflow", ours.steps_per_s, pgflow, pgflow?.steps_per_s, "steps/s", 5);
  ratio(
    "engine.batched_vs_best_library",
    ours.batched_per_s!,
    fastest,
    fastest?.steps_per_s,
    "steps/s",
    8,
  );
  ratio("engine.latency_vs_best", ours.p50_ms, quickest, quickest?.p50_ms, "ms", 2, true);
  ratio("engine.fanout_vs_pgflow", ours.fanout_per_s!, pgflow, pgflow?.fanout_per_s, "items/s", 15);
  most("engine.wal_bytes_per_step", ours.wal_per_step, 1500, "B");
  if (tools) {
    ratio(
      "engine.tool_chain_vs_best_library",
      tools.steps_per_s,
      fastest,
      fastest?.steps_per_s,
      "steps/s",
      2,
    );
    most("engine.wal_bytes_per_tool_step", tools.wal_per_step, 2500, "B");
  }
  most("engine.statements_per_step", ours.statements_per_step!, 1.3, "statements");
  most("engine.claim_20k_ms", claim, 3, "ms");
  return rows;
}

/** One engine in its own process on its own database; undefined when it cannot be measured. */
async function measure(
  ctx: BenchContext,
  name: string,
  runs: number,
): Promise<Measured | undefined> {
  const database = await scratch(ctx.dbUrl!, name.startsWith("mira"));
  try {
    const script = new URL("./engine/measure.ts", import.meta.url).pathname;
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, name, database.url, String(runs), "1000"],
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(600_000),
    }).output();
    const line = new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "";
    if (!success || !line.startsWith("{")) {
      throw new Error(new TextDecoder().decode(stderr).trim().split("\n").slice(-3).join(" "));
    }
    const measured = JSON.parse(line) as Measured;
    ctx.log(
      `${name}: ${Math.round(measured.steps_per_s)} steps/s, ${
        Math.round(measured.wal_per_step)
      } B WAL/step, p50 ${measured.p50_ms.toFixed(1)} ms` +
        (measured.batched_per_s ? `, batched ${Math.round(measured.batched_per_s)}/s` : "") +
        (measured.fanout_per_s ? `, fan-out ${Math.round(measured.fanout_per_s)}/s` : ""),
    );
    return measured;
  } catch (error) {
    ctx.log(`${name} could not be measured: ${String((error as Error).message).slice(0, 300)}`);
    return undefined;
  } finally {
    await database.drop();
  }
}

/** Median milliseconds of claiming ten runs while 20,000 of a hundred users wait. */
async function claimFromBacklog(ctx: BenchContext): Promise<number> {
  const database = await scratch(ctx.dbUrl!, true);
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    await sql`insert into public.mira_tool_definitions (name, schema, function_path)
      values ('bench_echo', '{"type":"object"}', 'internal:echo') on conflict do nothing`;
    await sql`insert into auth.users (id, email)
      select gen_random_uuid(), 'u' || i || '@bench.example' from generate_series(1, 100) i`;
    const graph = {
      nodes: [{ name: "start", type: "start" }, {
        name: "a",
        type: "tool",
        config: { tool: "bench_echo" },
      }, { name: "end", type: "end" }],
      edges: [{ source: "start", target: "a" }, { source: "a", target: "end" }],
    };
    await sql`select count(public.mira_start_run(u.id, p_workflow => ${sql.json(graph)}))
      from auth.users u, generate_series(1, ${BACKLOG / 100}::int)`;
    await sql`analyze`;
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const began = performance.now();
      const [row] = await sql`select public.mira_claim_tasks(10) as reply`;
      times.push(performance.now() - began);
      if (row!.reply.tasks.length !== 10) throw new Error("a claim of ten gave fewer");
    }
    return times.slice(10).sort((a, b) => a - b)[15]!;
  } finally {
    await sql.end();
    await database.drop();
  }
}

/** A scratch database, migrated when it is for us. */
async function scratch(
  server: string,
  migrated: boolean,
): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `mira_bench_${crypto.randomUUID().slice(0, 8)}`;
  const run = async (statement: string) => {
    const admin = postgres(server, { max: 1, onnotice: () => {} });
    await admin.unsafe(statement).finally(() => admin.end());
  };
  await run(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  if (migrated) {
    const database = await openPostgres(url.href);
    const lite = createLite(database, await newKeys());
    await database.exclusive(() => lite.init());
    await database.session(async (db) => {
      await ensurePlatform(db, lite);
      await applyMigrations(db);
    });
    await database.close();
  }
  return { url: url.href, drop: () => run(`drop database if exists ${name} with (force)`) };
}
