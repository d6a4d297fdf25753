/** The four views of a history, and how their opinions are mixed. */

import { DistanceKernel } from "./distance_kernel.ts";
import { Neighbours } from "./neighbours.ts";
import { Passages } from "./passages.ts";
import type { Mixture, Weights } from "./choose_mixture.ts";
import { SuffixMatch } from "./suffix_match.ts";

/** Scores by symbol. */
export type Scores = Map<number, number>;

const NOBODY: Scores = new Map();

/** The views of one history. */
export class Views {
  readonly #kernel: DistanceKernel;
  readonly #neighbours: Neighbours;
  readonly #passages: Passages;
  readonly #suffixes: SuffixMatch;

  constructor(sequences: readonly Int32Array[], symbols: number) {
    this.#kernel = new DistanceKernel(sequences, symbols);
    this.#neighbours = new Neighbours(sequences, symbols);
    this.#passages = new Passages(sequences, symbols);
    this.#suffixes = new SuffixMatch(sequences, symbols);
  }

  /** Opinions of the views that count. */
  ask(context: readonly number[], weights: Weights = [1, 1, 1, 1]): Scores[] {
    return [
      weights[0] > 0 ? normalised(this.#kernel.scores(context)) : NOBODY,
      weights[1] > 0 ? normalised(this.#neighbours.scores(context)) : NOBODY,
      weights[2] > 0 ? normalised(this.#passages.scores(context)) : NOBODY,
      weights[3] > 0 ? normalised(this.#suffixes.scores(context)) : NOBODY,
    ];
  }
}

function normalised(scores: Scores): Scores {
  let total = 0;
  for (const score of scores.values()) total += score;
  if (total > 0) { for (const [id, score] of scores) scores.set(id, score / total); }
  return scores;
}

/** Scores of the mixture; symbols of the context left out, unless nothing else is left. */
export function mix(
  views: readonly Scores[],
  { weights, repeats }: Mixture,
  context: readonly number[],
): Scores {
  const scores: Scores = new Map();
  views.forEach((view, v) => {
    for (const [id, score] of view) scores.set(id, (scores.get(id) ?? 0) + weights[v]! * score);
  });
  if (!repeats) {
    const fresh = new Map([...scores].filter(([id]) => !context.includes(id)));
    if (fresh.size > 0) return fresh;
  }
  return scores;
}
