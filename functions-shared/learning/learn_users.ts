/** Rounds of learning until nothing is new or the budget is used up. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { LearnRequest, LearnResult } from "../contracts/learn_patterns.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { Problem } from "../http/problem.ts";
import { learnRound } from "./learn_round.ts";

/** Pause before asking again for a user whom another learner has. */
const ELSEWHERE_MS = 100;

/**
 * @param admin client with the service role.
 * @param request whom, how many, how long; a round that has begun is finished.
 */
export async function learnUsers(
  admin: SupabaseClient<Database>,
  request: LearnRequest,
): Promise<LearnResult> {
  const until = performance.now() + request.budget_ms;
  const result: LearnResult = {
    users: 0,
    events: 0,
    learned: { struggle: 0, preference: 0, workflow_habit: 0 },
    retired: 0,
    more: false,
  };
  const waiting = () =>
    rpc<boolean>(admin, "mira_has_learning", { p_user_id: request.user_id ?? null });
  while (result.users < request.max_users && performance.now() < until) {
    const round = await learnRound(admin, request.user_id).catch((error) => {
      // somebody else finished this user: nothing of ours was kept, nothing is missing
      if (error instanceof Problem && error.code === "lease_lost") return "lost" as const;
      throw error;
    });
    if (round === "lost") continue;
    if (round === undefined) {
      result.more = await waiting();
      // one user, and somebody else is at it: their result is worth a moment
      if (request.user_id === undefined || !result.more) return result;
      await new Promise((resolve) => setTimeout(resolve, ELSEWHERE_MS));
      continue;
    }
    result.events += round.events;
    result.retired += round.retired;
    for (const type of ["struggle", "preference", "workflow_habit"] as const) {
      result.learned[type] += round.learned[type];
    }
    if (!round.more) result.users++;
  }
  result.more = await waiting();
  return result;
}
