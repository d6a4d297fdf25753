/** Which symbol follows which, at which distance (a dependency graph with a memory for distance). */

import type { HistoryLine } from "./history_line.ts";
import type { Scores } from "./next_experts.ts";

const REACH = 8;
/** Weight of a context symbol falls with its distance from now. */
const RECENCY = 0.7;
/** A count at another distance than asked for counts less per step of difference. */
const BLUR = 0.8;
/** Targets remembered per symbol. */
const TARGETS = 200;

/** Counts at distances 1 to 8, as their blurred sums; of a symbol when it is first asked about. */
export class DistanceKernel {
  /** By symbol: followers with a weight for each distance. */
  readonly #followers = new Map<number, Map<number, Float32Array>>();

  constructor(private readonly line: HistoryLine) {}

  /** Votes of the last symbols of the context. */
  scores(context: readonly number[]): Scores {
    const scores: Scores = new Map();
    for (let d = 1; d <= REACH && d <= context.length; d++) {
      const from = context[context.length - d]!;
      const weight = RECENCY ** (d - 1) / (this.line.times[from]! + 2);
      for (const [to, row] of this.#followersOf(from)) {
        scores.set(to, (scores.get(to) ?? 0) + weight * row[d - 1]!);
      }
    }
    return scores;
  }

  #followersOf(from: number): Map<number, Float32Array> {
    let followers = this.#followers.get(from);
    if (followers !== undefined) return followers;
    const counts = new Map<number, Float32Array>();
    const { symbols } = this.line;
    for (const place of this.line.placesOf(from)) {
      for (let d = 1; d <= REACH && symbols[place + d]! >= 0; d++) {
        const to = symbols[place + d]!;
        let row = counts.get(to);
        if (row === undefined) counts.set(to, row = new Float32Array(REACH));
        row[d - 1]!++;
      }
    }
    const sum = (row: Float32Array) => row.reduce((a, b) => a + b, 0);
    const kept = [...counts].sort((a, b) => sum(b[1]) - sum(a[1]) || a[0] - b[0]).slice(0, TARGETS);
    followers = new Map(kept.map(([to, row]) => [to, blurred(row)]));
    this.#followers.set(from, followers);
    return followers;
  }
}

function blurred(row: Float32Array): Float32Array {
  return row.map((_, d) => {
    let sum = 0;
    row.forEach((count, e) => sum += count * BLUR ** Math.abs(e - d));
    return sum;
  });
}
