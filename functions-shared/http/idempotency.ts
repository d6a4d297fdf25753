/**
 * Idempotency keys (draft-ietf-httpapi-idempotency-key-header-07), kept in SQL.
 *
 * The key is claimed before the effect and completed after it. The same key and body replays the
 * stored answer with `Idempotent-Replayed: true`; while the first is running 409; with another body
 * 422. Only successes are stored: a refused or failed request leaves the key free. If the server
 * dies between the effect and the completion, the claim lapses after a minute and the retry runs
 * again with the same `c.var.effectId`, which routes use as the id of what they create, so that the
 * effect itself happens once.
 *
 * A streamed answer cannot be stored. A route that streams says what its stream is about
 * (`c.var.streamOf`), and how to tell it again (`again`): that is what a repeat gets.
 */

import type { MiddlewareHandler } from "hono";
import { rpc } from "../db/rpc.ts";
import type { MiraContext, MiraEnv } from "./app.ts";
import type { Bytes } from "./bytes.ts";
import { readBytes } from "./input.ts";
import { Problem } from "./problem.ts";
import { subjectOf } from "./rate_limit.ts";
import { uuidFrom } from "./uuids.ts";

const MAX_KEY = 255;
const STREAM = "text/event-stream";

type Claim =
  | { state: "new" | "in_flight" | "mismatch" }
  | { state: "replay"; status: number; body: string; content_type: string };

/**
 * Middleware; stands after `allow`. Does nothing without an `Idempotency-Key` header.
 *
 * @param again answers a repeat of a request that was answered with a stream about `streamOf`; without it
 *   such a request is done again, which is for routes whose effect has an id of its own (`effectId`).
 */
export function idempotent(
  again?: (c: MiraContext, streamOf: string) => Promise<Response>,
): MiddlewareHandler<MiraEnv> {
  return async (c, next) => {
    const key = c.req.header("idempotency-key");
    if (key === undefined) return await next();
    if (key.length === 0 || key.length > MAX_KEY || !/^[\x21-\x7e]+$/.test(key)) {
      throw new Problem(
        400,
        "invalid_idempotency_key",
        `Idempotency-Key has 1 to ${MAX_KEY} printable characters and no spaces.`,
      );
    }
    const scope = {
      p_subject: subjectOf(c.var.caller),
      p_route: `${c.req.method} ${c.req.path}`,
      p_key: key,
    };
    const claim = await rpc<Claim>(c.var.admin, "mira_claim_idempotency_key", {
      ...scope,
      p_fingerprint: await sha256(await readBytes(c)),
    });
    if (claim.state === "mismatch") {
      throw new Problem(422, "idempotency_key_reused", "This key was used with another body.");
    }
    if (claim.state === "in_flight") {
      throw new Problem(409, "request_in_flight", "The first request with this key is running.", {
        headers: { "retry-after": "1" },
      });
    }
    if (claim.state === "replay" && again && claim.content_type === STREAM) {
      const response = await again(c, claim.body);
      response.headers.set("idempotent-replayed", "true");
      return response;
    }
    if (claim.state === "replay") {
      return new Response(claim.body, {
        status: claim.status,
        headers: { "content-type": claim.content_type, "idempotent-replayed": "true" },
      });
    }
    c.set("effectId", await uuidFrom(JSON.stringify(Object.values(scope))));
    await next();
    await rpc(c.var.admin, "mira_settle_idempotency_key", {
      ...scope,
      ...await worthKeeping(c.res, again && c.var.streamOf),
    });
  };
}

async function sha256(bytes: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is kept of an answer: a success in JSON, or what a stream was about; else nothing. */
async function worthKeeping(response: Response, streamOf: string | undefined) {
  const type = response.headers.get("content-type") ?? "";
  const kept = (body: string, content_type: string) => ({
    p_status: response.status,
    p_body: body,
    p_content_type: content_type,
  });
  if (response.ok && streamOf !== undefined && type.startsWith(STREAM)) {
    return kept(streamOf, STREAM);
  }
  if (response.ok && type.startsWith("application/json")) {
    return kept(await response.clone().text(), type);
  }
  return { p_status: null, p_body: null, p_content_type: null };
}
