/** From a seed to the closed pattern around it. */

import type { Corpus } from "./corpus.ts";
import { embeddings } from "./embeddings.ts";
import type { HabitSettings } from "./settings.ts";
import { tailBinomial } from "./statistics.ts";

/** Where a pattern occurs. */
export interface Occurrence {
  sequence: number;
  positions: number[];
}

/** A pattern with all its separate occurrences. */
export interface Grown {
  pattern: number[];
  /** Groups, or occurrences in a corpus without sessions. */
  support: number;
  occurrences: Occurrence[];
}

/** A step that could be put before step `slot` (0: in front; length: at the end). */
export interface Extension {
  slot: number;
  symbol: number;
  support: number;
  occurrences: number;
}

/** All occurrences of a pattern in `sequences` (the corpus' own, or what is left of them). */
export function occurrencesOf<S>(
  corpus: Corpus<S>,
  pattern: readonly number[],
  maxGap: number,
  sequences: readonly Int32Array[] = corpus.sequences,
  among?: readonly number[],
): Grown {
  const width = corpus.symbols.length;
  const occurrences: Occurrence[] = [];
  let support = 0, last = -1;
  const visit = (s: number) => {
    for (const v of pattern) if (corpus.counts[s * width + v] === 0) return;
    const found = embeddings(pattern, sequences[s]!, maxGap);
    if (found.length === 0) return;
    if (corpus.perOccurrence) support += found.length;
    else if (corpus.group[s] !== last) support++;
    last = corpus.group[s]!;
    for (const positions of found) occurrences.push({ sequence: s, positions });
  };
  if (among) { for (const s of among) visit(s); }
  else for (let s = 0; s < sequences.length; s++) visit(s);
  return { pattern: [...pattern], support, occurrences };
}

interface Tally {
  /** Units that have the step at most this far from its neighbour, by distance from 1. */
  within: number[];
  last: number;
  nearest: number;
  occurrences: number;
}

/**
 * Steps that belong to the pattern, best first: seen in enough of its units, and either beyond what
 * the rest of the same sessions explains (the extension rule: base rate within the gap, corrected
 * for all symbols, places and distances tried) or hardly ever seen elsewhere.
 */
export function extensions<S>(
  corpus: Corpus<S>,
  grown: Grown,
  settings: HabitSettings,
): Extension[] {
  const { pattern, occurrences } = grown;
  const width = corpus.symbols.length, steps = pattern.length, reach = settings.maxGap + 1;
  const tallies = new Map<number, Tally>();
  occurrences.forEach(({ sequence: s, positions }, o) => {
    const sequence = corpus.sequences[s]!;
    const unit = corpus.perOccurrence ? o : corpus.group[s]!;
    const note = (slot: number, at: number, distance: number) => {
      const symbol = sequence[at];
      if (symbol === undefined || symbol < 0) return;
      const key = slot * width + symbol;
      let tally = tallies.get(key);
      if (tally === undefined) {
        tally = { within: new Array<number>(reach).fill(0), last: -1, nearest: 0, occurrences: 0 };
        tallies.set(key, tally);
      }
      if (tally.last !== unit) tally.nearest = reach + 1;
      tally.last = unit;
      tally.occurrences++;
      for (let d = distance; d < tally.nearest && d <= reach; d++) tally.within[d - 1]!++;
      tally.nearest = Math.min(tally.nearest, distance);
    };
    for (let d = 1; d <= reach; d++) {
      note(0, positions[0]! - d, d);
      note(steps, positions[steps - 1]! + d, d);
    }
    for (let i = 1; i < steps; i++) {
      for (let at = positions[i - 1]! + 1; at < positions[i]!; at++) note(i, at, 1);
    }
  });
  const limit = Math.log(settings.extensionAlpha / (width * (steps + 1) * reach));
  const found: Extension[] = [];
  for (const [key, tally] of tallies) {
    const support = tally.within[reach - 1]!;
    if (support < Math.max(corpus.minSupport, settings.optional * grown.support)) continue;
    const slot = Math.floor(key / width), symbol = key % width;
    const inside = pattern.filter((v) => v === symbol).length;
    const elsewhere = corpus.totals[symbol]! - inside * occurrences.length;
    const inner = slot > 0 && slot < steps;
    const belongs = support >= settings.closure * grown.support &&
      tally.occurrences >= settings.belonging * elsewhere;
    if (
      belongs || tally.within.some((seen, i) =>
        (!inner || i === reach - 1) &&
        chanceOf(corpus, grown, slot, symbol, inside, seen, i + 1) <= limit
      )
    ) found.push({ slot, symbol, support, occurrences: tally.occurrences });
  }
  const outer = (e: Extension) => Number(e.slot === 0 || e.slot === steps);
  return found.sort((a, b) =>
    b.support - a.support || outer(a) - outer(b) || b.occurrences - a.occurrences ||
    b.slot - a.slot || a.symbol - b.symbol
  );
}

/** Log chance that the rest of the same sessions puts `symbol` into `slot` this often. */
function chanceOf<S>(
  corpus: Corpus<S>,
  grown: Grown,
  slot: number,
  symbol: number,
  inside: number,
  seen: number,
  reach: number,
): number {
  const width = corpus.symbols.length, steps = grown.pattern.length;
  let mean = 0, units = 0, miss = 1, unit = -1;
  grown.occurrences.forEach(({ sequence: s, positions }, o) => {
    const own = corpus.perOccurrence ? o : corpus.group[s]!;
    if (own !== unit) {
      if (units > 0) mean += 1 - miss;
      units++;
      miss = 1;
      unit = own;
    }
    const length = corpus.sequences[s]!.length;
    const room = slot === 0
      ? Math.min(reach, positions[0]!)
      : slot === steps
      ? Math.min(reach, length - 1 - positions[steps - 1]!)
      : positions[slot]! - positions[slot - 1]! - 1;
    const others = Math.max(0, corpus.counts[s * width + symbol]! - inside);
    const rate = others / Math.max(1, length - steps);
    miss *= Math.pow(1 - Math.min(1, rate), room);
  });
  mean += 1 - miss;
  return tailBinomial(seen, units, mean);
}

/**
 * Adds belonging steps while the pattern keeps its support (delta-closure), then names the
 * branches: longer patterns with clearly less support.
 */
export function grow<S>(
  corpus: Corpus<S>,
  seed: readonly number[],
  settings: HabitSettings,
): { closed: Grown; branches: number[][] } {
  let closed = occurrencesOf(corpus, seed, settings.maxGap);
  for (;;) {
    let next: Grown | undefined;
    const branches: number[][] = [];
    for (const extension of extensions(corpus, closed, settings)) {
      const pattern = closed.pattern.toSpliced(extension.slot, 0, extension.symbol);
      if (pattern.length > settings.maxLength || loops(pattern)) continue;
      if (extension.support >= settings.closure * closed.support) {
        const longer = extend(corpus, closed, extension, pattern, settings.maxGap + 1);
        if (longer.occurrences.length >= settings.closure * closed.occurrences.length) {
          next = longer;
          break;
        }
      }
      // a step that comes again only now and then begins the next round
      if (!closed.pattern.includes(extension.symbol)) branches.push(pattern);
    }
    if (next !== undefined) {
      closed = next;
      continue;
    }
    // extending in place may have missed another way to fit the longer pattern in
    return { closed: occurrencesOf(corpus, closed.pattern, settings.maxGap), branches };
  }
}

/** The occurrences that have one step more, found beside or between the steps they have. */
function extend<S>(
  corpus: Corpus<S>,
  grown: Grown,
  { slot, symbol, support }: Extension,
  pattern: number[],
  reach: number,
): Grown {
  const occurrences: Occurrence[] = [];
  let last = -1, taken = -1;
  for (const { sequence, positions } of grown.occurrences) {
    const line = corpus.sequences[sequence]!;
    const before = positions[slot - 1], after = positions[slot];
    let at = -1;
    if (before === undefined) {
      for (let i = after! - 1; i >= after! - reach && at < 0; i--) if (line[i] === symbol) at = i;
    } else {
      const end = Math.min(after ?? line.length, before + 1 + reach);
      for (let i = before + 1; i < end && at < 0; i++) if (line[i] === symbol) at = i;
    }
    if (at < 0) continue;
    const longer = positions.toSpliced(slot, 0, at);
    if (sequence === last && longer[0]! <= taken) continue;
    last = sequence;
    taken = longer.at(-1)!;
    occurrences.push({ sequence, positions: longer });
  }
  return { pattern, support, occurrences };
}

/**
 * The first step that does not belong: without it, the rest would not call for it (a seed may bring
 * a bystander along). Undefined when every step carries its weight.
 */
export function bystander<S>(
  corpus: Corpus<S>,
  pattern: readonly number[],
  settings: HabitSettings,
): number | undefined {
  for (let i = pattern.length - 1; i >= 0; i--) {
    const rest = occurrencesOf(corpus, pattern.toSpliced(i, 1), settings.maxGap);
    if (rest.support < corpus.minSupport) continue;
    const called = extensions(corpus, rest, settings).some((e) =>
      e.slot === i && e.symbol === pattern[i]
    );
    if (!called) return i;
  }
  return undefined;
}

/** A pattern that runs into its own second round: its last two steps repeat its first two. */
export function loops(pattern: readonly number[]): boolean {
  for (let period = 1; period <= pattern.length - 2; period++) {
    let same = true;
    for (let i = period; i < pattern.length && same; i++) same = pattern[i] === pattern[i - period];
    if (same) return true;
  }
  return false;
}
