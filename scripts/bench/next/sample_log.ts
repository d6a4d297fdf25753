/** The sample log: five folds of each person's sessions, every action after the first is asked for. */

import { digestSessions } from "../../../functions-shared/behaviour/digest.ts";
import { recordedBatches } from "../../sample/replay.ts";
import type { BehaviourEvent } from "../../../functions-shared/behaviour/types.ts";
import type { Method, Sequences } from "./types.ts";

const FOLDS = 5;

/** Each person's sessions in the sample, as symbols that mean the same for everybody. */
export async function sampleSessions(): Promise<Map<string, number[][]>> {
  const people = new Map<string, BehaviourEvent[]>();
  for (const { user, events } of await recordedBatches(new Date())) {
    const list = people.get(user) ?? [];
    for (const event of events) list.push({ ...event, at: Date.parse(event.occurred_at!) });
    people.set(user, list);
  }
  const ids = new Map<string, number>();
  const symbol = (token: string) => {
    if (!ids.has(token)) ids.set(token, ids.size);
    return ids.get(token)!;
  };
  return new Map(
    [...people].map((
      [user, events],
    ) => [user, digestSessions(events).map(({ tokens }) => tokens.map(symbol))]),
  );
}

/**
 * Share of right first guesses.
 *
 * @param pooled whether the method knows everybody's sessions, or the person's own only.
 */
export function sampleShare(
  method: Method,
  people: ReadonlyMap<string, Sequences>,
  pooled: boolean,
): number {
  let asked = 0, right = 0;
  const everybody = [...people.values()];
  for (let fold = 0; fold < FOLDS; fold++) {
    const known = (sessions: Sequences) => sessions.filter((_, i) => i % FOLDS !== fold);
    const all = pooled ? method.train(everybody.flatMap(known), 1) : undefined;
    for (const sessions of everybody) {
      const predictor = all ?? method.train(known(sessions), 1);
      for (const session of sessions.filter((_, i) => i % FOLDS === fold)) {
        for (let i = 1; i < session.length; i++, asked++) {
          if (predictor.next(session.slice(0, i)) === session[i]) right++;
        }
      }
    }
  }
  return right / asked;
}
