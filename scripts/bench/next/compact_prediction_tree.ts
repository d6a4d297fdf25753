/**
 * CPT+ as its authors published it: Gueniche, Fournier-Viger, Raman, Tseng 2015, "CPT+: Decreasing
 * the time/space complexity of the Compact Prediction Tree" (PAKDD), with the scoring of their
 * implementation. Sequences that have all symbols of the context vote with what comes after; where
 * those are too few, contexts with ever more of the rare symbols left out (noise reduction) vote too.
 *
 * The tree and its two compressions (frequent subsequences, simple branches) only store sequences in
 * less memory and give them back unchanged, so here they are kept as they are.
 */

import { best, type Method } from "./types.ts";

/** What the authors' profiles set by hand, data set by data set. */
export interface Profile {
  /** Newest symbols kept of each training sequence. */
  keep: number;
  /** Predictions to gather before stopping, per symbol of the context. */
  minPredictionRatio: number;
  /** Part of the context, rarest first, that may be noise. */
  noiseRatio: number;
}

/** Their published profiles: default, and those for FIFA, words and signs. */
export const PROFILES: readonly Profile[] = [
  { keep: 10, minPredictionRatio: 2, noiseRatio: 1 },
  { keep: 12, minPredictionRatio: 1, noiseRatio: 1 },
  { keep: 8, minPredictionRatio: 0, noiseRatio: 1 },
  { keep: Infinity, minPredictionRatio: 1, noiseRatio: 1 },
];

/** CPT+ under one profile. */
export function compactPredictionTree(profile: Profile): Method {
  return {
    name: "CPT+",
    train(all) {
      const sequences = all.map((s) => profile.keep === Infinity ? s : s.slice(-profile.keep));
      const places = new Map<number, number[]>();
      sequences.forEach((sequence, s) => {
        for (const symbol of new Set(sequence)) {
          const list = places.get(symbol);
          if (list === undefined) places.set(symbol, [s]);
          else list.push(s);
        }
      });
      return { next: (prefix) => predict(sequences, places, prefix, profile) };
    },
  };
}

function predict(
  sequences: readonly (readonly number[])[],
  places: ReadonlyMap<number, readonly number[]>,
  prefix: readonly number[],
  { minPredictionRatio, noiseRatio }: Profile,
): number | undefined {
  const target = prefix.filter((symbol) => places.has(symbol));
  const table = new Map<number, number>();
  const visited = new Set<number>();
  const update = (context: readonly number[]): boolean => {
    const similar = intersection(context.map((symbol) => places.get(symbol)!));
    let used = false;
    for (const s of similar) {
      if (visited.has(s)) continue;
      visited.add(s);
      const missing = new Set(context);
      let count = 1;
      for (const symbol of sequences[s]!) {
        if (missing.size === 0) {
          // the scores of one symbol are multiplied: here as a sum of logarithms
          const vote = Math.log(1 / similar.length + 1 + 0.0001 / count);
          table.set(symbol, (table.get(symbol) ?? 0) + vote);
          count++;
        } else missing.delete(symbol);
      }
      used ||= count > 1;
    }
    return used;
  };
  let made = 0;
  const wanted = 1 + Math.floor(target.length * minPredictionRatio);
  update(target);
  if (table.size > 0) made++;
  const queue: (readonly number[])[] = [target];
  const seen = new Set<string>();
  for (let context = queue.shift(); context && made < wanted; context = queue.shift()) {
    const key = context.join(" ");
    if (seen.has(key)) continue;
    seen.add(key);
    const byRarity = [...context].sort((a, b) => places.get(b)!.length - places.get(a)!.length);
    for (const noise of byRarity.slice(-Math.max(1, Math.floor(context.length * noiseRatio)))) {
      const shorter = [...context];
      shorter.splice(shorter.indexOf(noise), 1);
      if (shorter.length > 1) queue.push(shorter);
      if (shorter.length > 0 && update(shorter) && table.size > 0) made++;
    }
  }
  return best(table);
}

/** Members common to all lists, each in rising order. */
function intersection(lists: readonly (readonly number[])[]): readonly number[] {
  if (lists.length === 0) return [];
  const [shortest, ...others] = [...lists].sort((a, b) => a.length - b.length);
  return others.reduce((common, list) => {
    const kept: number[] = [];
    let at = 0;
    for (const member of common) {
      while (at < list.length && list[at]! < member) at++;
      if (list[at] === member) kept.push(member);
    }
    return kept;
  }, shortest!);
}
