/**
 * The next action: how often the first guess is right, beside Markov chains and CPT+, on sequences
 * with the statistics of the public sets, on the sample log, and on any file given.
 *
 *     deno task bench next [--sequences FILE.spmf]…
 *
 * CPT+ depends on settings its authors chose per data set: it runs with each of their published
 * profiles and its best result on the very questions asked counts.
 */

import { parseArgs } from "node:util";
import { basename } from "node:path";
import { trainNext } from "../../functions-shared/behaviour/predict_next.ts";
import { ceiling } from "./next/ceiling.ts";
import { compactPredictionTree, PROFILES } from "./next/compact_prediction_tree.ts";
import { families } from "./next/families.ts";
import { allOrders, firstOrder, partialMatching } from "./next/markov.ts";
import { compare, readSpmf } from "./next/protocol.ts";
import { servedPredictor } from "./next/served.ts";
import { alone, pooled, readSample, sampleShare } from "./next/sample_log.ts";
import type { Method } from "./next/types.ts";
import type { Bench, BenchRow } from "./types.ts";

/** Sequences read of a file. */
const READ = 5_000;
/** What the first guess on the sample log should gain over a first-order chain. */
const GAIN = 1.4;

const ours: Method = {
  name: "ours",
  // the papers' protocol asks for ends; so is CPT+ made for them
  train(sequences, horizon) {
    const predictor = trainNext(sequences, { horizon, ends: true });
    return { next: (prefix) => predictor.next(prefix, 1)[0]?.symbol };
  },
};
const markov = [firstOrder, allOrders, partialMatching];
const trees = PROFILES.map((profile, i) => ({
  ...compactPredictionTree(profile),
  name: `CPT+ ${i + 1}`,
}));

/**
 * `next.<family>`: against the best CPT+ and the best Markov order; `next.sample`: what is served,
 * against order 1, and beside the most that can be known.
 */
export const bench: Bench = async ({ args, log }) => {
  const { values } = parseArgs({
    args,
    strict: false,
    options: { sequences: { type: "string", multiple: true } },
  });
  const files = (values.sequences ?? []) as string[];
  const sets = [
    ...families(),
    ...files.map((file) => ({
      name: basename(file),
      sequences: readSpmf(Deno.readTextFileSync(file)).slice(0, READ),
    })),
  ];
  const rows: BenchRow[] = [];
  for (const { name, sequences } of sets) {
    const scores = compare([ours, ...markov, ...trees], sequences);
    const share = (method: string) => scores.get(method)!;
    for (const measure of ["next", "suffix"] as const) {
      const top = (methods: readonly Method[]) =>
        Math.max(...methods.map((method) => share(method.name)[measure]));
      const mine = share("ours")[measure];
      log(
        `${name}, ${measure === "next" ? "the very next" : "within the last three"}: ` +
          `ours ${percent(mine)}, CPT+ ${percent(top(trees))}, ` +
          markov.map((method) => `${method.name} ${percent(share(method.name)[measure])}`)
            .join(", "),
      );
      rows.push(...([["CPT+", trees], ["Markov, any order", markov]] as const).map((
        [baseline, methods],
      ) => row(`next.${name}.${measure}`, mine, baseline, top(methods), 1)));
    }
  }
  const sample = await readSample();
  const mine = sampleShare(alone(ours), sample);
  const served = sampleShare(servedPredictor, sample);
  const most = await ceiling(sample.actions);
  (["every action", "the person's own doing"] as const).forEach((what, i) =>
    log(`sample log, ${what}: who has read the scripts, but not the dice, ${percent(most[i]!)}`)
  );
  for (
    const [whose, chain] of [
      ["everybody's", sampleShare(pooled(firstOrder), sample)],
      ["the person's own", sampleShare(alone(firstOrder), sample)],
    ] as const
  ) {
    (["every action", "the person's own doing"] as const).forEach((what, i) => {
      log(
        `sample log, ${what}: own sessions alone ${percent(mine[i]!)}, served ` +
          `${percent(served[i]!)}, first-order chain of ${whose} ${percent(chain[i]!)}`,
      );
      const metric = i === 0 ? "next.sample" : "next.sample.own";
      rows.push(row(metric, served[i]!, `first-order chain, ${whose}`, chain[i]!, GAIN));
    });
  }
  return rows;
};

function row(
  metric: string,
  mine: number,
  baseline: string,
  value: number,
  goal: number,
): BenchRow {
  return {
    metric,
    ours: 100 * mine,
    baseline,
    baseline_value: 100 * value,
    ratio: mine / value,
    unit: "% right",
    goal: goal === 1 ? "ratio > 1" : `ratio >= ${goal}`,
    pass: goal === 1 ? mine > value : mine >= goal * value,
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
