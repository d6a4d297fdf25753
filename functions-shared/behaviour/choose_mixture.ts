/** Which mixture of views suits a history: asked of the history itself. */

import { hash } from "./statistics.ts";
import { mix, type Scores, Views } from "./next_views.ts";

/** How the views are mixed. */
export interface Mixture {
  /** Weights of kernel, neighbours, passages, suffixes. */
  weights: Weights;
  /** Whether a symbol of the context may come again. */
  repeats: boolean;
}

/** Weights of the four views. */
export type Weights = readonly [
  kernel: number,
  neighbours: number,
  passages: number,
  suffixes: number,
];

/** Mixtures to choose from, the first preferred. None trusts one view alone: that fails where history misleads. */
const MIXTURES: readonly Weights[] = [
  [0.4, 0.3, 0.3, 0],
  [0.5, 0.5, 0, 0],
  [0.5, 0, 0.5, 0],
  [0.25, 0.25, 0.25, 0.25],
  [0.8, 0.1, 0.1, 0],
  [0.1, 0.8, 0.1, 0],
  [0.1, 0.1, 0.8, 0],
  [0.1, 0.1, 0.1, 0.7],
  [0.5, 0, 0, 0.5],
  [0, 0, 0.5, 0.5],
];

/** Trains on four fifths, asks about the rest, keeps the mixture with most right answers. */
export function chooseMixture(
  sequences: readonly Int32Array[],
  symbols: number,
  horizon: number,
  questions: number,
  context: number,
): Mixture {
  const held: Int32Array[] = [], kept: Int32Array[] = [];
  sequences.forEach((sequence, i) =>
    (hash(String(i)) % 5 === 0 && sequence.length > 1 ? held : kept).push(sequence)
  );
  if (held.length === 0 || kept.length < 3) return { weights: MIXTURES[3]!, repeats: true };
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
      const recent = [...sequence.subarray(Math.max(0, at - context), at)];
      const answers = views.ask(recent);
      rate.forEach((_, i) => {
        const top = best(mix(answers, mixtureOf(i), recent));
        const distance = sequence.subarray(at, at + horizon).indexOf(top);
        // among equals the one that is right at once
        if (distance >= 0) rate[i]! += distance === 0 ? 1 : 0.95;
      });
    }
  }
  // the first mixture, with or without repeats, unless another is better beyond the luck of the draw
  let chosen = rate[1]! > rate[0]! ? 1 : 0;
  let most = rate[chosen]! + Math.sqrt(asked) / 4;
  rate.forEach((score, i) => {
    if (score > most) [chosen, most] = [i, score];
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
