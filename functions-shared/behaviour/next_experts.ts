/** What is known about each symbol that may come next: one row of evidence per candidate. */

import { DistanceKernel } from "./distance_kernel.ts";
import { HistoryLine } from "./history_line.ts";
import { Neighbours } from "./neighbours.ts";
import { Passages } from "./passages.ts";
import { ORDERS, SuffixMatch } from "./suffix_match.ts";

/** Scores by symbol. */
export type Scores = Map<number, number>;

/** Symbols of the context that count. */
export const CONTEXT = 8;
/** Best symbols of each expert that become candidates. */
const CANDIDATES = 25;
/** Part of an expert's opinion that is left to how common a symbol is: no chance is zero. */
const DOUBT = 0.02;

/** Evidence about the candidates for one context. */
export interface Evidence {
  candidates: number[];
  /** `FEATURES` numbers per candidate, in the order of `candidates`. */
  rows: Float64Array;
  /** Which set of weights suits: how long a context the history knows. */
  situation: number;
}

/** Numbers in a row: chances by order, four experts, where in the context it already is, the longest context's word. */
export const FEATURES = ORDERS + 1 + 4 + CONTEXT + 1;
/** Situations: no context known, order 1, 2, 3 and more. */
export const SITUATIONS = 4;

/** All experts on one history. Cheap to make: each works out what a question needs when it is asked. */
export class Experts {
  readonly #suffixes: SuffixMatch;
  readonly #voters: { scores(context: readonly number[]): Scores }[];

  constructor(sequences: readonly Int32Array[], symbols: number) {
    const line = new HistoryLine(sequences, symbols);
    this.#suffixes = new SuffixMatch(line);
    const neighbours = new Neighbours(sequences, symbols);
    this.#voters = [
      new DistanceKernel(line),
      new Passages(line),
      { scores: (context) => neighbours.scores(context) },
      { scores: (context) => neighbours.scores(context, 1) },
    ];
  }

  /** Evidence for what follows the end of `context` (at most `CONTEXT` symbols). */
  ask(context: readonly number[]): Evidence {
    const { order, chances, followers } = this.#suffixes.estimate(context);
    const opinions = this.#voters.map((voter) => voter.scores(context));
    const totals = opinions.map((scores) => {
      let sum = 0;
      for (const score of scores.values()) sum += score;
      return sum;
    });
    const candidates = new Set(followers.slice(0, CANDIDATES));
    for (const scores of opinions) for (const symbol of top(scores)) candidates.add(symbol);
    const rows = new Float64Array(candidates.size * FEATURES);
    let at = 0;
    for (const symbol of candidates) {
      for (let k = 0; k <= ORDERS; k++) {
        // each order says by how much it changes the opinion of the one below
        const chance = chances[Math.min(k, order)]!(symbol);
        rows[at + k] = k === 0
          ? Math.log(chance)
          : k > order
          ? 0
          : Math.log(chance / chances[k - 1]!(symbol));
      }
      const common = chances[0]!(symbol);
      opinions.forEach((scores, e) => {
        const share = totals[e]! > 0 ? (scores.get(symbol) ?? 0) / totals[e]! : common;
        rows[at + ORDERS + 1 + e] = Math.log((1 - DOUBT) * share / common + DOUBT);
      });
      const back = context.length - 1 - context.lastIndexOf(symbol);
      if (back < context.length) rows[at + ORDERS + 5 + back] = 1;
      // the longest context's own word, as it is
      rows[at + FEATURES - 1] = chances[order]!(symbol);
      at += FEATURES;
    }
    return { candidates: [...candidates], rows, situation: Math.min(order, SITUATIONS - 1) };
  }
}

function top(scores: Scores): number[] {
  return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, CANDIDATES)
    .map(([symbol]) => symbol);
}
