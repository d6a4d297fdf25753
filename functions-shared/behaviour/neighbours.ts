/** Sequences like this one, and what came after the shared part. */

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
   * Votes of the most similar sequences, with what came after the last shared symbol.
   *
   * @param fading how a vote falls with distance; 1: all that came after, as in a set.
   */
  scores(context: readonly number[], fading = DISTANCE): Scores {
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
    const voters = [...similar].sort((a, b) => b[1] - a[1] || b[0] - a[0]).slice(0, VOTERS);
    const scores: Scores = new Map();
    const most = voters[0]?.[1] ?? 1;
    for (const [s, similarity] of voters) {
      const sequence = this.sequences[s]!;
      let last = sequence.length - 1;
      while (last >= 0 && !weights.has(sequence[last]!)) last--;
      // nothing after the last shared symbol: look after the newest symbol of the context
      if (last === sequence.length - 1) last = sequence.lastIndexOf(recent.at(-1)!, last - 1);
      if (last < 0) continue;
      const vote = (similarity / most) ** SHARPNESS;
      for (let d = 1; d <= AHEAD && last + d < sequence.length; d++) {
        const symbol = sequence[last + d]!;
        scores.set(symbol, (scores.get(symbol) ?? 0) + vote * fading ** (d - 1));
      }
    }
    return scores;
  }
}
