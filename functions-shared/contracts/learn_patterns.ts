/** learn-patterns: what may be sent, what comes back. */

import { z } from "zod";

/** Body of `POST /`: who and how much. Everything may be left out. */
export const LearnRequest = z.strictObject({
  /** Only this user; a person may only name themselves. */
  user_id: z.uuid().optional(),
  /** Stop after this many users. */
  max_users: z.int().min(1).max(1_000).default(100),
  /** Start no new round after this many milliseconds. */
  budget_ms: z.int().min(50).max(60_000).default(1_000),
});

/** Body of `POST /`, checked. */
export type LearnRequest = z.output<typeof LearnRequest>;

/** Answer of `POST /`. */
export interface LearnResult {
  /** Users learned to the end. */
  users: number;
  /** New events taken in. */
  events: number;
  /** Patterns added or changed. */
  learned: { struggle: number; preference: number; workflow_habit: number };
  /** Patterns that no longer hold. */
  retired: number;
  /** There is more to learn: call again. */
  more: boolean;
}

/** Body of `POST /next`. */
export const NextRequest = z.strictObject({
  session_id: z.uuid(),
  limit: z.int().min(1).max(20).default(5),
});

/** Answer of `POST /next`. */
export interface NextResult {
  actions: NextAction[];
  /** Habits the person seems to be in, furthest first. */
  habits: { pattern_id: string; step: number; of: number; next: string | null }[];
}

/** A likely next action. */
export interface NextAction {
  action: string;
  event_type: string;
  module: string;
  page: string;
  target: string | null;
  probability: number;
}

/** Body of `POST /:pattern_id/status`: the person's word. */
export const StatusRequest = z.strictObject({ status: z.enum(["active", "pinned", "dismissed"]) });

/** Body of `POST /:pattern_id/promote`. */
export const PromoteRequest = z.strictObject({ name: z.string().min(1).max(200).optional() });

/** Answer of `POST /:pattern_id/promote`. */
export interface PromoteResult {
  workflow_id: string;
  behavior_pattern_id: string;
  /** Replay on sessions that were not used to draft it. */
  dry_run: { sessions: number; steps: number; reproduced: number; share: number | null };
}

/** Query of `GET /struggles`. */
export const StruggleQuery = z.strictObject({
  module: z.string().min(1).max(100).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});
