/**
 * Contexts seen before, from one symbol to the longest: an interpolated Kneser-Ney estimate (Kneser
 * and Ney 1995; Chen and Goodman 1999) of what follows, for every order at once.
 *
 * The places of a symbol are sorted by what came before them (a suffix array of the history read
 * backwards, built of a symbol when it is first asked about), so that every context of any length is
 * one range of places.
 */

import type { HistoryLine } from "./history_line.ts";

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

/** The places of a history, sorted by what comes before each. */
export class SuffixMatch {
  /** By symbol: its places, sorted by the one before it, and so on. */
  readonly #sorted = new Map<number, Int32Array>();
  /** Half a time added to each symbol, so that no chance is zero. */
  readonly #total: number;

  constructor(private readonly line: HistoryLine) {
    this.#total = line.times.reduce((a, b) => a + b, line.times.length / 2);
  }

  /** What follows the end of `context`. */
  estimate(context: readonly number[]): Estimate {
    const chances = [(symbol: number) => (this.line.times[symbol]! + 0.5) / this.#total];
    const byOrder: Map<number, number>[] = [];
    const places = context.length > 0 ? this.#placesOf(context.at(-1)!) : new Int32Array();
    let from = 0, to = places.length, seen = 0;
    for (let k = 0; k < ORDERS && k < context.length; k++) {
      const symbol = context[context.length - 1 - k]!;
      from = this.#first(places, from, to, k, symbol);
      to = this.#first(places, from, to, k, symbol + 1);
      if (from === to) break;
      seen = to - from;
      const counts = new Map<number, number>();
      const step = Math.max(1, Math.ceil(seen / LOOKED_AT));
      let total = 0;
      for (let p = from; p < to; p += step, total++) {
        const follower = this.line.symbols[places[p]! + 1]!;
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

  #placesOf(symbol: number): Int32Array {
    let places = this.#sorted.get(symbol);
    if (places === undefined) {
      const line = this.line.symbols;
      places = this.line.placesOf(symbol).slice().sort((a, b) => {
        for (let k = 1; k < ORDERS; k++) {
          const difference = line[a - k]! - line[b - k]!;
          if (difference !== 0) return difference;
          if (line[a - k]! < 0) break;
        }
        return a - b;
      });
      this.#sorted.set(symbol, places);
    }
    return places;
  }

  /** First of `places` in [from, to) whose symbol `back` steps before is `symbol` or larger. */
  #first(places: Int32Array, from: number, to: number, back: number, symbol: number): number {
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.line.symbols[places[middle]! - back]! < symbol) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
