/** Cosines of different models are not the same measure: what each one's mean. */

/** How to read a model. */
export interface ModelHabits {
  /** Share of words in relevance: the weaker the model, the more words help. */
  words: number;
  /** Relevance at which two requests are more likely the same than not. */
  same: number;
}

/**
 * `use-lite-512` is tuned on the 40 paraphrases of supabase/tests/shared/patterns and judged on 80
 * requests that tuned nothing (held_out.ts): first place for 43 of them, 34 by meaning alone, 41 by
 * words alone. Squared IDF weights, z-scores, geometric means and reciprocal rank fusion were
 * cross-validated beside the plain sum: rank fusion did best on the tuning set and lost five of the
 * held-out requests (exact identifiers), the others came out level, so the plain sum stays.
 * What the model does not know, no weight mends: of 20 paraphrases with hardly a word in common it puts 3
 * first (meaning alone 2, words alone 1), of 20 lexical traps none (1, 0).
 *
 * The other models cannot run here; theirs is judgement. In held_out.ts the letters of a lexical
 * trap are nearer than those of what is meant by up to .75: at a tenth, that weighs less than a
 * difference of .09 in cosine.
 */
const HABITS: [RegExp, ModelHabits][] = [
  [/^use-lite-512$/, { words: 0.4, same: 0.45 }],
  [/^text-embedding-3-/, { words: 0.1, same: 0.45 }],
  [/^gte-small$/, { words: 0.1, same: 0.75 }],
  [/^text-embedding-ada-002$/, { words: 0.1, same: 0.75 }],
];
const UNKNOWN: ModelHabits = { words: 0.1, same: 0.6 };

/** The habits of a model by its name; cautious ones for a model never seen. */
export function habitsOf(model: string | null): ModelHabits {
  return HABITS.find(([name]) => name.test(model ?? ""))?.[1] ?? UNKNOWN;
}

/**
 * Relevance on one scale for every model: `same` becomes 0.7, the default threshold, 0 and 1 stay.
 *
 * @example
 * ```ts
 * onCommonScale(0.45, 0.45); // 0.7
 * ```
 */
export function onCommonScale(relevance: number, same: number): number {
  return relevance < same ? 0.7 * relevance / same : 0.7 + 0.3 * (relevance - same) / (1 - same);
}
