/**
 * Every route of the six functions, with its contract: what OpenAPI is generated from. A test holds
 * this table against the routes that the functions really register.
 */

import { FIND_PATTERNS_ROUTES } from "./routes/find_patterns.ts";
import { LEARN_PATTERNS_ROUTES } from "./routes/learn_patterns.ts";
import { LOG_EXECUTION_ROUTES } from "./routes/log_execution.ts";
import { RUN_WORKFLOW_ROUTES } from "./routes/run_workflow.ts";
import { TRACK_EVENT_ROUTES } from "./routes/track_event.ts";
import { UPSERT_TOKENS_ROUTES } from "./routes/upsert_tokens.ts";
import type { Route } from "./routes/route.ts";

export type { Mode, Route } from "./routes/route.ts";

/** The table, by function. */
export const ROUTES: Record<string, Route[]> = {
  "track-event": TRACK_EVENT_ROUTES,
  "learn-patterns": LEARN_PATTERNS_ROUTES,
  "find-patterns": FIND_PATTERNS_ROUTES,
  "run-workflow": RUN_WORKFLOW_ROUTES,
  "upsert-tokens": UPSERT_TOKENS_ROUTES,
  "log-execution": LOG_EXECUTION_ROUTES,
};
