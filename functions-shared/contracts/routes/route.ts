/** What a route of the API is. */

import type { z } from "zod";

/** Who may call: a signed-in person, a server with the secret key, the schedule. */
export type Mode = "user" | "secret" | "cron";

/** One route. Paths are Hono's: `/:run_id/resume`. */
export interface Route {
  verb: "get" | "post" | "patch" | "delete";
  path: string;
  summary: string;
  modes: Mode[];
  body?: z.ZodType;
  query?: z.ZodObject;
  /** Status of success and its body; `text` and `stream` where it is not one JSON value. */
  answers: Record<number, z.ZodType | "text" | "json">;
  /** Answers a server-sent event stream, always or for `Accept: text/event-stream`. */
  streams?: true;
  /** Honours Idempotency-Key. */
  isIdempotent?: true;
}

/** Signed-in people, and servers on their behalf. */
export const PEOPLE: Mode[] = ["user", "secret"];
