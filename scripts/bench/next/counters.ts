/** What production serves from its counters, kept in memory. */

import {
  type Followers,
  predictFromCounters,
} from "../../../functions-shared/behaviour/next_counters.ts";
import type { Predictor, Sequences } from "./types.ts";

/** Everybody's followers count from this many people on. */
const K = 5;
/** Longest context. */
const ORDERS = 3;

type Counts = Map<string, Map<number, number>>;

/** The context of `order` actions before place `at`; the beginning of a session is an action too. */
function context(session: readonly number[], at: number, order: number): string {
  const actions = ["", "", "^", ...session.slice(0, Math.max(0, at))];
  return [order, ...actions.slice(actions.length - order)].join(" ");
}

function countsOf(sessions: Sequences): Counts {
  const counts: Counts = new Map();
  for (const session of sessions) {
    session.forEach((action, at) => {
      for (let order = 0; order <= ORDERS; order++) {
        const key = context(session, at, order);
        let after = counts.get(key);
        if (after === undefined) counts.set(key, after = new Map());
        after.set(action, (after.get(action) ?? 0) + 1);
      }
    });
  }
  return counts;
}

/** A predictor for one person among others, from counters. */
export function counterPredictor(own: Sequences, others: readonly Sequences[]): Predictor {
  const mine = countsOf(own);
  const people = others.map(countsOf);
  const followers = (key: string): Followers =>
    [...mine.get(key) ?? []].map(([action, n]) => [String(action), n]);
  const everybody = (key: string): Followers => {
    const users = new Map<number, [number, number]>();
    for (const counts of people) {
      for (const [action, n] of counts.get(key) ?? []) {
        const sum = users.get(action) ?? [0, 0];
        users.set(action, [sum[0] + 1, sum[1] + n]);
      }
    }
    return [...users].filter(([, [k]]) => k >= K).map(([action, [, n]]) => [String(action), n]);
  };
  return {
    next(prefix) {
      const at = prefix.length;
      const [any, one, two, three] = [0, 1, 2, 3].map((order) => context(prefix, at, order)) as [
        string,
        string,
        string,
        string,
      ];
      const [top] = predictFromCounters(
        {
          own: {
            any: followers(any),
            one: followers(one),
            two: followers(two),
            three: followers(three),
          },
          resumed: {
            one: followers(context(prefix, at - 1, 1)),
            two: followers(context(prefix, at - 1, 2)),
          },
          all: { any: everybody(any), one: everybody(one), two: everybody(two) },
        },
        at === 0 ? undefined : String(prefix.at(-1)),
        1,
      );
      return top === undefined ? undefined : Number(top.symbol);
    },
  };
}
