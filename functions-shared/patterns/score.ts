/** What a candidate is worth: how alike it is, how it turned out, how fresh it is. */

import { wilsonLower } from "../behaviour/statistics.ts";
import { wordLikeness } from "./words.ts";

/** A candidate as the database gives it: no payload, only what a choice needs. */
export interface Candidate {
  id: string;
  source: "behavior_patterns" | "memories";
  trigger: string;
  /** Other wordings of the trigger. */
  aliases: string[];
  /** Cosine of the embeddings, -1 to 1. */
  similarity: number;
  /** Names of the actions, in order. */
  tools: string[];
  final_outcome: "success" | "partial" | "failed";
  /** Mean of the Beta posterior of success. */
  confidence: number;
  /** Outcomes observed. */
  evidence: number;
  use_count: number;
  /** Last time it was recorded or used, ISO 8601. */
  seen_at: string;
}

/** A candidate with its likeness and worth. */
export type Scored = Candidate & { score: number };

/** Outcomes the prior of a new pattern counts for; the same number stands in the migration. */
const PRIOR = 2;
const HALF_LIFE_DAYS = 90;
const AGE_FLOOR = 0.25;
const DAY_MS = 86_400_000;

/**
 * Relevance of a candidate to the request: meaning, and with a query words as well, (1-w)·cosine +
 * w·letters. The best of the trigger and its other wordings counts.
 *
 * @param words share of words, 0 to 1.
 */
export function relevance(candidate: Candidate, query: string | undefined, words: number): number {
  const meaning = Math.max(0, Math.min(1, candidate.similarity));
  if (query === undefined || words === 0) return meaning;
  const best = Math.max(
    ...[candidate.trigger, ...candidate.aliases].map((text) => wordLikeness(query, text)),
  );
  return (1 - words) * meaning + words * best;
}

/**
 * Relevance × (.5 + .5 · lower bound of success) × age: a half-life of 90 days that stops at a
 * quarter, because what is old but right must still be found.
 */
export function worth(candidate: Candidate, relevant: number, now: number): number {
  const n = PRIOR + candidate.evidence;
  const quality = 0.5 + 0.5 * wilsonLower(candidate.confidence * n, n);
  const days = Math.max(0, now - Date.parse(candidate.seen_at)) / DAY_MS;
  return relevant * quality * Math.max(AGE_FLOOR, 0.5 ** (days / HALF_LIFE_DAYS));
}
