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
import { bystander, extensions, grow, type Grown, loops, occurrencesOf } from "./grow_habit.ts";
import { defaults, type HabitSettings } from "./settings.ts";
import { expectation, logChance, Shuffles } from "./shuffle_null.ts";
import { compareText, wilsonLower } from "./statistics.ts";
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
  const scored = (grown: Grown, round: number) => {
    const habit = describe(corpus, grown, settings, options);
    return habit ? [{ grown, habit, round }] : [];
  };
  const picked: { pattern: number[]; habit: Habit<S> }[] = [];
  let rounds = 0;
  let open = candidates(corpus, settings).flatMap((grown) => scored(grown, 0)).sort(byRank);
  while (picked.length < settings.maxHabits) {
    const best = open.shift();
    if (best === undefined) break;
    const { pattern, support, occurrences } = best.grown;
    if (best.round < rounds) {
      // what is left of it after earlier picks; its rank can only have fallen (lazy greedy)
      const rest = occurrencesOf(corpus, pattern, settings.maxGap, left);
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
      : describe(corpus, whole, settings, options) ?? best.habit;
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
  return b.habit.rank - a.habit.rank || b.grown.pattern.length - a.grown.pattern.length ||
    compareText(a.grown.pattern.join(), b.grown.pattern.join());
}

/** Closed patterns around every triple that chance alone hardly explains. */
function candidates<S>(corpus: Corpus<S>, settings: HabitSettings): Grown[] {
  const actions = corpus.sequences.reduce((sum, sequence) => sum + sequence.length, 1);
  const seedLimit = Math.min(
    settings.maxSeeds,
    Math.max(40, Math.floor(settings.maxWork / actions)),
  );
  const seeds = frequentTriples(corpus, settings.maxGap)
    // a seed that repeats itself starts in the middle of a round; growth adds repeats where they belong
    .filter(({ pattern }) => new Set(pattern).size === 3)
    .map(({ pattern, groups, occurrences }) => ({
      pattern: pattern as number[],
      support: corpus.perOccurrence ? occurrences : groups,
      chance: logChance(groups, occurrences, expectation(corpus, pattern, settings.maxGap)),
    }))
    .filter(({ chance }) => chance <= Math.log(settings.alpha))
    .sort((a, b) => a.chance - b.chance || compareText(a.pattern.join(), b.pattern.join()))
    .slice(0, seedLimit);
  const found: Grown[] = [];
  const visited = new Set<string>();
  const queue: { pattern: number[]; support: number }[] = seeds;
  for (let at = 0; at < queue.length && visited.size < 2 * seedLimit; at++) {
    const { pattern, support } = queue[at]!;
    if (!isNew(pattern, visited)) continue;
    // a part of something already found with (nearly) the same support says nothing new
    const known = found.some((g) =>
      g.support >= settings.closure * support && isPart(pattern, g.pattern)
    );
    if (known) continue;
    const { closed, branches } = grow(corpus, pattern, settings);
    if (closed.pattern.length > pattern.length && !isNew(closed.pattern, visited)) continue;
    const extra = bystander(corpus, closed.pattern, settings);
    if (extra !== undefined) {
      const rest = closed.pattern.toSpliced(extra, 1);
      if (rest.length >= settings.minLength && !loops(rest)) {
        queue.push({ pattern: rest, support: closed.support });
      }
      continue;
    }
    const turned = startAtTheStart(corpus, closed, settings);
    if (turned !== closed && !isNew(turned.pattern, visited)) continue;
    found.push(turned);
    for (const branch of branches) queue.push({ pattern: branch, support: closed.support });
  }
  return found;
}

function isNew(pattern: readonly number[], visited: Set<string>): boolean {
  const size = visited.size;
  return visited.add(pattern.join()).size > size;
}

/** Scores a pattern by its (remaining) occurrences; undefined when it is no habit. */
function describe<S>(
  corpus: Corpus<S>,
  grown: Grown,
  settings: HabitSettings,
  options: MineOptions,
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
    // a second round adds steps, not substance
    rank: confidence * Math.log1p(weight) * (cohesion - length + new Set(pattern).size),
    logChance: corrected / Math.LN10,
    weight,
    occurrences,
  };
}

function groupsOf<S>(corpus: Corpus<S>, occurrences: Grown["occurrences"]): number {
  return new Set(occurrences.map((o) => corpus.group[o.sequence])).size;
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

/**
 * A habit done several times in a row is found at any of its rotations: the one that most sessions
 * begin with is the habit.
 */
function startAtTheStart<S>(corpus: Corpus<S>, grown: Grown, settings: HabitSettings): Grown {
  const closes = grown.pattern.length > settings.minLength &&
    grown.pattern[0] === grown.pattern.at(-1);
  const core = closes ? grown.pattern.slice(0, -1) : grown.pattern;
  const again = occurrencesOf(corpus, [...core, ...core.slice(0, 2)], settings.maxGap);
  if (again.support < grown.support / 2) return grown;
  const firsts = new Map<number, number>();
  for (const { sequence, positions } of again.occurrences) {
    const line = corpus.sequences[sequence]!;
    const first = line.findIndex((v) => core.includes(v));
    if (first <= positions[0]!) firsts.set(line[first]!, (firsts.get(line[first]!) ?? 0) + 1);
  }
  let best = grown, most = 0;
  for (let turn = 0; turn < core.length; turn++) {
    const begins = firsts.get(core[turn]!) ?? 0;
    if (begins <= most) continue;
    const turned = [...core.slice(turn), ...core.slice(0, turn)];
    const rotated = turn === 0 && !closes ? grown : occurrencesOf(corpus, turned, settings.maxGap);
    if (rotated.support < settings.closure * grown.support) continue;
    best = rotated;
    most = begins;
  }
  return best;
}

/** Whether `part` is a subsequence of `whole`. */
function isPart(part: readonly number[], whole: readonly number[]): boolean {
  let at = 0;
  for (const v of whole) if (v === part[at]) at++;
  return at === part.length;
}
