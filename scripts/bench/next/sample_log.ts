/**
 * The sample log: five folds of each person's sessions, every action after the first is asked for.
 *
 * Where a click leads is the app's doing, and anybody who knows the app foresees it. So the actions
 * that are the person's own are counted apart: all but the page that comes within a second of a
 * click or a submit.
 */

import { digestSessions } from "../../../functions-shared/behaviour/digest.ts";
import { recordedBatches } from "../../sample/replay.ts";
import type { BehaviourEvent } from "../../../functions-shared/behaviour/types.ts";
import type { Method, Predictor, Sequences } from "./types.ts";

const FOLDS = 5;

/** A page this soon after a click or submit is its consequence, in ms. */
const CONSEQUENCE = 1_000;

/** Each person's sessions in the sample, and what in them the app did by itself. */
export interface Sample {
  /** Symbols mean the same for everybody. */
  people: Map<string, number[][]>;
  /** The same sessions by the names of actions. */
  actions: Map<string, string[][]>;
  /** Actions that only follow from the one before, by session. */
  consequences: Map<readonly number[], Set<number>>;
}

/** Reads the recorded log. */
export async function readSample(): Promise<Sample> {
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
  const consequences = new Map<readonly number[], Set<number>>();
  const actions = new Map<string, string[][]>();
  const sessions = [...people].map(([user, events]): [string, number[][]] => {
    const digests = digestSessions(events);
    actions.set(user, digests.map(({ tokens }) => tokens));
    return [
      user,
      digests.map(({ tokens, token_after }) => {
        const symbols = tokens.map(symbol);
        consequences.set(
          symbols,
          new Set(
            symbols.keys().filter((i) =>
              i > 0 && tokens[i]!.startsWith("navigation:") &&
              /^(?:click|form_submit):/.test(tokens[i - 1]!) &&
              token_after[i]! - token_after[i - 1]! < CONSEQUENCE
            ),
          ),
        );
        return symbols;
      }),
    ];
  });
  return { people: new Map(sessions), actions, consequences };
}

/** Trains a predictor for one person, given their own sessions and each other person's. */
export type Trainer = (own: Sequences, others: readonly Sequences[]) => Predictor;

/** Knows the person's own sessions only. */
export const alone = (method: Method): Trainer => (own) => method.train(own, 1);

/** Knows everybody's sessions and does not tell people apart. */
export const pooled = (method: Method): Trainer => (own, others) =>
  method.train([own, ...others].flat(), 1);

/** Shares of right first guesses, over all people: of every action, and of their own actions only. */
export function sampleShare(
  train: Trainer,
  { people, consequences }: Sample,
): [all: number, own: number] {
  let asked = 0, right = 0, askedOwn = 0, rightOwn = 0;
  for (let fold = 0; fold < FOLDS; fold++) {
    const known = new Map(
      [...people].map(([user, sessions]) => [user, sessions.filter((_, i) => i % FOLDS !== fold)]),
    );
    for (const [user, sessions] of people) {
      const others = [...known].flatMap(([name, list]) => name === user ? [] : [list]);
      const predictor = train(known.get(user)!, others);
      for (const session of sessions.filter((_, i) => i % FOLDS === fold)) {
        for (let i = 1; i < session.length; i++, asked++) {
          const isRight = predictor.next(session.slice(0, i)) === session[i];
          if (isRight) right++;
          if (consequences.get(session)!.has(i)) continue;
          askedOwn++;
          if (isRight) rightOwn++;
        }
      }
    }
  }
  return [right / asked, rightOwn / askedOwn];
}
