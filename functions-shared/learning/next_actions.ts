/** What a person is likely to do next in a live session. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { digestSessions } from "../behaviour/digest.ts";
import { stepsDone } from "../behaviour/learn_habits.ts";
import { parseToken } from "../behaviour/normalise.ts";
import { trainNext } from "../behaviour/predict_next.ts";
import { defaults } from "../behaviour/settings.ts";
import type { NextResult } from "../contracts/learn_patterns.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { eventOf, type EventRow } from "./event_rows.ts";

interface NextMaterial {
  history: string[][];
  live: EventRow[];
  habits: { id: string; sequence: string[] }[];
}

/**
 * @param admin client with the service role.
 * @param userId whose session it is; another user's session reads as empty.
 */
export async function nextActions(
  admin: SupabaseClient<Database>,
  userId: string,
  sessionId: string,
  limit: number,
): Promise<NextResult> {
  const material = await rpc<NextMaterial>(admin, "mira_read_next", {
    p_user_id: userId,
    p_session_id: sessionId,
  });
  const session = digestSessions(material.live.map(eventOf)).at(-1) ?? { tokens: [] };
  const actions = trainNext(material.history, { horizon: 1, questions: 100 })
    .next(session.tokens, limit).map(
      ({ symbol, probability }) => {
        const { target, ...rest } = parseToken(symbol);
        return { action: symbol, ...rest, target: target === "" ? null : target, probability };
      },
    );
  const habits = material.habits.flatMap(({ id, sequence }) => {
    const step = stepsDone(sequence, session, session.tokens.length, defaults.habit.maxGap);
    if (step === 0) return [];
    return [{ pattern_id: id, step, of: sequence.length, next: sequence[step] ?? null }];
  }).sort((a, b) => b.step / b.of - a.step / a.of);
  return { actions, habits };
}
