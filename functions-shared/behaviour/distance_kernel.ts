/** Which symbol follows which, at which distance (a dependency graph with a memory for distance). */

import type { Scores } from "./next_experts.ts";

const REACH = 8;
/** Weight of a context symbol falls with its distance from now. */
const RECENCY = 0.7;
/** A count at another distance than asked for counts less per step of difference. */
const BLUR = 0.8;
/** Targets remembered per symbol. */
const TARGETS = 200;

/** Counts at distances 1 to 8, kept as their blurred sums. */
export class DistanceKernel {
  /** For each symbol: followers with a weight for each distance. */
  readonly #followers: Map<number, Float32Array>[];
  readonly #seen: Int32Array;

  constructor(sequences: readonly Int32Array[], symbols: number) {
    this.#seen = new Int32Array(symbols);
    const counts = Array.from({ length: symbols }, () => new Map<number, Float32Array>());
    for (const sequence of sequences) {
      for (let i = 0; i < sequence.length; i++) {
        const from = sequence[i]!;
        this.#seen[from]!++;
        for (let d = 1; d <= REACH && i + d < sequence.length; d++) {
          const to = sequence[i + d]!;
          let row = counts[from]!.get(to);
          if (row === undefined) counts[from]!.set(to, row = new Float32Array(REACH));
          row[d - 1]!++;
        }
      }
    }
    this.#followers = counts.map((targets) => {
      const sum = (row: Float32Array) => row.reduce((a, b) => a + b, 0);
      const kept = [...targets].sort((a, b) => sum(b[1]) - sum(a[1]) || a[0] - b[0])
        .slice(0, TARGETS);
      return new Map(kept.map(([to, row]) => [to, blurred(row)]));
    });
  }

  /** Votes of the last symbols of the context. */
  scores(context: readonly number[]): Scores {
    const scores: Scores = new Map();
    for (let d = 1; d <= REACH && d <= context.length; d++) {
      const from = context[context.length - d]!;
      const weight = RECENCY ** (d - 1) / (this.#seen[from]! + 2);
      for (const [to, row] of this.#followers[from]!) {
        scores.set(to, (scores.get(to) ?? 0) + weight * row[d - 1]!);
      }
    }
    return scores;
  }
}

function blurred(row: Float32Array): Float32Array {
  return row.map((_, d) => {
    let sum = 0;
    row.forEach((count, e) => sum += count * BLUR ** Math.abs(e - d));
    return sum;
  });
}
