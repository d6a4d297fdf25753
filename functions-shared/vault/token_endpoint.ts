/** The two calls a vault makes to a provider: refresh (RFC 6749 §6) and revoke (RFC 7009). */

import { oauthClient, type OAuthProvider } from "./providers.ts";

/** A provider's new tokens. */
export interface FreshTokens {
  accessToken: string;
  /** Undefined when the provider does not rotate it: the old one stays. */
  refreshToken: string | undefined;
  /** Seconds, when the provider tells. */
  expiresIn: number | undefined;
  scopes: string[] | undefined;
}

/** What became of a refresh: new tokens, or a reason as a code and whether it can pass. */
export type RefreshAnswer =
  | { ok: true; tokens: FreshTokens }
  | { ok: false; isFinal: boolean; reason: string };

const MAX_ANSWER_BYTES = 64 * 1024;
const TOKEN = /^[\x20-\x7e]{1,8192}$/;

/**
 * Exchanges a refresh token.
 *
 * Final is only what the person must mend (`invalid_grant`); a wrong client, a limit or a fault of
 * the provider passes when somebody mends it, without a new sign-in.
 *
 * @param timeoutMs the whole call; keep it below the lease.
 */
export async function requestRefresh(
  name: string,
  provider: OAuthProvider,
  refreshToken: string,
  timeoutMs: number,
): Promise<RefreshAnswer> {
  const form: Record<string, string> = {
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    ...(provider.scopes ? { scope: provider.scopes.join(" ") } : {}),
  };
  const answer = await post(name, provider, provider.token_url, form, timeoutMs);
  if ("reason" in answer) return { ok: false, isFinal: false, reason: answer.reason };
  const { status, body } = answer;
  if (typeof body["error"] === "string") {
    // GitHub answers 200 with an error inside, and calls invalid_grant bad_refresh_token
    const isFinal = ["invalid_grant", "bad_refresh_token"].includes(body["error"]);
    return { ok: false, isFinal, reason: isFinal ? "invalid_grant" : codeOf(body["error"]) };
  }
  const { access_token, refresh_token, expires_in, scope } = body;
  if (status >= 300 || typeof access_token !== "string" || !TOKEN.test(access_token)) {
    return { ok: false, isFinal: false, reason: `provider_status_${status}` };
  }
  const seconds = Number(expires_in);
  return {
    ok: true,
    tokens: {
      accessToken: access_token,
      refreshToken: typeof refresh_token === "string" && TOKEN.test(refresh_token)
        ? refresh_token
        : undefined,
      expiresIn: expires_in !== undefined && seconds > 0 ? Math.min(seconds, 3.2e8) : undefined,
      scopes: typeof scope === "string"
        ? scope.split(/[\s,]+/).filter(Boolean).slice(0, 100)
        : undefined,
    },
  };
}

/**
 * Tells the provider to forget a token.
 *
 * @returns whether it is gone; a token the provider no longer knows is gone (RFC 7009 §2.2).
 */
export async function requestRevocation(
  name: string,
  provider: OAuthProvider & { revoke_url: string },
  token: string,
  field: "access_token" | "refresh_token",
  timeoutMs: number,
): Promise<boolean> {
  const form = { token, token_type_hint: field };
  const answer = await post(name, provider, provider.revoke_url, form, timeoutMs);
  if ("reason" in answer) return false;
  // Google answers 400 invalid_token where the RFC wants 200
  return answer.status < 300 ||
    ["invalid_token", "invalid_grant"].includes(`${answer.body["error"]}`);
}

type Answer = { status: number; body: Record<string, unknown> } | { reason: string };

async function post(
  name: string,
  provider: OAuthProvider,
  url: string,
  form: Record<string, string>,
  timeoutMs: number,
): Promise<Answer> {
  const client = oauthClient(name, provider);
  if (client === null) return { reason: "client_not_configured" };
  const body = new URLSearchParams(form);
  const headers: Record<string, string> = { accept: "application/json" };
  if (provider.client_auth === "basic") {
    const pair = [client.id, client.secret ?? ""].map((part) => encodeURIComponent(part)).join(":");
    headers["authorization"] = `Basic ${btoa(pair)}`;
  } else {
    body.set("client_id", client.id);
    if (client.secret !== undefined) body.set("client_secret", client.secret);
  }
  // errors are reduced to codes: their messages may quote the request, and the request is a secret
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, body: parse(await readText(response)) };
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
    return { reason: isTimeout ? "provider_timeout" : "provider_unreachable" };
  }
}

/** The answer's text; nothing when it is longer than any token answer. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = "";
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_ANSWER_BYTES) {
      await reader.cancel();
      return "";
    }
  }
  return text;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

/** A provider's error code, if it is one and not a text that could hold anything. */
function codeOf(error: string): string {
  return /^[a-z_]{1,40}$/.test(error) ? error : "provider_error";
}
