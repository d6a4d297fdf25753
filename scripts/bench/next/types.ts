/** What the next-symbol bench compares. */

/** Sequences of symbols 0, 1, 2, …; oldest first. */
export type Sequences = readonly (readonly number[])[];

/** Trained on sequences; answers with the likeliest next symbol, or nothing. */
export interface Predictor {
  next(prefix: readonly number[]): number | undefined;
}

/** A way to predict, by name. */
export interface Method {
  name: string;
  /** @param horizon how soon a guess must come true to be right; a method may ignore it. */
  train(sequences: Sequences, horizon: number): Predictor;
}

/** The symbol with the highest score; among equals the one with the lowest number. */
export function best(scores: ReadonlyMap<number, number>): number | undefined {
  let top: number | undefined, most = -Infinity;
  for (const [symbol, score] of scores) {
    if (score > most || score === most && symbol < top!) [top, most] = [symbol, score];
  }
  return top;
}
