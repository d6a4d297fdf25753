/** Which steps belong to a pattern, beyond what the sessions would give it anyway. */

import type { Corpus } from "./corpus.ts";
import { type Grown, nearlyAll } from "./occurrences.ts";
import type { HabitSettings } from "./settings.ts";
import { tailBinomial, tailOfTrials } from "./statistics.ts";

/** Up to so many units the chance is computed exactly; of more, its bound is good enough and cheap. */
const FEW = 30;

/** A step that could be put before step `slot` (0: in front; length: at the end). */
export interface Extension {
  slot: number;
  symbol: number;
  support: number;
  occurrences: number;
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
    const belongs = nearlyAll(support, grown.support, settings.closure) &&
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
  const chances: number[] = [];
  let miss = 1, unit = -1;
  grown.occurrences.forEach(({ sequence: s, positions }, o) => {
    const own = corpus.perOccurrence ? o : corpus.group[s]!;
    if (own !== unit) {
      if (unit !== -1) chances.push(1 - miss);
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
  chances.push(1 - miss);
  return chances.length <= FEW
    ? tailOfTrials(seen, chances)
    : tailBinomial(seen, chances.length, chances.reduce((a, b) => a + b, 0));
}
