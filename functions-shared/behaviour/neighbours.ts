/** Sequences like this one, and what came after the shared part. */

import { largest } from "./largest.ts";
import type { Scores } from "./next_experts.ts";

/** Symbols of the context that are compared, and how their weight falls with age. */
const CONTEXT = 8;
const RECENCY = 0.8;
/** Newest sequences of a symbol that are looked at, and best ones that vote. */
const LOOKED_AT = 1_000;
const VOTERS = 100;
/** Actions after the shared part that get a vote, and how it falls with distance. */
const AHEAD = 8;
const DISTANCE = 0.7;
/** Similarity is raised to this power: two shared symbols are worth more than twice one. */
const SHARPNESS = 3;

/** Inverted index over sequences. */
export class Neighbours {
  /** Sequences each symbol is in. */
  readonly #of: number[][];

  constructor(private readonly sequences: readonly Int32Array[], symbols: number) {
    this.#of = Array.from({ length: symbols }, () => []);
    sequences.forEach((sequence, s) => {
      for (const symbol of sequence) {
        const list = this.#of[symbol]!;
        if (list.at(-1) !== s) list.push(s);
      }
    });
  }

  /**
   * Votes of the most similar sequences, with what came after the last shared symbol: once falling
   * with distance, once for all that came after alike, as in a set.
   */
  scores(context: readonly number[]): [soon: Scores, alike: Scores] {
    const recent = context.slice(-CONTEXT);
    const weights = new Map<number, number>();
    recent.forEach((symbol, i) => {
      const rarity = Math.log(1 + this.sequences.length / (1 + this.#of[symbol]!.length));
      weights.set(symbol, RECENCY ** (recent.length - 1 - i) * rarity);
    });
    const similar = new Map<number, number>();
    for (const [symbol, weight] of weights) {
      for (const s of this.#of[symbol]!.slice(-LOOKED_AT)) {
        similar.set(s, (similar.get(s) ?? 0) + weight);
      }
    }
    const voters = largest(similar, VOTERS, true);
    const soon: Scores = new Map(), alike: Scores = new Map();
    const most = voters[0]?.[1] ?? 1;
    for (const [s, similarity] of voters) {
      const sequence = this.sequences[s]!;
      let last = sequence.length - 1;
      while (last >= 0 && !weights.has(sequence[last]!)) last--;
      // nothing after the last shared symbol: look after the newest symbol of the context
      if (last === sequence.length - 1) last = sequence.lastIndexOf(recent.at(-1)!, last - 1);
      if (last < 0) continue;
      const vote = (similarity / most) ** SHARPNESS;
      let faded = vote;
      for (let d = 1; d <= AHEAD && last + d < sequence.length; d++, faded *= DISTANCE) {
        const symbol = sequence[last + d]!;
        soon.set(symbol, (soon.get(symbol) ?? 0) + faded);
        alike.set(symbol, (alike.get(symbol) ?? 0) + vote);
      }
    }
    return [soon, alike];
  }
}
