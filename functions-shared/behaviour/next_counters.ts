/**
 * The next action from counters: how often each action followed each context, for one person and for
 * everybody. What a live session asks; nothing is trained when it does.
 *
 * A hierarchy of contexts, each estimate leaning on the one below it (interpolated Kneser-Ney;
 * equivalently a hierarchical Pitman-Yor process, Teh 2006): everybody's orders 0 to 2, then the
 * person's own orders 1 to 3. What would follow if the last action had been an interruption counts
 * too, the more the less that action was to be expected.
 */

import type { Prediction } from "./predict_next.ts";

/** How often actions followed one context: action, times; most frequent first. */
export type Followers = readonly (readonly [action: string, times: number])[];

/** Followers by context. */
export interface NextCounters {
  /** The person's own: anywhere, after the last action, the last two, the last three. */
  own: { any: Followers; one: Followers; two: Followers; three: Followers };
  /** The person's own, as if the last action had not been: after the one before it, the two before it. */
  resumed: { one: Followers; two: Followers };
  /** Everybody's, of actions that enough people share. */
  all: { any: Followers; one: Followers; two: Followers };
}

/** Taken off every count and left to the estimate below (Chen and Goodman 1999). */
const DISCOUNT = 0.7;
/** Weight of what follows after an interruption that nobody could expect. */
const RESUMED = 0.5;

/**
 * Ranked actions, best first; empty when nothing is known.
 *
 * @param last the last action of the session, if there is one.
 */
export function predictFromCounters(
  { own, resumed, all }: NextCounters,
  last: string | undefined,
  limit = 5,
): Prediction<string>[] {
  const known = [all.any, all.one, all.two, own.any, own.one, own.two, own.three]
    .concat([resumed.one, resumed.two]);
  const actions = [...new Set(known.flatMap((followers) => followers.map(([action]) => action)))];
  if (actions.length === 0) return [];
  const start = new Map(actions.map((action) => [action, 1 / actions.length]));
  const everybody = leaning(all.any, start);
  const usual = leaning(own.any, everybody);
  const after = leaning(own.one, leaning(all.two, leaning(all.one, everybody)));
  const back = leaning(resumed.two, leaning(resumed.one, usual));
  const weight = RESUMED * (1 - shareOf(last, resumed.one)) ** 2;
  const either = normalised(
    new Map(actions.map((action) => [
      action,
      after.get(action)! * (back.get(action)! / usual.get(action)!) ** weight,
    ])),
  );
  const chances = leaning(own.three, leaning(own.two, either));
  return [...chances].map(([symbol, probability]) => ({ symbol, probability }))
    .sort((a, b) => b.probability - a.probability || (a.symbol < b.symbol ? -1 : 1))
    .slice(0, limit);
}

/** Counts, and for what they leave open the estimate below. */
function leaning(followers: Followers, below: ReadonlyMap<string, number>): Map<string, number> {
  const chances = new Map(below);
  const total = sum(followers);
  if (total === 0) return chances;
  const rest = DISCOUNT * followers.length / total;
  for (const [action, chance] of below) chances.set(action, rest * chance);
  for (const [action, times] of followers) {
    chances.set(action, Math.max(0, times - DISCOUNT) / total + rest * below.get(action)!);
  }
  return chances;
}

function shareOf(action: string | undefined, followers: Followers): number {
  const times = followers.find(([name]) => name === action)?.[1] ?? 0;
  return times === 0 ? 0 : times / sum(followers);
}

function sum(followers: Followers): number {
  return followers.reduce((total, [, times]) => total + times, 0);
}

function normalised(scores: Map<string, number>): Map<string, number> {
  const total = [...scores.values()].reduce((a, b) => a + b, 0);
  for (const [action, score] of scores) scores.set(action, score / total);
  return scores;
}
