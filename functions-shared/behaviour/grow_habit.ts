/** From a seed to the closed pattern around it. */

import type { Corpus } from "./corpus.ts";
import { type Extension, extensions } from "./extensions.ts";
import { type Grown, nearlyAll, type Occurrence, occurrencesOf } from "./occurrences.ts";
import type { HabitSettings } from "./settings.ts";

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
      if (nearlyAll(extension.support, closed.support, settings.closure)) {
        const longer = extend(corpus, closed, extension, pattern, settings.maxGap + 1);
        if (nearlyAll(longer.occurrences.length, closed.occurrences.length, settings.closure)) {
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
