/** Rate limits kept in SQL: one statement, the database's clock, right under any concurrency. */

import type { MiddlewareHandler } from "hono";
import { rpc } from "../db/rpc.ts";
import type { MiraEnv } from "./app.ts";
import { Problem } from "./problem.ts";

/** Whom a limit or an idempotency key belongs to. */
export function subjectOf(caller: MiraEnv["Variables"]["caller"]): string {
  return caller.kind === "user" ? caller.userId : `service:${caller.key}`;
}

/**
 * At most `perMinute` calls a minute for each user and action, spread by the generic cell rate
 * algorithm (a burst of the whole minute is allowed, then one every 60/perMinute seconds). Services
 * are not limited. Stands after `allow`.
 *
 * @throws {Problem} 429 `rate_limited` with Retry-After in seconds.
 */
export function limit(action: string, perMinute: number): MiddlewareHandler<MiraEnv> {
  return async (c, next) => {
    if (c.var.caller.kind === "user") {
      const wait = await rpc<number>(c.var.admin, "mira_take_rate_limit", {
        p_subject: subjectOf(c.var.caller),
        p_action: action,
        p_limit: perMinute,
        p_window_seconds: 60,
      });
      if (wait > 0) {
        throw new Problem(429, "rate_limited", `Try again in ${wait} s.`, {
          headers: { "retry-after": String(wait) },
        });
      }
    }
    await next();
  };
}
