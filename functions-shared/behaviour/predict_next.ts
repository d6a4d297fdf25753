/**
 * What comes next: predictions of the next symbol of a sequence, from other sequences.
 *
 * Four views of the same history. The distance kernel counts which symbol follows which, at which
 * distance, and lets every symbol of the context vote for what it leads to about now (a soft DG).
 * The neighbours are the sequences that share most with the context, voting with what came after
 * (session k-nearest-neighbours, Jannach and Ludewig 2017, RecSys; close to CPT).
 * The passages are the places where most of the context has just been, wherever in a sequence.
 * Suffix matching follows the longest context seen before (prediction by partial matching, Cleary and Witten
 * 1984). Their mixture, and whether a symbol of the context may come again, are chosen on held-out
 * parts of the history itself, so that no data set needs hand-made parameters.
 *
 * Deterministic. Works on any symbols; knows nothing of events.
 */

import { DistanceKernel } from "./distance_kernel.ts";
import { Neighbours } from "./neighbours.ts";
import { Passages } from "./passages.ts";
import { SuffixMatch } from "./suffix_match.ts";
import { hash } from "./statistics.ts";

/** A symbol and how likely it comes next. */
export interface Prediction<S> {
  symbol: S;
  probability: number;
}

/** Trained on a history; `next` may be called any number of times. */
export interface NextPredictor<S> {
  /** Ranked predictions, best first; empty when nothing in the prefix is known. */
  next(prefix: readonly S[], limit?: number): Prediction<S>[];
  /** The mixture chosen on the history. */
  readonly mixture: Mixture;
}

/** How the views are mixed. */
export interface Mixture {
  /** Weights of kernel, neighbours, passages, suffixes. */
  weights: Weights;
  /** Whether a symbol of the context may come again. */
  repeats: boolean;
}

type Weights = readonly [kernel: number, neighbours: number, passages: number, suffixes: number];

/** Symbols of the context that vote. */
const CONTEXT = 8;
/** Held-out questions the mixture is chosen on. */
const QUESTIONS = 400;
/** Mixtures to choose from; the first unless another is better. */
const MIXTURES: readonly Weights[] = [
  [0.4, 0.3, 0.3, 0],
  [0.5, 0.5, 0, 0],
  [0.5, 0, 0.5, 0],
  [0, 0.5, 0.5, 0],
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
  [0.25, 0.25, 0.25, 0.25],
  [0.2, 0.1, 0.2, 0.5],
  [0.5, 0, 0, 0.5],
  [0, 0, 0.5, 0.5],
];

/**
 * Trains on a history of sequences.
 *
 * @param history sequences of symbols, oldest first; symbols are compared by identity.
 * @param horizon a prediction is right, when choosing the mixture, if it comes within this many
 *   steps; nearer counts more. 1: strictly the next.
 * @param questions held-out places the mixture is chosen on; fewer is faster.
 */
export function trainNext<S>(
  history: readonly (readonly S[])[],
  { horizon = 3, questions = QUESTIONS }: { horizon?: number; questions?: number } = {},
): NextPredictor<S> {
  const ids = new Map<S, number>();
  const symbols: S[] = [];
  const sequences = history.map((sequence) =>
    Int32Array.from(sequence, (symbol) => {
      let id = ids.get(symbol);
      if (id === undefined) {
        ids.set(symbol, id = symbols.length);
        symbols.push(symbol);
      }
      return id;
    })
  );
  const mixture = chooseMixture(sequences, symbols.length, horizon, questions);
  const views = new Views(sequences, symbols.length);
  return {
    mixture,
    next(prefix, limit = 5) {
      const context: number[] = [];
      for (const symbol of prefix.slice(-CONTEXT)) {
        const id = ids.get(symbol);
        if (id !== undefined) context.push(id);
      }
      const scores = mix(views.ask(context, mixture.weights), mixture, context);
      const total = [...scores.values()].reduce((a, b) => a + b, 0);
      return rank(scores).slice(0, limit).map(([id, score]) => ({
        symbol: symbols[id]!,
        probability: score / total,
      }));
    },
  };
}

const trained = new WeakMap<object, NextPredictor<unknown>>();

/**
 * The next symbol after `prefix`, ranked; trains on first use of a `history` array and remembers.
 *
 * @example `predictNext([["a", "b", "c"], ["a", "b", "c"]], ["a", "b"])[0].symbol` is `"c"`.
 */
export function predictNext<S>(
  history: readonly (readonly S[])[],
  prefix: readonly S[],
  limit = 5,
): Prediction<S>[] {
  let predictor = trained.get(history) as NextPredictor<S> | undefined;
  if (predictor === undefined) {
    predictor = trainNext(history);
    trained.set(history, predictor as NextPredictor<unknown>);
  }
  return predictor.next(prefix, limit);
}

/** Scores by symbol. */
export type Scores = Map<number, number>;

const NOBODY: Scores = new Map();

class Views {
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

function mix(
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

function rank(scores: Scores): [number, number][] {
  return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

/** Trains on four fifths, asks about the rest, keeps the mixture with most right answers. */
function chooseMixture(
  sequences: readonly Int32Array[],
  symbols: number,
  horizon: number,
  questions: number,
): Mixture {
  const held: Int32Array[] = [], kept: Int32Array[] = [];
  sequences.forEach((sequence, i) =>
    (hash(String(i)) % 5 === 0 && sequence.length > 1 ? held : kept).push(sequence)
  );
  if (held.length === 0 || kept.length < 3) return { weights: MIXTURES[8]!, repeats: true };
  const views = new Views(kept, symbols);
  const rate = new Float64Array(MIXTURES.length * 2);
  const perSequence = Math.ceil(questions / held.length);
  let asked = 0;
  for (const sequence of held) {
    for (let q = 0; q < perSequence && asked < questions; q++) {
      // from the end: that is where there is context
      const at = sequence.length - Math.min(horizon, sequence.length - 1) - q;
      if (at < 1) break;
      asked++;
      const context = [...sequence.subarray(Math.max(0, at - CONTEXT), at)];
      const answers = views.ask(context);
      rate.forEach((_, i) => {
        const top = best(mix(answers, mixtureOf(i), context));
        const distance = sequence.subarray(at, at + horizon).indexOf(top);
        if (distance >= 0) rate[i]! += distance === 0 ? 1 : 0.7;
      });
    }
  }
  let chosen = 0;
  rate.forEach((score, i) => {
    if (score > rate[chosen]!) chosen = i;
  });
  return mixtureOf(chosen);
}

/** Even numbers exclude repeats, odd ones allow them. */
function mixtureOf(i: number): Mixture {
  return { weights: MIXTURES[i >> 1]!, repeats: i % 2 === 1 };
}

function best(scores: Scores): number {
  let top = -1, most = -1;
  for (const [id, score] of scores) {
    if (score > most || score === most && id < top) [top, most] = [id, score];
  }
  return top;
}
