/** Passages like this one: places in the history where most of the context has just been. */

import type { Scores } from "./next_experts.ts";

/** Symbols of the context that may anchor a passage, and how much less an older one is worth. */
const ANCHORS = 3;
const ANCHOR_AGE = 0.6;
/** Newest places of an anchor that are looked at. */
const LOOKED_AT = 600;
/** How far back of the anchor the rest of the context is looked for. */
const BACK = 12;
const RECENCY = 0.85;
const AHEAD = 6;
const DISTANCE = 0.7;
/** Shared context is raised to this power. */
const SHARPNESS = 4;

/** The history as one line, and where each symbol stands in it. */
export class Passages {
  readonly #line: Int32Array;
  readonly #places: number[][];

  constructor(sequences: readonly Int32Array[], symbols: number) {
    this.#line = new Int32Array(sequences.reduce((sum, s) => sum + s.length + 1, 1)).fill(-1);
    this.#places = Array.from({ length: symbols }, () => []);
    let at = 1;
    for (const sequence of sequences) {
      this.#line.set(sequence, at);
      for (let i = 0; i + 1 < sequence.length; i++) this.#places[sequence[i]!]!.push(at + i);
      at += sequence.length + 1;
    }
  }

  /** Votes of the places that share most, with what came next there. */
  scores(context: readonly number[]): Scores {
    const weights = new Map<number, number>();
    let whole = 0;
    context.forEach((symbol, i) => weights.set(symbol, RECENCY ** (context.length - 1 - i)));
    for (const weight of weights.values()) whole += weight;
    const scores: Scores = new Map();
    for (let age = 0; age < ANCHORS && age < context.length; age++) {
      const places = this.#places[context[context.length - 1 - age]!]!;
      for (let p = Math.max(0, places.length - LOOKED_AT); p < places.length; p++) {
        const place = places[p]!;
        let shared = 0;
        const seen = new Set<number>();
        for (let i = place; i > place - BACK && this.#line[i]! >= 0; i--) {
          const symbol = this.#line[i]!;
          if (seen.has(symbol)) continue;
          seen.add(symbol);
          shared += weights.get(symbol) ?? 0;
        }
        const vote = ANCHOR_AGE ** age * (shared / whole) ** SHARPNESS;
        for (let d = 1; d <= AHEAD && this.#line[place + d]! >= 0; d++) {
          const symbol = this.#line[place + d]!;
          scores.set(symbol, (scores.get(symbol) ?? 0) + vote * DISTANCE ** (d - 1));
        }
      }
    }
    return scores;
  }
}
