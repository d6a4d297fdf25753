/**
 * How predictors are compared, as in the papers on CPT and CPT+: whole sequences are held out, the
 * end of each is asked for, given what came before it. Consecutive repeats are one (IPredict's
 * preprocessing), sequences of fewer than six symbols are left out.
 */

import { hash } from "../../../functions-shared/behaviour/statistics.ts";
import type { Method, Sequences } from "./types.ts";

/** Questions per fold, and folds. */
const ASKED = 250;
const FOLDS = 4;
/** Their usual profile: five symbols are known, the next is asked for. */
const WINDOW = 5;
/** And the one for long sequences: right is what comes within the last three, seven are known. */
const SUFFIX = 3, SUFFIX_WINDOW = 7;

/** Shares of right answers, of all questions. */
export interface Score {
  /** The first guess is the very next symbol, at the end of a sequence. */
  next: number;
  /** The first guess comes within the last three. */
  suffix: number;
}

/** Sequences as the papers prepare them. */
export function prepared(sequences: Sequences): number[][] {
  return sequences.map((sequence) => sequence.filter((symbol, i) => symbol !== sequence[i - 1]))
    .filter((sequence) => sequence.length >= 6);
}

/** One SPMF file: items separated by -1, each sequence ended by -2. */
export function readSpmf(text: string): number[][] {
  return text.split("-2").map((line) =>
    line.trim().split(/\s+/).map(Number).filter((item) => item >= 0 && !Number.isNaN(item))
  ).filter((sequence) => sequence.length > 0);
}

/** Asks every method the same questions. */
export function compare(methods: readonly Method[], sequences: Sequences): Map<string, Score> {
  const shuffled = prepared(sequences).map((sequence, i) => ({ sequence, at: hash(`${i}`) }))
    .sort((a, b) => a.at - b.at).map(({ sequence }) => sequence);
  const right = new Map(methods.map(({ name }) => [name, { next: 0, suffix: 0 }]));
  let asked = 0;
  for (let fold = 0; fold < FOLDS; fold++) {
    const test = shuffled.filter((_, i) => i % FOLDS === fold).slice(0, ASKED);
    const held = new Set(test);
    const train = shuffled.filter((sequence) => !held.has(sequence));
    asked += test.length;
    for (const method of methods) {
      const predictor = method.train(train, 1);
      const far = method.train(train, SUFFIX);
      const score = right.get(method.name)!;
      for (const sequence of test) {
        const before = sequence.slice(0, -1).slice(-WINDOW);
        if (predictor.next(before) === sequence.at(-1)) score.next++;
        const known = sequence.slice(0, -SUFFIX).slice(-SUFFIX_WINDOW);
        const guess = far.next(known);
        if (guess !== undefined && sequence.slice(-SUFFIX).includes(guess)) score.suffix++;
      }
    }
  }
  for (const score of right.values()) {
    score.next /= asked;
    score.suffix /= asked;
  }
  return right;
}
