/** One round of learning: lease a user, read what is new, compute, commit in one transaction. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { digestSessions } from "../behaviour/digest.ts";
import { learn, populationKeys } from "../behaviour/learn.ts";
import { learnNextModel, type NextModel } from "../behaviour/next_action.ts";
import type { Counts, SessionDigest } from "../behaviour/types.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { eventOf, type EventRow } from "./event_rows.ts";

interface Begun {
  user_id: string;
  fence: number;
  watermark: number;
  /** ms since 1970. */
  heard_at: number;
  fresh: number;
  caught_up: boolean;
  ranges: unknown[];
  events: EventRow[];
  digests: SessionDigest[];
  next_model: NextModel | null;
}

interface Committed {
  learned: { struggle: number; preference: number; workflow_habit: number };
  retired: number;
  more: boolean;
}

/** What a round did. */
export interface Round extends Committed {
  /** Events taken in for the first time. */
  events: number;
}

/**
 * @param admin client with the service role.
 * @param userId only this user, else whoever waits longest.
 * @returns undefined when there is nothing to do (or somebody else is doing it).
 * @throws {Problem} 409 `lease_lost` when the round took too long and another learner took over.
 */
export async function learnRound(
  admin: SupabaseClient<Database>,
  userId?: string,
): Promise<Round | undefined> {
  const begun = await rpc<Begun | null>(admin, "mira_begin_learning", {
    p_user_id: userId ?? null,
  });
  if (begun === null) return undefined;
  const digests = digestSessions(begun.events.map(eventOf));
  const commit = {
    p_user_id: begun.user_id,
    p_fence: begun.fence,
    p_watermark: begun.watermark,
    p_ranges: begun.ranges,
    p_digests: digests,
  };
  // behind: only take the events in; patterns come with the last round
  if (!begun.caught_up) {
    const done = await rpc<Committed>(admin, "mira_commit_learning", commit);
    return { ...done, events: begun.fresh };
  }
  const sessions = [...begun.digests, ...digests];
  const others = await population(admin, begun, sessions);
  const { patterns, contribution } = learn(sessions, others, { heardAt: begun.heard_at });
  const done = await rpc<Committed>(admin, "mira_commit_learning", {
    ...commit,
    p_patterns: patterns,
    p_contribution: contribution,
    p_next_model: learnNextModel(sessions, begun.next_model),
  });
  return { ...done, events: begun.fresh };
}

async function population(
  admin: SupabaseClient<Database>,
  begun: Begun,
  sessions: SessionDigest[],
): Promise<Map<string, Counts>> {
  const keys = populationKeys(sessions, { heardAt: begun.heard_at });
  if (keys.length === 0) return new Map();
  const counts = await rpc<Record<string, [number, number, number, number]>>(
    admin,
    "mira_read_population",
    { p_user_id: begun.user_id, p_units: keys },
  );
  return new Map(
    Object.entries(counts).map(([unit, [users, n, k, f]]) => [unit, { users, n, k, f }]),
  );
}
