/**
 * The one door to a plaintext credential, for the tools and models a run uses.
 *
 * Only run-workflow may reach this file; a test walks the imports. The database writes the audit
 * row in the statement that hands out the ciphertext, so no secret is opened unseen.
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { Problem } from "../http/problem.ts";
import { keyring } from "./keyring.ts";
import { refreshToken } from "./refresh_token.ts";
import { unseal } from "./unseal.ts";

/** Which credential, and what for. */
export interface SecretRequest {
  userId: string;
  provider: string;
  /** Picks one of several API keys by its label. */
  label?: string;
  /** Picks one of several API keys by `metadata.agent_name`. */
  agentName?: string;
  /** Goes into the audit: the tool or node that asks, at most 200 characters. */
  purpose: string;
  /** Goes into the audit. */
  runId?: string;
  /** How long to wait for a refresh that is under way, in ms. */
  patienceMs?: number;
}

/** A credential in clear. Use it for one call; never store, log or return it. */
export interface Secret {
  secret: string;
  kind: "oauth" | "api_key";
  /** Settings stored with an API key: base_url, endpoint_id, model, … */
  metadata: Record<string, string | number | boolean>;
  scopes: string[];
  /** ISO 8601; null when it does not expire. */
  expiresAt: string | null;
}

interface Opened {
  kind: "oauth" | "api_key";
  field: "access_token" | "key";
  status: string;
  is_usable: boolean;
  is_refreshable: boolean;
  is_refresh_due: boolean;
  ciphertext: string | null;
  generation: number;
  wrapped_key: string;
  label?: string;
  metadata: Secret["metadata"];
  scopes: string[];
  expires_at: string | null;
}

const PATIENCE_MS = 20_000;

/**
 * Opens the credential a person holds for a provider: an OAuth token, else an API key (with a label
 * or agent name only API keys; without, the one labelled `default`, else the oldest).
 *
 * A token near its end is refreshed on the way. While another caller refreshes it, one that still
 * lives is used, and one that has expired is waited for.
 *
 * @returns undefined when the person holds none.
 * @throws {Problem} 424 `needs_reauth`, `token_expired`; 503 `refresh_unavailable`
 *   with Retry-After; or what is wrong with the stored text or the key ring (`unseal`).
 *
 * @example
 * ```ts
 * const ask = { userId, provider: "google", purpose: "tool:gmail", runId };
 * const opened = await openSecret(admin, ask);
 * ```
 */
export async function openSecret(
  admin: SupabaseClient<Database>,
  ask: SecretRequest,
): Promise<Secret | undefined> {
  const deadline = Date.now() + (ask.patienceMs ?? PATIENCE_MS);
  for (let turn = 0;; turn++) {
    const row = await rpc<Opened | null>(admin, "mira_open_secret", {
      p_user_id: ask.userId,
      p_provider: ask.provider,
      p_purpose: ask.purpose.slice(0, 200),
      p_run_id: ask.runId ?? null,
      p_label: ask.label ?? null,
      p_agent_name: ask.agentName ?? null,
    });
    if (row === null) return undefined;
    if (row.status === "needs_reauth") throw needsReauth(ask.provider);
    const open = (secret: string, expiresAt = row.expires_at): Secret => {
      const { kind, metadata, scopes } = row;
      return { secret, kind, metadata, scopes, expiresAt };
    };
    if (row.ciphertext !== null) {
      if (row.is_refresh_due) {
        // it still lives, so nothing that goes wrong here may stop the caller
        const fresh = await refreshToken(admin, ask.userId, ask.provider).catch(() => undefined);
        if (fresh?.outcome === "refreshed") return open(fresh.accessToken, fresh.expiresAt);
      }
      return open(
        await unseal(await keyring(), row.wrapped_key, {
          userId: ask.userId,
          provider: ask.provider,
          field: row.field,
          generation: row.generation,
          label: row.label ?? "",
          baseUrl: String(row.metadata["base_url"] ?? ""),
        }, row.ciphertext),
      );
    }
    if (!row.is_refreshable) throw expired(ask.provider);
    const attempt = await refreshToken(admin, ask.userId, ask.provider);
    if (attempt.outcome === "refreshed") continue;
    if (attempt.outcome === "needs_reauth") throw needsReauth(ask.provider);
    if (attempt.outcome === "not_configured") throw expired(ask.provider);
    // the next look: soon at first, then slower, each caller at its own pace
    const pause = Math.min(50 * 1.5 ** turn, 400) * (0.5 + Math.random());
    const isHopeless = attempt.outcome === "busy" && attempt.isBackingOff &&
      Date.now() + attempt.waitMs > deadline;
    if (isHopeless || Date.now() + pause > deadline) {
      throw unavailable(ask.provider, attempt.outcome === "busy" ? attempt.waitMs : 1000);
    }
    await new Promise((wake) => setTimeout(wake, pause));
  }
}

function needsReauth(provider: string): Problem {
  const detail = `${provider} no longer accepts the stored sign-in: connect it again.`;
  return new Problem(424, "needs_reauth", detail);
}

function expired(provider: string): Problem {
  const detail = `The token for ${provider} has expired and cannot be refreshed: connect it again.`;
  return new Problem(424, "token_expired", detail);
}

function unavailable(provider: string, waitMs: number): Problem {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new Problem(
    503,
    "refresh_unavailable",
    `${provider} does not refresh its token just now.`,
    {
      headers: { "retry-after": String(seconds) },
    },
  );
}
