/** What is known about each symbol that may come next: one row of evidence per candidate. */

import { DistanceKernel } from "./distance_kernel.ts";
import { HistoryLine } from "./history_line.ts";
import { largest } from "./largest.ts";
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

/**
 * Numbers in a row: chances by order, four experts, where in the context it already is, and of the
 * longest context by how much coming soon differs from coming next, and its word as it is.
 */
export const FEATURES = ORDERS + 1 + 4 + CONTEXT + 2;
/** Situations: no context known, order 1, 2, 3 and more. */
export const SITUATIONS = 4;

/** All experts on one history. Cheap to make: each works out what a question needs when it is asked. */
export class Experts {
  readonly #line: HistoryLine;
  readonly #total: number;
  readonly #suffixes: SuffixMatch;
  readonly #kernel: DistanceKernel;
  readonly #passages: Passages;
  readonly #neighbours: Neighbours;

  /** @param horizon how soon what is predicted may come. */
  constructor(sequences: readonly Int32Array[], symbols: number, horizon: number) {
    const line = this.#line = new HistoryLine(sequences, symbols);
    this.#total = line.times.reduce((a, b) => a + b, symbols / 2);
    this.#suffixes = new SuffixMatch(line, horizon);
    this.#kernel = new DistanceKernel(line);
    this.#passages = new Passages(line);
    this.#neighbours = new Neighbours(sequences, symbols);
  }

  /** Evidence for what follows the end of `context` (at most `CONTEXT` symbols). */
  ask(context: readonly number[]): Evidence {
    const { next, soon } = this.#suffixes.estimate(context);
    const opinions = [
      this.#kernel.scores(context),
      this.#passages.scores(context),
      ...this.#neighbours.scores(context),
    ];
    const totals = opinions.map((scores) => {
      let sum = 0;
      for (const score of scores.values()) sum += score;
      return sum;
    });
    const candidates = new Set<number>();
    for (let order = next.length; order > 0 && candidates.size < CANDIDATES; order--) {
      for (const symbol of next[order - 1]!.likeliest(CANDIDATES)) candidates.add(symbol);
    }
    for (const scores of opinions) {
      for (const [symbol] of largest(scores, CANDIDATES)) candidates.add(symbol);
    }
    const rows = new Float64Array(candidates.size * FEATURES);
    let at = 0;
    for (const symbol of candidates) {
      const common = this.#commonness(symbol);
      rows[at] = Math.log(common);
      let chance = common;
      next.forEach((followers, k) => {
        // each order says by how much it changes the opinion of the one below
        const shorter = chance;
        chance = followers.chance(symbol, shorter);
        rows[at + 1 + k] = Math.log(chance / shorter);
      });
      opinions.forEach((scores, e) => {
        const share = totals[e]! > 0 ? (scores.get(symbol) ?? 0) / totals[e]! : common;
        rows[at + ORDERS + 1 + e] = Math.log((1 - DOUBT) * share / common + DOUBT);
      });
      const back = context.length - 1 - context.lastIndexOf(symbol);
      if (back < context.length) rows[at + ORDERS + 5 + back] = 1;
      const word = soon.length === 0
        ? chance
        : soon.reduce((shorter, followers) => followers.chance(symbol, shorter), common);
      rows[at + FEATURES - 2] = Math.log(word / chance);
      rows[at + FEATURES - 1] = word;
      at += FEATURES;
    }
    return { candidates: [...candidates], rows, situation: Math.min(next.length, SITUATIONS - 1) };
  }

  /** How common a symbol is; half a time is added to each, so that no chance is zero. */
  #commonness(symbol: number): number {
    return (this.#line.times[symbol]! + 0.5) / this.#total;
  }
}
