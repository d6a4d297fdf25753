/**
 * Habits in sequences of anything: gap-bounded closed patterns that order alone explains.
 *
 * Five steps. Count every close triple exactly. Grow the ones chance does not explain into closed
 * patterns (delta-closure, extension rule). Keep a pattern when its support beats the within-session
 * permutation null, corrected for every pattern that could have been seen (layered Bonferroni,
 * Webb 2007, Machine Learning 68), and also 4 standard deviations over 20 seeded shuffles. Rank by
 * confidence, support and cohesion (Leno et al. 2020, RPA routines). Pick the best, take away the
 * actions it covers, repeat (greedy cover, as in MDL pattern sets).
 *
 * Deterministic: the result depends on the sequences only, not on their order.
 */

import { type Corpus, intern } from "./corpus.ts";
import { extensions } from "./extensions.ts";
import { type Grown, occurrencesOf } from "./occurrences.ts";
import { candidates, isPart } from "./habit_candidates.ts";
import { scoreHabit, supportOf } from "./score_habit.ts";
import { defaults, type HabitSettings } from "./settings.ts";
import { Shuffles } from "./shuffle_null.ts";
import { compareText } from "./statistics.ts";
import { frequentTriples } from "./triples.ts";

/** What a caller may say about the sequences and the constants. */
export interface MineOptions {
  /** Session of each sequence (default: each its own); one session's sequences stand together. */
  groups?: readonly number[];
  /** Day of each sequence; with it a habit needs `minDays` different ones. */
  days?: readonly number[];
  /** Weight of each sequence's session, for decay; default 1. */
  weights?: readonly number[];
  /** Count separate occurrences instead of sessions. Default: when there are fewer than 3 sequences. */
  perOccurrence?: boolean;
  settings?: Partial<HabitSettings>;
}

/** A habit found. */
export interface Habit<S> {
  steps: S[];
  /** Steps often, not always, there: put `step` before `steps[before]`. */
  optional: { before: number; step: S; share: number }[];
  /** Sessions (or occurrences) that show the whole habit, and that show its first half. */
  support: number;
  prefixSupport: number;
  /** Wilson lower bound of finishing, once half is done. */
  confidence: number;
  /** Support over what the shuffled sessions give. */
  lift: number;
  /** Steps minus mean actions in between. */
  cohesion: number;
  rank: number;
  /** Decimal logarithm of the corrected chance to see this by accident. */
  logChance: number;
  /** Sum of the weights of the supporting sessions. */
  weight: number;
  /** Where: index of the sequence and positions in it, repeats collapsed. */
  occurrences: { sequence: number; positions: number[] }[];
}

/**
 * Mines habits.
 *
 * @param sequences one array of symbols per session, in order; symbols are compared by identity.
 * @example
 * ```ts
 * mineHabits([["a", "x", "b", "c"], ["a", "b", "c"]], { settings: { minSupport: 2 } });
 * ```
 */
export function mineHabits<S>(
  sequences: readonly (readonly S[])[],
  options: MineOptions = {},
): Habit<S>[] {
  const settings = { ...defaults.habit, ...options.settings };
  const corpus = intern(sequences, {
    ...(options.groups ? { groups: options.groups } : {}),
    minSupport: settings.minSupport,
    minShare: settings.minShare,
    perOccurrence: options.perOccurrence ?? sequences.length < 3,
  });
  const shuffles = new Shuffles(corpus, settings.shuffles);
  const left = corpus.sequences.map((sequence) => sequence.slice());
  const triples = frequentTriples(corpus, settings.maxGap);
  const judge = { settings, options, triples: supportOf(corpus, triples) };
  const scored = (grown: Grown, round: number) => {
    const habit = scoreHabit(corpus, grown, judge);
    return habit ? [{ grown, habit, round }] : [];
  };
  const picked: { pattern: number[]; habit: Habit<S> }[] = [];
  let rounds = 0;
  let open = candidates(corpus, triples, settings).flatMap((grown) => scored(grown, 0)).sort(
    byRank,
  );
  while (picked.length < settings.maxHabits) {
    const best = open.shift();
    if (best === undefined) break;
    const { pattern, support, occurrences } = best.grown;
    if (best.round < rounds) {
      // what is left of it after earlier picks; its rank can only have fallen (lazy greedy)
      const rest = {
        ...occurrencesOf(corpus, pattern, settings.maxGap, left),
        isDoubtful: best.grown.isDoubtful ?? false,
      };
      open = [...open, ...scored(rest, rounds)].sort(byRank);
      continue;
    }
    const chance = shuffles.support(pattern, settings.maxGap);
    const spread = Math.max(chance.deviation, Math.sqrt(Math.max(chance.mean, 0.25)));
    if (occurrences.length <= chance.mean + settings.shuffleZ * spread) continue;
    const whole = occurrencesOf(corpus, pattern, settings.maxGap);
    // a habit that stands without some steps of one already picked: those steps are optional
    const longer = picked.findIndex((p) =>
      isPart(pattern, p.pattern) && 3 * pattern.length >= 2 * p.pattern.length
    );
    const habit = longer < 0 || whole.support === support
      ? best.habit
      : scoreHabit(corpus, whole, judge) ?? best.habit;
    const entry = {
      pattern,
      habit: { ...habit, optional: optionalSteps(corpus, whole, settings) },
    };
    if (longer < 0) picked.push(entry);
    else picked[longer] = entry;
    rounds++;
    for (const { sequence, positions } of occurrences) {
      for (const at of positions) left[sequence]![at] = -1;
    }
  }
  return picked.map(({ habit }) => habit);
}

interface Scored {
  grown: Grown;
  habit: { rank: number };
  /** Picks made when it was scored. */
  round: number;
}

function byRank(a: Scored, b: Scored): number {
  return Number(a.grown.isDoubtful ?? false) - Number(b.grown.isDoubtful ?? false) ||
    b.habit.rank - a.habit.rank || b.grown.pattern.length - a.grown.pattern.length ||
    compareText(a.grown.pattern.join(), b.grown.pattern.join());
}

/** Steps found in a good part of the occurrences, one per place. */
function optionalSteps<S>(
  corpus: Corpus<S>,
  grown: Grown,
  settings: HabitSettings,
): Habit<S>["optional"] {
  const taken = new Set<number>();
  return extensions(corpus, grown, settings).flatMap(({ slot, symbol, support }) => {
    const share = support / grown.support;
    const own = grown.pattern.includes(symbol);
    if (own || taken.has(slot) || share < settings.optional || share >= settings.closure) return [];
    taken.add(slot);
    return [{ before: slot, step: corpus.symbols[symbol]!, share }];
  }).sort((a, b) => a.before - b.before);
}
