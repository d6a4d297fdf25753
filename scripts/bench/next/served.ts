/** What production serves: the same code, with everybody's counts made in memory. */

import type { EverybodysFollowers } from "../../../functions-shared/behaviour/everybody_next.ts";
import {
  learnNextModel,
  nextActionPredictor,
} from "../../../functions-shared/behaviour/next_action.ts";
import { DAY } from "../../../functions-shared/behaviour/settings.ts";
import type { SessionDigest } from "../../../functions-shared/behaviour/types.ts";
import type { Predictor, Sequences } from "./types.ts";

/** Others' followers count from this many people on. */
const K = 5;

/** The `order` actions before place `at`; the beginning of a session is an action too. */
function context(session: readonly number[], at: number, order: number): string | undefined {
  const actions = ["^", ...session.slice(0, at)];
  return order > actions.length ? undefined : actions.slice(actions.length - order).join(" ");
}

/** Times by context and action. */
function countsOf(sessions: Sequences): Map<string, Map<number, number>> {
  const counts = new Map<string, Map<number, number>>();
  for (const session of sessions) {
    session.forEach((action, at) => {
      for (const order of [0, 1, 2]) {
        const key = context(session, at, order);
        if (key === undefined) continue;
        let after = counts.get(key);
        if (after === undefined) counts.set(key, after = new Map());
        after.set(action, (after.get(action) ?? 0) + 1);
      }
    });
  }
  return counts;
}

/** A predictor for one person among others; each session is a day's. */
export function servedPredictor(own: Sequences, others: readonly Sequences[]): Predictor {
  const people = others.map(countsOf);
  const followers = (key: string | undefined): EverybodysFollowers["any"] => {
    const sums = new Map<number, [people: number, times: number]>();
    for (const counts of people) {
      for (const [action, n] of counts.get(key ?? "nothing") ?? []) {
        const [k, times] = sums.get(action) ?? [0, 0];
        sums.set(action, [k + 1, times + n]);
      }
    }
    return [...sums].filter(([, [k]]) => k >= K).map(([action, [, n]]) => [String(action), n]);
  };
  const sessions = own.map((session) => session.map(String));
  const model = learnNextModel(
    sessions.map((tokens, day) =>
      ({ session_id: "", start: day * DAY, end: day * DAY, tokens }) as SessionDigest
    ),
  );
  const next = nextActionPredictor({ sessions, model });
  return {
    next(prefix) {
      const [any, one, two] = [0, 1, 2].map((order) =>
        followers(context(prefix, prefix.length, order))
      ) as [EverybodysFollowers["any"], EverybodysFollowers["one"], EverybodysFollowers["two"]];
      const [top] = next(prefix.map(String), { any, one, two }, 1);
      return top === undefined ? undefined : Number(top.symbol);
    },
  };
}
