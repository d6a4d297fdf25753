/** What a person is likely to do next in a live session. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { stepsDone } from "../behaviour/learn_habits.ts";
import { nextActionPredictor, type NextKnowledge } from "../behaviour/next_action.ts";
import { parseToken } from "../behaviour/normalise.ts";
import { defaults } from "../behaviour/settings.ts";
import type { NextResult } from "../contracts/learn_patterns.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";

interface NextMaterial extends NextKnowledge {
  /** Actions of the live session so far. */
  actions: string[];
  habits: { id: string; sequence: string[] }[];
}

/**
 * One query, no training: sessions and trust in the experts were kept by learn-patterns.
 *
 * @param admin client with the service role.
 * @param userId whose session it is; another user's session reads as empty.
 */
export async function nextActions(
  admin: SupabaseClient<Database>,
  userId: string,
  sessionId: string,
  limit: number,
): Promise<NextResult> {
  const { actions: done, habits: known, all, ...own } = await rpc<NextMaterial>(
    admin,
    "mira_read_next",
    { p_user_id: userId, p_session_id: sessionId },
  );
  const actions = nextActionPredictor(own)(done, all, limit).map(({ symbol, probability }) => {
    const { target, ...rest } = parseToken(symbol);
    return { action: symbol, ...rest, target: target === "" ? null : target, probability };
  });
  const habits = known.flatMap(({ id, sequence }) => {
    const step = stepsDone(sequence, { tokens: done }, done.length, defaults.habit.maxGap);
    if (step === 0) return [];
    return [{ pattern_id: id, step, of: sequence.length, next: sequence[step] ?? null }];
  }).sort((a, b) => b.step / b.of - a.step / a.of);
  return { actions, habits };
}
