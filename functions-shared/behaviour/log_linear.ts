/**
 * A log-linear mixture of experts: the chance of a candidate is proportional to the exponential of
 * the weighted sum of its evidence (multinomial logistic regression; as context mixing does it,
 * Mahoney 2005, with a set of weights per situation). Weights are learned from questions whose
 * answers are known; few questions stay near the weights one starts with (Gaussian prior).
 */

import { type Evidence, FEATURES, SITUATIONS } from "./next_experts.ts";

/** Evidence and which of its candidates were right. */
export interface Question {
  evidence: Evidence;
  /** Places in `candidates`; empty: none of them was. */
  right: number[];
}

/** Steps of the optimiser, and their size (Adam, Kingma and Ba 2015, full batch). */
const STEPS = 120;
const PACE = 0.08;
/** How firmly weights are held: those of everybody at their start, those of a situation at everybody's. */
const HOLD = 2;
const HOLD_SITUATION = 8;

/** Weights: first those all situations share, then each situation's difference. */
export type Weights = Float64Array;

/** Chances of the candidates, in their order. */
export function mix(evidence: Evidence, weights: Weights): Float64Array {
  return chancesOf(evidence, trust(weights, evidence.situation));
}

/** The weights of one situation. */
function trust(weights: Weights, situation: number): Float64Array {
  const own = (situation + 1) * FEATURES;
  return weights.slice(0, FEATURES).map((weight, f) => weight + weights[own + f]!);
}

function chancesOf({ candidates, rows }: Evidence, trusted: Float64Array): Float64Array {
  const chances = new Float64Array(candidates.length);
  let most = -Infinity;
  for (let c = 0; c < chances.length; c++) {
    let sum = 0;
    const row = c * FEATURES;
    for (let f = 0; f < FEATURES; f++) sum += rows[row + f]! * trusted[f]!;
    chances[c] = sum;
    if (sum > most) most = sum;
  }
  let total = 0;
  for (let c = 0; c < chances.length; c++) total += chances[c] = Math.exp(chances[c]! - most);
  for (let c = 0; c < chances.length; c++) chances[c]! /= total;
  return chances;
}

/**
 * Learns weights from questions.
 *
 * @param start one number per feature.
 * @param horizon answers that would be right to one question: the more, the less each tells.
 */
export function learnWeights(
  questions: readonly Question[],
  start: readonly number[],
  horizon = 1,
): Weights {
  const size = FEATURES * (SITUATIONS + 1);
  const weights = new Float64Array(size);
  weights.set(start);
  const asked = questions.filter(({ right }) => right.length > 0);
  if (asked.length === 0) return weights;
  const mean = new Float64Array(size), square = new Float64Array(size);
  for (let step = 1; step <= STEPS; step++) {
    const slope = new Float64Array(size);
    const trusted = Array.from({ length: SITUATIONS }, (_, s) => trust(weights, s));
    for (const { evidence, right } of asked) {
      const chances = chancesOf(evidence, trusted[evidence.situation]!);
      const own = (evidence.situation + 1) * FEATURES;
      // any right answer will do: each is pulled up by its part in the chance of all of them
      const hope = right.reduce((sum, c) => sum + chances[c]!, 0);
      for (const c of right) chances[c]! -= chances[c]! / hope;
      for (let c = 0; c < chances.length; c++) {
        const error = chances[c]!;
        if (Math.abs(error) < 1e-4) continue;
        const row = c * FEATURES;
        for (let f = 0; f < FEATURES; f++) slope[own + f]! += error * evidence.rows[row + f]!;
      }
    }
    // what pulls at a situation pulls at what all of them share
    for (let i = FEATURES; i < size; i++) slope[i % FEATURES]! += slope[i]!;
    for (let i = 0; i < size; i++) {
      slope[i]! += horizon *
        (i < FEATURES ? HOLD * (weights[i]! - start[i]!) : HOLD_SITUATION * weights[i]!);
    }
    for (let i = 0; i < size; i++) {
      mean[i] = 0.9 * mean[i]! + 0.1 * slope[i]!;
      square[i] = 0.99 * square[i]! + 0.01 * slope[i]! ** 2;
      weights[i]! -= PACE * (mean[i]! / (1 - 0.9 ** step)) /
        (Math.sqrt(square[i]! / (1 - 0.99 ** step)) + 1e-8);
    }
  }
  return weights;
}
