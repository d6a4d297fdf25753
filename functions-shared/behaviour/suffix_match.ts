/**
 * Contexts seen before, from one symbol to the longest: an interpolated Kneser-Ney estimate (Kneser
 * and Ney 1995; Chen and Goodman 1999) of what follows, for every order at once.
 *
 * The history is one line; its places are sorted by what came before them (a suffix array of the
 * line read backwards), so that every context of any length is one range of places.
 */

/** Longest context compared. */
export const ORDERS = 6;
/** Places of a context that are counted; of more, every n-th. */
const LOOKED_AT = 600;
/** Taken off every count and given to the shorter context (Chen and Goodman's usual value). */
const DISCOUNT = 0.7;

/** Estimates of one context: by order, probability of each follower; lower orders have more. */
export interface Estimate {
  /** Longest order the history knows, 0..ORDERS. */
  order: number;
  /** How often that context was seen. */
  seen: number;
  /** `chance(symbol)` by order 0..`order`. */
  chances: ((symbol: number) => number)[];
  /** Followers seen in any context of order 1 or more, most specific first. */
  followers: number[];
}

/** The history as one line, sorted by what comes before each place. */
export class SuffixMatch {
  readonly #line: Int32Array;
  /** Places that have a follower, sorted by their symbol, the one before it, and so on. */
  readonly #places: Int32Array;
  readonly #popularity: Float64Array;

  constructor(sequences: readonly Int32Array[], symbols: number) {
    const line = new Int32Array(sequences.reduce((sum, s) => sum + s.length + 1, 1)).fill(-1);
    const places: number[] = [];
    this.#popularity = new Float64Array(symbols).fill(0.5);
    let at = 1, total = symbols / 2;
    for (const sequence of sequences) {
      line.set(sequence, at);
      for (let i = 0; i < sequence.length; i++) {
        this.#popularity[sequence[i]!]!++;
        total++;
        if (i + 1 < sequence.length) places.push(at + i);
      }
      at += sequence.length + 1;
    }
    for (let s = 0; s < symbols; s++) this.#popularity[s]! /= total;
    this.#line = line;
    this.#places = Int32Array.from(places).sort((a, b) => {
      for (let k = 0; k < ORDERS; k++) {
        const difference = line[a - k]! - line[b - k]!;
        if (difference !== 0) return difference;
        if (line[a - k]! < 0) break;
      }
      return a - b;
    });
  }

  /** How often a symbol comes at all. */
  popularity(symbol: number): number {
    return this.#popularity[symbol]!;
  }

  /** What follows the end of `context`. */
  estimate(context: readonly number[]): Estimate {
    const chances = [(symbol: number) => this.#popularity[symbol]!];
    const byOrder: Map<number, number>[] = [];
    let from = 0, to = this.#places.length, seen = 0;
    for (let k = 0; k < ORDERS && k < context.length; k++) {
      const symbol = context[context.length - 1 - k]!;
      from = this.#first(from, to, k, symbol);
      to = this.#first(from, to, k, symbol + 1);
      if (from === to) break;
      seen = to - from;
      const counts = new Map<number, number>();
      const step = Math.max(1, Math.ceil(seen / LOOKED_AT));
      let total = 0;
      for (let p = from; p < to; p += step, total++) {
        const follower = this.#line[this.#places[p]! + 1]!;
        counts.set(follower, (counts.get(follower) ?? 0) + 1);
      }
      const lower = chances[k]!;
      const rest = DISCOUNT * counts.size / total;
      chances.push((symbol) =>
        Math.max(0, (counts.get(symbol) ?? 0) - DISCOUNT) / total + rest * lower(symbol)
      );
      byOrder.push(counts);
    }
    const followers = new Set<number>();
    for (const counts of byOrder.reverse()) {
      for (const [symbol] of [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])) {
        followers.add(symbol);
      }
    }
    return { order: chances.length - 1, seen, chances, followers: [...followers] };
  }

  /** First place in [from, to) whose symbol `back` steps before is `symbol` or larger. */
  #first(from: number, to: number, back: number, symbol: number): number {
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#line[this.#places[middle]! - back]! < symbol) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
