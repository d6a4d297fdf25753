/** Longest context seen before: prediction by partial matching, on the history itself. */

import type { Scores } from "./next_views.ts";

/** Longest context compared, and newest places looked at. */
const ORDER = 5;
const LOOKED_AT = 4_000;

/** The history as one line, and where each symbol stands in it. */
export class SuffixMatch {
  readonly #line: Int32Array;
  readonly #places: number[][];

  constructor(sequences: readonly Int32Array[], symbols: number) {
    this.#line = new Int32Array(sequences.reduce((sum, s) => sum + s.length + 1, 0)).fill(-1);
    this.#places = Array.from({ length: symbols }, () => []);
    let at = 0;
    for (const sequence of sequences) {
      this.#line.set(sequence, at);
      for (let i = 0; i + 1 < sequence.length; i++) this.#places[sequence[i]!]!.push(at + i);
      at += sequence.length + 1;
    }
  }

  /** From the longest known context down; a shorter one gets what the longer leaves (escape C). */
  scores(context: readonly number[]): Scores {
    const followers = Array.from({ length: ORDER }, () => new Map<number, number>());
    const totals = new Array<number>(ORDER).fill(0);
    const places = this.#places[context.at(-1) ?? -1] ?? [];
    for (let p = places.length - 1, end = Math.max(0, places.length - LOOKED_AT); p >= end; p--) {
      const place = places[p]!;
      const follower = this.#line[place + 1]!;
      for (let k = 0; k < ORDER && k < context.length; k++) {
        if (this.#line[place - k] !== context[context.length - 1 - k]) break;
        followers[k]!.set(follower, (followers[k]!.get(follower) ?? 0) + 1);
        totals[k]!++;
      }
    }
    const scores: Scores = new Map();
    let left = 1;
    for (let k = ORDER - 1; k >= 0; k--) {
      const total = totals[k]!, kinds = followers[k]!.size;
      if (total === 0) continue;
      const escape = kinds / (total + kinds);
      for (const [symbol, count] of followers[k]!) {
        scores.set(symbol, (scores.get(symbol) ?? 0) + left * (1 - escape) * count / total);
      }
      left *= escape;
    }
    return scores;
  }
}
