/**
 * Engine: Mira beside durable engines from npm on the same server, in one run, interleaved.
 *
 * Every engine does the same work in a process of its own on a scratch database: one run at a time,
 * then 16 in flight, five trivial steps each, every one durable before the next; ours and pgflow also
 * a fan-out of 1,000 items and their join. Mira writes its whole record meanwhile (ledger, checkpoint,
 * steps, logs, tool calls, history); the others write what they write. Of several rounds each engine
 * keeps, alike, the best of its rates and times and the median of what it writes and sends
 * (rounds.ts). The latency that is reported is that of a duel after the rounds: ours and the quickest
 * of the others take turns, a slice each (duel.ts). Peers come from npm into Deno's cache; one that
 * cannot be had or fails is named and left out. `--runs N`, `--rounds N`, `--engines mira,dbos` for
 * some of them only (without a peer there is no ratio to it).
 */

import { parseArgs } from "node:util";
import { claimFromBacklog } from "./engine/claim.ts";
import { duel, type Latency } from "./engine/duel.ts";
import { lastWords } from "./engine/last_words.ts";
import { plot } from "./engine/plot.ts";
import { type Measured, overRounds } from "./engine/rounds.ts";
import { scratch } from "./engine/scratch.ts";
import { median } from "./quantile.ts";
import type { BenchContext, BenchRow } from "./types.ts";

const LIBRARIES = ["langgraph", "dbos", "openworkflow", "mastra"];
/**
 * Shown beside: LangGraph's `exit` writes once per run, so a crash loses every step; ours with the
 * record of every tool call, and with a statement for every step instead of the recorder's groups;
 * ours through HTTP, gateway and edge function included.
 */
const ASIDE = ["langgraph exit", "mira alone", "mira tools", "mira http"];
/** Peers this near the quickest in the rounds might be it: they are in the duel too. */
const NEAR = 1.25;

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
  const measured = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const name of engines) {
      if (round > 0 && !measured.has(name)) continue; // it could not be had
      const figures = await measure(ctx, name, runs);
      if (figures) measured.set(name, [...measured.get(name) ?? [], figures]);
    }
  }
  const told = new Map([...measured].map(([name, rounds]) => [name, overRounds(rounds)]));
  const ours = told.get("mira")!;
  const tools = told.get("mira tools");
  const pgflow = told.get("pgflow");
  const libraries = LIBRARIES.flatMap((name) => told.get(name) ?? []);
  const fastest = libraries.toSorted((a, b) => b.steps_per_s - a.steps_per_s)[0];
  const latency = await latencyBeside(ctx, [...libraries, ...(pgflow ? [pgflow] : [])]);
  const claim = await claimFromBacklog(ctx.dbUrl);

  ctx.log("\n" + plot("steps per second", [...told.values()].map((m) => [m.name, m.steps_per_s])));
  ctx.log(
    "\n" + plot("WAL bytes per step", [...told.values()].map((m) => [m.name, m.wal_per_step])),
  );

  const rows: BenchRow[] = [];
  const ratio = (
    metric: string,
    value: number,
    other: { name: string } | undefined,
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
  const alone = told.get("mira alone");
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
  if (latency) {
    const { ours, quickest } = latency;
    ratio("engine.latency_vs_best", ours.p50_ms, quickest, quickest.p50_ms, "ms", 2, true);
  }
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

/** Ours and the quickest peer in a duel; undefined without a peer or when it could not be held. */
async function latencyBeside(
  ctx: BenchContext,
  peers: Measured[],
): Promise<{ ours: Latency; quickest: Latency } | undefined> {
  const near = Math.min(...peers.map((peer) => peer.p50_ms)) * NEAR;
  const rivals = peers.filter((peer) => peer.p50_ms <= near).map((peer) => peer.name);
  if (rivals.length === 0) return undefined;
  try {
    const sides = await duel(ctx.dbUrl!, ["mira", ...rivals]);
    const [ours, quickest] = [sides[0]!, sides.slice(1).sort((a, b) => a.p50_ms - b.p50_ms)[0]!];
    const ratios = ours.slices_ms.map((p50, at) => quickest.slices_ms[at]! / p50);
    ctx.log(
      `duel: ${
        sides.map(({ name, p50_ms }) => `${name} p50 ${p50_ms.toFixed(2)} ms`).join(", ")
      }; ` +
        `${quickest.name}/mira slice by slice ${Math.min(...ratios).toFixed(2)} to ${
          Math.max(...ratios).toFixed(2)
        }, median ${median(ratios).toFixed(2)}`,
    );
    return { ours, quickest };
  } catch (error) {
    ctx.log(`the duel could not be held: ${(error as Error).message}`);
    return undefined;
  }
}

/** One engine in its own process on its own database; undefined when it cannot be measured. */
async function measure(
  ctx: BenchContext,
  name: string,
  runs: number,
): Promise<Measured | undefined> {
  try {
    await using database = await scratch(ctx.dbUrl!, name.startsWith("mira"));
    const script = new URL("./engine/measure.ts", import.meta.url).pathname;
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, name, database.url, String(runs), "1000"],
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(600_000),
    }).output();
    const line = new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "";
    if (!success || !line.startsWith("{")) {
      throw new Error(lastWords(new TextDecoder().decode(stderr)));
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
    ctx.log(`${name} could not be measured: ${(error as Error).message}`);
    return undefined;
  }
}
