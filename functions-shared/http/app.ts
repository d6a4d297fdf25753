/** What every edge function is made of: routing, CORS, request ids, error answers, one log line. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { Hono } from "hono";
import type { Context } from "hono";
import { cors } from "hono/cors";
import type { Caller } from "../auth/caller.ts";
import type { Database } from "../db/types.gen.ts";
import { createLog, type Log } from "../observe/log.ts";
import type { Bytes } from "./bytes.ts";
import { Problem } from "./problem.ts";

/** What a route finds on its context. */
export interface MiraEnv {
  Variables: {
    /** The function's slug, for logs and rate limits. */
    slug: string;
    /** Echoed or made; in every answer and log line. */
    requestId: string;
    /** Structured logger that redacts. */
    log: Log;
    /** Upper limit of a request body, in bytes. */
    maxBodyBytes: number;
    /** Set by `allow`: who is asking. */
    caller: Caller;
    /** Set by `allow`: Data API client with the service role. */
    admin: SupabaseClient<Database>;
    /** Set by `readBytes`: the body, read once. */
    bodyBytes?: Bytes;
    /** Set by `idempotent`: stable id for the effect of this key, else undefined. */
    effectId?: string;
    /** Set by routes that stream: the id of what the stream is about, for `idempotent`. */
    streamOf?: string;
  };
}

/** The context of a Mira route. */
export type MiraContext = Context<MiraEnv>;

const KIB = 1024;
const VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** A request id a client may choose: short, printable, safe to log. */
const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/**
 * A Hono app mounted at `/<slug>`, as Supabase routes it.
 *
 * A trailing slash changes nothing. Unknown paths answer 404, wrong verbs 405 with `Allow`, thrown
 * `Problem`s their own status, and anything else a bare 500 whose cause is only logged.
 *
 * @param slug name of the function's folder.
 * @param options.maxBodyBytes body limit in bytes, default 256 KiB.
 */
export function miraFunction(slug: string, options: { maxBodyBytes?: number } = {}): Hono<MiraEnv> {
  const app = new Hono<MiraEnv>({ strict: false }).basePath(`/${slug}`);

  app.use(cors({
    origin: "*",
    allowMethods: [...VERBS, "OPTIONS"],
    allowHeaders: [
      "authorization",
      "apikey",
      "content-type",
      "accept",
      "x-client-info",
      "x-request-id",
      "idempotency-key",
      "last-event-id",
      "traceparent",
      "tracestate",
      "baggage",
      "x-retry-count",
      "x-supabase-api-version",
    ],
    exposeHeaders: ["x-request-id", "retry-after", "idempotent-replayed", "allow"],
    maxAge: 86_400,
  }));

  app.use(async (c, next) => {
    const started = performance.now();
    const asked = c.req.header("x-request-id");
    const requestId = asked !== undefined && REQUEST_ID.test(asked) ? asked : crypto.randomUUID();
    c.set("slug", slug);
    c.set("requestId", requestId);
    c.set("maxBodyBytes", options.maxBodyBytes ?? 256 * KIB);
    c.set("log", createLog({ function: slug, request_id: requestId }));
    await next();
    c.res.headers.set("x-request-id", requestId);
    c.res.headers.set("x-content-type-options", "nosniff");
    c.var.log.info("request", {
      method: c.req.method,
      path: c.req.path,
      status: c.res.status,
      ms: Math.round(performance.now() - started),
    });
  });

  app.notFound((c) => {
    const allowed = VERBS.filter((verb) => hasRoute(app, verb, c.req.path));
    const problem = allowed.length > 0
      ? new Problem(405, "method_not_allowed", `This path answers ${allowed.join(", ")}.`, {
        headers: { allow: allowed.join(", ") },
      })
      : new Problem(404, "route_not_found", "There is nothing at this path.");
    return problem.toResponse(c.var.requestId);
  });

  app.onError((error, c) => {
    const problem = error instanceof Problem
      ? error
      : new Problem(500, "internal_error", "Something went wrong on our side.", { cause: error });
    if (problem.cause !== undefined || problem.status >= 500) {
      const level = problem.status >= 500 ? "error" : "warn";
      c.var.log[level](problem.code, { detail: problem.message, cause: describe(problem.cause) });
    }
    return problem.toResponse(c.var.requestId);
  });

  return app;
}

/** Whether `app` has a handler of its own (not a middleware) for this verb and path. */
function hasRoute(app: Hono<MiraEnv>, verb: string, path: string): boolean {
  return app.router.match(verb, path)[0].some(([[, route]]) => route.method === verb);
}

/** An error for the log: name, message and stack, never for a response. */
function describe(cause: unknown): Record<string, unknown> | undefined {
  if (cause === undefined) return undefined;
  if (!(cause instanceof Error)) return { value: cause };
  return { name: cause.name, message: cause.message, stack: cause.stack };
}
