/**
 * The null hypothesis of habit mining: the same actions in the same sessions, in random order
 * (within-session permutation test). It keeps what a person does and how often, and takes away the
 * order, so that only order can be significant.
 */

import type { Corpus } from "./corpus.ts";
import { embeddings } from "./embeddings.ts";
import { hash, seededRandom, tailBinomial, tailPoisson } from "./statistics.ts";

/** What chance alone would give. */
export interface Expectation {
  /** Mean support under the null. */
  mean: number;
  /** Groups in which the pattern could occur at all. */
  possible: number;
  /** Mean number of places under the null, all groups together. */
  places: number;
}

/**
 * Mean support of `pattern` under the null, computed, not sampled: the number of gap-bounded places
 * times the chance of drawing the symbols in that order without replacement, per sequence; a group
 * shows it with probability 1 - exp(-sum).
 */
export function expectation<S>(
  corpus: Corpus<S>,
  pattern: readonly number[],
  maxGap: number,
): Expectation {
  const width = corpus.symbols.length;
  let mean = 0, possible = 0, all = 0, sum = 0;
  const close = () => {
    if (sum > 0) {
      mean += corpus.perOccurrence ? sum : 1 - Math.exp(-sum);
      possible++;
      all += sum;
    }
    sum = 0;
  };
  for (let s = 0; s < corpus.sequences.length; s++) {
    if (s > 0 && corpus.group[s] !== corpus.group[s - 1]) close();
    const length = corpus.sequences[s]!.length;
    if (length < pattern.length) continue;
    let chance = 1;
    for (let i = 0; i < pattern.length && chance > 0; i++) {
      let left = corpus.counts[s * width + pattern[i]!]!;
      for (let j = 0; j < i; j++) if (pattern[j] === pattern[i]) left--;
      chance *= left > 0 ? left / (length - i) : 0;
    }
    if (chance > 0) sum += chance * places(pattern.length, length, maxGap);
  }
  close();
  return { mean, possible, places: all };
}

/**
 * Natural logarithm of a bound of the chance to see this much under the null: so many groups with
 * the pattern, or so many separate occurrences (a habit done several times a session); the better
 * of the two, with the factor 2 that trying both costs.
 */
export function logChance(support: number, occurrences: number, e: Expectation): number {
  return Math.min(
    0,
    Math.LN2 +
      Math.min(tailBinomial(support, e.possible, e.mean), tailPoisson(occurrences, e.places)),
  );
}

const spans = new Map<number, number[]>();

/** Ways to put `steps` increasing positions with at most `maxGap` between them into `length`. */
function places(steps: number, length: number, maxGap: number): number {
  const key = steps * 64 + maxGap;
  let ways = spans.get(key);
  if (ways === undefined) {
    ways = [1];
    for (let i = 1; i < steps; i++) {
      const next = new Array<number>(ways.length + maxGap + 1).fill(0);
      ways.forEach((w, d) => {
        for (let step = 1; step <= maxGap + 1; step++) next[d + step]! += w;
      });
      ways = next;
    }
    if (spans.size > 500) spans.clear();
    spans.set(key, ways);
  }
  let total = 0;
  for (let d = 0; d < ways.length && d < length; d++) total += ways[d]! * (length - d);
  return total;
}

/** Seeded shuffles of a corpus, made when first needed. Same content, same shuffles. */
export class Shuffles<S> {
  readonly #made = new Map<number, Int32Array[]>();
  readonly #seeds: number[];

  constructor(readonly corpus: Corpus<S>, readonly rounds: number) {
    const twins = new Map<number, number>();
    this.#seeds = corpus.sequences.map((sequence) => {
      const content = hash(sequence.join(","));
      const twin = twins.get(content) ?? 0;
      twins.set(content, twin + 1);
      return hash(String(twin), content);
    });
  }

  /** Mean and standard deviation, over the rounds, of the number of separate occurrences. */
  support(pattern: readonly number[], maxGap: number): { mean: number; deviation: number } {
    const { corpus, rounds } = this;
    const found = new Array<number>(rounds).fill(0);
    const width = corpus.symbols.length;
    for (let s = 0; s < corpus.sequences.length; s++) {
      if (!pattern.every((v) => corpus.counts[s * width + v]! > 0)) continue;
      this.#of(s).forEach((shuffled, r) => {
        found[r]! += embeddings(pattern, shuffled, maxGap).length;
      });
    }
    const mean = found.reduce((a, b) => a + b, 0) / rounds;
    const variance = found.reduce((a, b) => a + (b - mean) ** 2, 0) / rounds;
    return { mean, deviation: Math.sqrt(variance) };
  }

  #of(s: number): Int32Array[] {
    let made = this.#made.get(s);
    if (made === undefined) {
      const random = seededRandom(this.#seeds[s]!);
      made = Array.from({ length: this.rounds }, () => {
        const copy = this.corpus.sequences[s]!.slice();
        for (let i = copy.length - 1; i > 0; i--) {
          const j = Math.floor(random() * (i + 1));
          const held = copy[i]!;
          copy[i] = copy[j]!;
          copy[j] = held;
        }
        return copy;
      });
      this.#made.set(s, made);
    }
    return made;
  }
}
