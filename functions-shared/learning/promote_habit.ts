/** A habit becomes a draft workflow and a behaviour pattern; nothing is activated. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { byTime } from "../behaviour/digest.ts";
import { draftGraph } from "../behaviour/draft_graph.ts";
import { draftWorkflow } from "../behaviour/draft_workflow.ts";
import type { PromoteResult } from "../contracts/learn_patterns.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { eventOf, type EventRow } from "./event_rows.ts";

interface HabitMaterial {
  module: string;
  confidence: number;
  sequence: string[];
  optional: { before: number; token: string; share: number }[];
  sessions: EventRow[][];
}

/**
 * @param admin client with the service role.
 * @param userId owner of the habit.
 * @param name of the workflow; made from the steps when left out.
 * @throws {Problem} 404 `pattern_not_found`, 422 `not_a_habit`.
 */
export async function promoteHabit(
  admin: SupabaseClient<Database>,
  userId: string,
  patternId: string,
  name?: string,
): Promise<PromoteResult> {
  const habit = await rpc<HabitMaterial>(admin, "mira_read_habit", {
    p_user_id: userId,
    p_pattern_id: patternId,
  });
  const draft = draftWorkflow(habit, habit.sessions.map((rows) => rows.map(eventOf).sort(byTime)));
  const { nodes, edges, actions } = draftGraph(draft);
  const words = actions.map((a) => `${a.action.replace("_", " ")} ${a.target ?? a.page}`);
  const result = await rpc<Omit<PromoteResult, "dry_run">>(admin, "mira_promote_habit", {
    p_user_id: userId,
    p_pattern_id: patternId,
    p_draft: {
      name: name ?? `${habit.module}: ${words[0]} → ${words.at(-1)}`.slice(0, 200),
      description: `Learned from ${draft.learned_from} sessions. ${words.join(" → ")}`
        .slice(0, 10_000),
      input_schema: draft.input_schema,
      nodes,
      edges,
      metadata: {
        learned_pattern_id: patternId,
        learned_from: draft.learned_from,
        dry_run: draft.dry_run,
      },
      trigger: `${name ? `${name}: ` : ""}${words.join(", then ")}`.slice(0, 8_000),
      context: { module: habit.module, source: "workflow_habit", learned_pattern_id: patternId },
      actions,
    },
  });
  return { ...result, dry_run: draft.dry_run };
}
