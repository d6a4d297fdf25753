/** Cosines of different models are not the same measure: what each one's mean. */

/** How to read a model. */
export interface ModelHabits {
  /** Share of words in relevance: the weaker the model, the more words help. */
  words: number;
  /** Relevance at which two requests are more likely the same than not. */
  same: number;
}

/**
 * `use-lite-512` is tuned on 40 hand-written paraphrases (supabase/tests/shared/patterns) that were
 * all seen while tuning; the others are judgement, not measurement. For stronger models words stay
 * below 1/6: letters that differ by .4, the widest gap of a lexical trap, then cannot outweigh a
 * difference of .08 in cosine.
 */
const HABITS: [RegExp, ModelHabits][] = [
  [/^use-lite-512$/, { words: 0.4, same: 0.45 }],
  [/^text-embedding-3-/, { words: 0.15, same: 0.45 }],
  [/^gte-small$/, { words: 0.15, same: 0.75 }],
  [/^text-embedding-ada-002$/, { words: 0.15, same: 0.75 }],
];
const UNKNOWN: ModelHabits = { words: 0.15, same: 0.6 };

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
