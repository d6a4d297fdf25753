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

import { chooseMixture, type Mixture } from "./choose_mixture.ts";
import { mix, type Scores, Views } from "./next_views.ts";

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

/** Symbols of the context that vote. */
const CONTEXT = 8;
/** Held-out questions the mixture is chosen on. */
const QUESTIONS = 800;
/**
 * Trains on a history of sequences.
 *
 * @param history sequences of symbols, oldest first; symbols are compared by identity.
 * @param horizon a prediction is right, when choosing the mixture, if it comes within this many
 *   steps. 1: strictly the next.
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
  const mixture = chooseMixture(sequences, symbols.length, horizon, questions, CONTEXT);
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

function rank(scores: Scores): [number, number][] {
  return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}
