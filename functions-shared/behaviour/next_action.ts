/**
 * The next action of a live session, as `POST /learn-patterns/next` serves it: the person's own
 * sessions through the experts, and everybody's ways where the person's say little.
 */

import { everybodyNext, type EverybodysFollowers } from "./everybody_next.ts";
import { learnTrust, nextPredictor, type Prediction } from "./predict_next.ts";
import type { SessionDigest } from "./types.ts";
import { dayOf, fingerprint, windowOf } from "./window.ts";

/** What learning leaves for predicting. */
export interface NextModel {
  /** Version of the experts the weights are for. */
  algorithm: string;
  /** Fingerprint of the sessions they were learned from. */
  of: string;
  weights: number[];
}

/** What is known when a prediction is asked for. */
export interface NextKnowledge {
  /** Actions of the person's sessions, oldest session first. */
  sessions: readonly (readonly string[])[];
  /** Without one every expert is trusted a little. */
  model: NextModel | null;
  /** Others' followers of this context, of actions that enough people share. */
  all: EverybodysFollowers;
}

/** A change of what the experts say or of the order of weights changes it. */
const ALGORITHM = "mira-next-2";
/** Held-out questions: on the sample log more of them change nothing. */
const QUESTIONS = 100;
/** Newest sessions that are asked. */
const ASKED = 100;
/** Up to so many sessions each one matters, and asking them is quick. */
const FEW = 40;
/** So much do everybody's followers count beside each time the person was at this point themselves. */
const EVERYBODY = 1;
/** Stands before a session, so that its first action can be foreseen too. No action is called so. */
const BEGINNING = "^";

/**
 * Learns how far each expert is to be trusted for a person. With more than a few sessions from the
 * days before the newest one: trust then changes slowly, and is worked out once a day and not with
 * every session.
 *
 * @param digests the newest sessions of one user, any order.
 * @param known what was learned before; given back where it was learned from the same sessions.
 */
export function learnNextModel(
  digests: readonly SessionDigest[],
  known: NextModel | null = null,
): NextModel {
  const { sessions: all, asOf } = windowOf(digests);
  const sessions = all.filter(({ start }) => all.length <= FEW || dayOf(start) < dayOf(asOf))
    .slice(-ASKED).map(({ tokens }) => tokens);
  const of = fingerprint(JSON.stringify(sessions));
  if (known?.algorithm === ALGORITHM && known.of === of) return known;
  const weights = learnTrust(begun(sessions), { questions: QUESTIONS });
  return { algorithm: ALGORITHM, of, weights: Array.from(weights, (w) => Number(w.toFixed(4))) };
}

/**
 * A person's predictor.
 *
 * @returns ranked actions for a live session's actions, best first; empty when nothing is known.
 */
export function nextActionPredictor(
  { sessions, model }: Omit<NextKnowledge, "all">,
): (
  actions: readonly string[],
  all: EverybodysFollowers,
  limit?: number,
) => Prediction<string>[] {
  const history = begun(sessions);
  const own = nextPredictor(
    history,
    model?.algorithm === ALGORITHM ? Float64Array.from(model.weights) : undefined,
  );
  return (actions, all, limit = 5) => {
    const live = [BEGINNING, ...actions];
    const others = everybodyNext(all);
    // how often the person was at this point, if others know it; else how often anywhere
    const times = timesFollowed(history, all.one.length > 0 ? live.at(-1) : undefined);
    const share = others.size === 0 ? 1 : times / (times + EVERYBODY);
    const chances = new Map([...others].map(([action, chance]) => [action, (1 - share) * chance]));
    if (share > 0) {
      for (const { symbol, probability } of own.next(live, Infinity)) {
        chances.set(symbol, (chances.get(symbol) ?? 0) + share * probability);
      }
    }
    return [...chances].map(([symbol, probability]) => ({ symbol, probability }))
      .sort((a, b) => b.probability - a.probability || (a.symbol < b.symbol ? -1 : 1))
      .slice(0, limit);
  };
}

function begun(sessions: readonly (readonly string[])[]): string[][] {
  return sessions.map((actions) => [BEGINNING, ...actions]);
}

/** How often something came after `action`, or after anything. */
function timesFollowed(history: readonly (readonly string[])[], action?: string): number {
  let times = 0;
  for (const session of history) {
    for (let i = 0; i + 1 < session.length; i++) {
      if (action === undefined || session[i] === action) times++;
    }
  }
  return times;
}
