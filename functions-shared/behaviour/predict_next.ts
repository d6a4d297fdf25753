/**
 * What comes next: predictions of the next symbol of a sequence, from other sequences.
 *
 * Several experts read the same history. Suffix matching follows every context seen before, longest
 * first (variable-order Markov, smoothed by Kneser and Ney). The distance kernel counts which symbol
 * follows which, at which distance, and lets every symbol of the context vote for what it leads to
 * about now (a soft dependency graph: noise between two steps does not hide them). The neighbours
 * are the sequences that share most with the context, voting with what came after (session
 * k-nearest-neighbours, Jannach and Ludewig 2017, RecSys; close to CPT). The passages are the places
 * where most of the context has just been, wherever in a sequence. How much each is to be trusted,
 * and whether a symbol of the context may come again, is learned from held-out parts of the history
 * itself, so that no data set needs hand-made parameters.
 *
 * Deterministic. Works on any symbols; knows nothing of events.
 */

import { chooseWeights, UNTRAINED } from "./choose_weights.ts";
import { mix, type Weights } from "./log_linear.ts";
import { CONTEXT, Experts } from "./next_experts.ts";

/** A symbol and how likely it comes next. */
export interface Prediction<S> {
  symbol: S;
  probability: number;
}

/** Trained on a history; `next` may be called any number of times. */
export interface NextPredictor<S> {
  /** Ranked predictions, best first; empty when nothing in the prefix is known. */
  next(prefix: readonly S[], limit?: number): Prediction<S>[];
  /** Trust in each expert, learned from the history. */
  readonly weights: Weights;
}

/** Held-out questions the weights are learned from. */
const QUESTIONS = 800;

/** How weights are learned. */
export interface TrainOptions {
  /** A prediction is right if it comes within this many steps. 1, the default: strictly the next. */
  horizon?: number;
  /**
   * Only the ends of sequences will be asked for, as in the papers on CPT: how sequences end is then
   * worth more than what comes on the way. Default false.
   */
  ends?: boolean;
  /** Held-out places the weights are learned from; fewer is faster. */
  questions?: number;
}

/**
 * Trains on a history of sequences.
 *
 * @param history sequences of symbols, oldest first; symbols are compared by identity.
 * @example `trainNext([["a", "b", "c"], ["a", "b", "c"]]).next(["a", "b"])[0].symbol` is `"c"`.
 */
export function trainNext<S>(
  history: readonly (readonly S[])[],
  options: TrainOptions = {},
): NextPredictor<S> {
  return nextPredictor(history, learnTrust(history, options), options.horizon);
}

/** The slow half of training: how much each expert is worth on this history. */
export function learnTrust<S>(
  history: readonly (readonly S[])[],
  { horizon = 1, ends = false, questions = QUESTIONS }: TrainOptions = {},
): Weights {
  const { sequences, symbols } = interned(history);
  return chooseWeights(sequences, symbols.length, { horizon, ends, questions });
}

/**
 * The quick half: nothing is built of the history but what is asked for.
 *
 * @param horizon the one the weights were learned for.
 */
export function nextPredictor<S>(
  history: readonly (readonly S[])[],
  weights: Weights = UNTRAINED,
  horizon = 1,
): NextPredictor<S> {
  const { ids, sequences, symbols } = interned(history);
  const experts = new Experts(sequences, symbols.length, horizon);
  return {
    weights,
    next(prefix, limit = 5) {
      const context: number[] = [];
      for (const symbol of prefix.slice(-CONTEXT)) {
        const id = ids.get(symbol);
        if (id !== undefined) context.push(id);
      }
      const evidence = experts.ask(context);
      const chances = mix(evidence, weights);
      return evidence.candidates.map((id, c) => ({ id, probability: chances[c]! }))
        .sort((a, b) => b.probability - a.probability || a.id - b.id)
        .slice(0, limit).map(({ id, probability }) => ({ symbol: symbols[id]!, probability }));
    },
  };
}

/** The history with its symbols numbered. */
function interned<S>(history: readonly (readonly S[])[]) {
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
  return { ids, sequences, symbols };
}
