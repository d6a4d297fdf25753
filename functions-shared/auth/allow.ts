/** Middleware: lets in the kinds of caller a route is for, and says who it is. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { createAdminClient, verifyAuth } from "@supabase/server/core";
import type { MiddlewareHandler } from "hono";
import type { Database } from "../db/types.gen.ts";
import type { MiraEnv } from "../http/app.ts";
import { Problem } from "../http/problem.ts";
import type { Caller } from "./caller.ts";
import { gate } from "./gate.ts";
import { issuers } from "./issuers.ts";

/** `user`: a person's JWT. `secret`: the default secret key. `cron`: the secret key named cron. */
export type Mode = "user" | "secret" | "cron";

const LIBRARY_MODE = { user: "user", secret: "secret", cron: "secret:cron" } as const;

let admin: SupabaseClient<Database> | undefined;

/**
 * Verifies the caller and sets `c.var.caller` and `c.var.admin`.
 *
 * A token that is present but bad is refused even when a good key comes with it.
 *
 * @throws {Problem} 401 with the library's reason as detail, or 503 when the server lacks its keys.
 *
 * @example
 * ```ts
 * app.post("/work", allow("cron", "secret"), handler);
 * ```
 */
export function allow(...modes: [Mode, ...Mode[]]): MiddlewareHandler<MiraEnv> {
  const auth = modes.map((mode) => LIBRARY_MODE[mode]);
  return async (c, next) => {
    const { data, error } = await verifyAuth(c.req.raw, { auth });
    if (error) {
      if (error.status >= 500) {
        throw new Problem(503, "auth_not_configured", "The server cannot verify callers.", {
          cause: error,
        });
      }
      throw new Problem(401, codeOf(error.code), error.message, {
        headers: { "www-authenticate": "Bearer" },
      });
    }
    c.set("caller", callerOf(data));
    c.set("admin", admin ??= createAdminClient<Database>());
    await next();
  };
}

function callerOf(data: Awaited<ReturnType<typeof verifyAuth>>["data"] & object): Caller {
  if (data.authMode === "secret") return { kind: "service", key: data.keyName ?? "default" };
  const claims = data.jwtClaims;
  if (claims === null || data.token === null) {
    throw new Problem(401, "token_not_accepted", "The access token has no claims.");
  }
  const userId = gate(claims, issuers(), Date.now() / 1000);
  return { kind: "user", userId, jwt: data.token, isAnonymous: claims["is_anonymous"] === true };
}

function codeOf(code: unknown): string {
  return typeof code === "string" ? code.toLowerCase() : "not_authenticated";
}
