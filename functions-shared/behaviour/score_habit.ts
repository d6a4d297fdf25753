/** Whether a pattern is a habit, and how good a one. */

import type { Corpus } from "./corpus.ts";
import { type Grown, occurrencesOf } from "./occurrences.ts";
import type { Habit, MineOptions } from "./mine_habits.ts";
import { defaults, type HabitSettings } from "./settings.ts";
import { expectation, logChance } from "./shuffle_null.ts";
import { wilsonLower } from "./statistics.ts";
import type { Triple } from "./triples.ts";

/** What patterns are judged by. */
export interface Judge {
  settings: HabitSettings;
  options: MineOptions;
  triples: ReadonlyMap<number, number>;
}

/** Support of each frequent triple, by its place in a cube of symbols. */
export function supportOf<S>(corpus: Corpus<S>, triples: readonly Triple[]): Map<number, number> {
  return new Map(triples.map(({ pattern, groups, occurrences }) => [
    cube(corpus, pattern, 0),
    corpus.perOccurrence ? occurrences : groups,
  ]));
}

function cube<S>(corpus: Corpus<S>, pattern: readonly number[], at: number): number {
  const width = corpus.symbols.length;
  return (pattern[at]! * width + pattern[at + 1]!) * width + pattern[at + 2]!;
}

/** The largest support of three steps of a pattern in a row. */
function strongestPart<S>(
  corpus: Corpus<S>,
  pattern: readonly number[],
  triples: ReadonlyMap<number, number>,
): number {
  let most = 1;
  for (let i = 0; i + 2 < pattern.length; i++) {
    most = Math.max(most, triples.get(cube(corpus, pattern, i)) ?? 0);
  }
  return most;
}

/** Scores a pattern by its (remaining) occurrences; undefined when it is no habit. */
export function scoreHabit<S>(
  corpus: Corpus<S>,
  grown: Grown,
  { settings, options, triples }: Judge,
): Habit<S> | undefined {
  const { pattern, support, occurrences } = grown;
  const length = pattern.length;
  if (support < corpus.minSupport || length < settings.minLength) return undefined;
  if (options.days) {
    const days = new Set(occurrences.map((o) => options.days![o.sequence]));
    if (days.size < settings.minDays) return undefined;
  }
  const expected = expectation(corpus, pattern, settings.maxGap);
  // every pattern of this length over these symbols was a chance to be fooled; half of the error
  // goes to length 3, a quarter to length 4, and so on
  const corrected = logChance(groupsOf(corpus, occurrences), occurrences.length, expected) +
    length * Math.log(corpus.symbols.length) + (length - 2) * Math.LN2;
  if (corrected > Math.log(settings.alpha)) return undefined;
  const lift = occurrences.length / Math.max(expected.places, 1e-4);
  if (lift < settings.minLift) return undefined;
  const half = occurrencesOf(corpus, pattern.slice(0, Math.ceil(length / 2)), settings.maxGap);
  const confidence = wilsonLower(Math.min(support, half.support), half.support, defaults.wilsonZ);
  if (confidence < settings.minConfidence) return undefined;
  let skipped = 0, weight = 0, unit = -1;
  for (const { sequence, positions } of occurrences) {
    skipped += positions[length - 1]! - positions[0]! + 1 - length;
    const own = corpus.perOccurrence ? -1 : corpus.group[sequence]!;
    if (own !== unit || corpus.perOccurrence) weight += options.weights?.[sequence] ?? 1;
    unit = own;
  }
  const cohesion = length - skipped / occurrences.length;
  return {
    steps: pattern.map((v) => corpus.symbols[v]!),
    optional: [],
    support,
    prefixSupport: half.support,
    confidence,
    lift,
    cohesion,
    // a second round adds steps, not substance; two habits that sometimes follow each other are two
    rank: confidence * Math.log1p(weight) * (cohesion - length + new Set(pattern).size) *
      (length < 2 * settings.minLength
        ? 1
        : Math.min(1, support / strongestPart(corpus, pattern, triples))),
    logChance: corrected / Math.LN10,
    weight,
    occurrences,
  };
}

function groupsOf<S>(corpus: Corpus<S>, occurrences: Grown["occurrences"]): number {
  return new Set(occurrences.map((o) => corpus.group[o.sequence])).size;
}
