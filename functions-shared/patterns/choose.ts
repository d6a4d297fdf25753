/** Which candidates to hand out: good ones, different ones, and the failures apart. */

import { type ModelHabits, onCommonScale } from "./model_habits.ts";
import { type Candidate, relevance, type Scored, worth } from "./score.ts";
import { sequenceLikeness } from "./sequence.ts";

/** How to choose. */
export interface Choice {
  /** The request in words; without them similarity is the bare cosine. */
  query?: string | undefined;
  /** How to read the model's cosines when there are words. */
  habits: ModelHabits;
  limit: number;
  /** Candidates less similar are left out: no answer is better than a wrong one. */
  threshold: number;
  /** Milliseconds since 1970. */
  now: number;
}

/** Weight of worth against novelty (J. Carbonell, J. Goldstein, SIGIR 1998, p. 335). */
const LAMBDA = 0.7;

/**
 * Splits candidates into what to do and what to avoid, both best first.
 *
 * `patterns` is picked by maximal marginal relevance over the action sequences: of two that do the
 * same steps, the second comes only after other ways have had their turn. The first is always the
 * best. Failures are never mixed in.
 */
export function choose(
  candidates: Candidate[],
  choice: Choice,
): { patterns: Scored[]; avoid: Scored[] } {
  const alike = candidates
    .map((candidate) => {
      const relevant = relevance(candidate, choice.query, choice.habits.words);
      const similarity = choice.query === undefined
        ? relevant
        : onCommonScale(relevant, choice.habits.same);
      return { ...candidate, similarity, score: worth(candidate, relevant, choice.now) };
    })
    .filter((candidate) => candidate.similarity >= choice.threshold);
  const failed = (candidate: Scored) => candidate.final_outcome === "failed";
  return {
    patterns: diverse(alike.filter((candidate) => !failed(candidate)), choice.limit),
    avoid: alike.filter(failed).sort(byScore).slice(0, choice.limit),
  };
}

function diverse(candidates: Scored[], limit: number): Scored[] {
  const left = candidates.toSorted(byScore);
  const picked: Scored[] = [];
  const best = left[0]?.score ?? 0;
  // likeness to the nearest already picked, kept up as picks are made
  const nearest = new Map(left.map((candidate) => [candidate, 0]));
  while (picked.length < limit && left.length > 0) {
    let at = 0;
    let most = -Infinity;
    for (const [index, candidate] of left.entries()) {
      const gain = LAMBDA * candidate.score / best - (1 - LAMBDA) * nearest.get(candidate)!;
      if (gain > most) [at, most] = [index, gain];
    }
    const [next] = left.splice(at, 1);
    picked.push(next!);
    for (const candidate of left) {
      const same = sequenceLikeness(candidate.tools, next!.tools);
      if (same > nearest.get(candidate)!) nearest.set(candidate, same);
    }
  }
  return picked.sort(byScore);
}

function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || (a.id < b.id ? -1 : 1);
}
