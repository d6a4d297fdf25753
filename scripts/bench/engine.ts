/**
 * Engine: Mira beside durable engines from npm on the same server, in one run.
 *
 * Every engine does the same work in a process of its own on a scratch database: one run at a time,
 * then 16 in flight, five trivial steps each, every one durable before the next; ours and pgflow also
 * a fan-out of 1,000 items and their join. Mira writes its whole record meanwhile (ledger, checkpoint,
 * steps, logs, tool calls, history); the others write what they write. Rounds of all engines, one
 * after the other, say what each writes and sends, and who is quickest (rounds.ts). What is compared
 * is then measured again side by side: ours and the best of the others take turns, a slice each
 * (duel.ts). Peers come from npm into Deno's cache; one that cannot be had or fails is named and left
 * out. `--runs N`, `--rounds N`, `--engines mira,dbos` for some of them only (without a peer there is
 * no ratio to it).
 */

import { parseArgs } from "node:util";
import { claimFromBacklog } from "./engine/claim.ts";
import { duel, type Outcome, type Side } from "./engine/duel.ts";
import { lastWords } from "./engine/last_words.ts";
import { plot } from "./engine/plot.ts";
import { type Measured, overRounds } from "./engine/rounds.ts";
import { scratch } from "./engine/scratch.ts";
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
  const libraries = LIBRARIES.flatMap((name) => told.get(name) ?? []);
  const pgflow = told.get("pgflow");
  const fastest = libraries.toSorted((a, b) => b.steps_per_s - a.steps_per_s)[0];

  const rows: BenchRow[] = [];
  const ratio = (
    metric: string,
    ours: Outcome | undefined,
    peer: Outcome | undefined,
    unit: string,
    goal: number,
  ) => {
    if (ours === undefined || peer === undefined) return;
    const times = unit === "ms" ? peer.figure / ours.figure : ours.figure / peer.figure;
    rows.push({
      metric,
      ours: ours.figure,
      baseline: peer.name,
      baseline_value: peer.figure,
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

  if (fastest) {
    const chains = ["mira", "mira alone", "mira tools"].filter((name) => told.has(name));
    const sides = await beside(ctx, [
      { name: fastest.name, work: "chain", count: 160 },
      { name: "mira", work: "batched", count: 600 },
      ...chains.map((name): Side => ({ name, work: "chain", count: 160 })),
    ], 25);
    const [peer, batched, ...chain] = sides;
    const of = (name: string) => chain[chains.indexOf(name)];
    ratio("engine.chain_vs_best_library", of("mira"), peer, "steps/s", 2);
    ratio("engine.chain_ungrouped_vs_best_library", of("mira alone"), peer, "steps/s", 2);
    ratio("engine.tool_chain_vs_best_library", of("mira tools"), peer, "steps/s", 2);
    ratio("engine.batched_vs_best_library", batched, peer, "steps/s", 8);
  }
  if (pgflow) {
    const both = (work: Side["work"], count: number) =>
      ["mira", pgflow.name].map((name): Side => ({ name, work, count }));
    const [chain, theirChain] = await beside(ctx, both("chain", 160), 15);
    ratio("engine.chain_vs_pgflow", chain, theirChain, "steps/s", 5);
    const [fanOut, theirFanOut] = await beside(ctx, both("fanOut", 1000), 9);
    ratio("engine.fanout_vs_pgflow", fanOut, theirFanOut, "items/s", 15);
  }
  const peers = pgflow ? [...libraries, pgflow] : libraries;
  const near = Math.min(...peers.map((peer) => peer.p50_ms)) * NEAR;
  const rivals = peers.filter((peer) => peer.p50_ms <= near);
  if (rivals.length > 0) {
    const [own, ...others] = await beside(
      ctx,
      [ours, ...rivals].map(({ name }): Side => ({ name, work: "alone", count: 20 })),
      100,
    );
    const quickest = others.toSorted((a, b) => a.figure - b.figure)[0];
    ratio("engine.latency_vs_best", own, quickest, "ms", 2);
  }

  most("engine.wal_bytes_per_step", ours.wal_per_step, 1500, "B");
  if (tools) most("engine.wal_bytes_per_tool_step", tools.wal_per_step, 2500, "B");
  most("engine.statements_per_step", ours.statements_per_step!, 1.3, "statements");
  most("engine.claim_20k_ms", await claimFromBacklog(ctx.dbUrl), 3, "ms");

  ctx.log("\n" + plot("steps per second", [...told.values()].map((m) => [m.name, m.steps_per_s])));
  ctx.log(
    "\n" + plot("WAL bytes per step", [...told.values()].map((m) => [m.name, m.wal_per_step])),
  );
  return rows;
}

/** A duel, in the order of its sides; of nobody when it could not be held. */
async function beside(ctx: BenchContext, sides: Side[], slices: number): Promise<Outcome[]> {
  try {
    const outcomes = await duel(ctx.dbUrl!, sides, slices);
    const unit = sides[0]!.work === "alone" ? "ms" : "/s";
    const words = outcomes.map(({ name, figure, slices }, at) =>
      `${name} ${sides[at]!.work} ${figure.toPrecision(4)} ${unit} (${
        [Math.min(...slices), Math.max(...slices)].map((slice) => slice.toPrecision(3)).join(" to ")
      })`
    );
    ctx.log(`side by side: ${words.join(", ")}`);
    return outcomes;
  } catch (error) {
    ctx.log(`this duel could not be held: ${(error as Error).message}`);
    return [];
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
      args: ["run", "-A", "--no-check", script, name, database.url, String(runs)],
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
      } B WAL/step, p50 ${measured.p50_ms.toFixed(1)} ms`,
    );
    return measured;
  } catch (error) {
    ctx.log(`${name} could not be measured: ${(error as Error).message}`);
    return undefined;
  }
}
