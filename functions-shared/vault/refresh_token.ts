/**
 * Refreshing an OAuth token: many callers, one call to the provider.
 *
 * A lease row says who refreshes; the others wait or go on with the token they have. The generation
 * fences: an answer is stored only on the generation it was refreshed from, and `invalid_grant`
 * counts only while that generation stands. A holder that dies before its call costs the length of
 * a lease. One that dies during the call may have used up a rotating refresh token; no lock can
 * mend that, so refreshes start minutes ahead of expiry, and the person is asked to sign in again
 * exactly once.
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { openForSealing } from "./data_key.ts";
import { type Keyring, keyring } from "./keyring.ts";
import { mask } from "./mask.ts";
import type { Place } from "./place.ts";
import { oauthClient, oauthProviders } from "./providers.ts";
import { seal } from "./seal.ts";
import { type FreshTokens, requestRefresh } from "./token_endpoint.ts";
import { unseal } from "./unseal.ts";

/** What became of one attempt. */
export type RefreshOutcome =
  /** This caller refreshed it; the new access token. */
  | { outcome: "refreshed"; accessToken: string; expiresAt: string | null }
  /** Somebody else just did. */
  | { outcome: "fresh" }
  /** Somebody else is at it, or the last failure is too recent: look again after `waitMs`. */
  | { outcome: "busy"; waitMs: number; isBackingOff: boolean }
  /** It failed for now; the next attempt has to wait. */
  | { outcome: "failed"; reason: string }
  /** No attempt can help. */
  | { outcome: "needs_reauth" | "revoked" | "missing" | "no_refresh_token" | "not_configured" };

type Lease =
  | { outcome: "busy"; wait_ms: number; is_backing_off: boolean }
  | { outcome: "fresh" | "needs_reauth" | "revoked" | "missing" | "no_refresh_token" }
  | {
    outcome: "granted";
    token_id: string;
    generation: number;
    ciphertext: string;
    wrapped_key: string;
  };

/** How long one worker may keep the others waiting, in ms. */
const LEASE_MS = 12_000;

/**
 * Refreshes a due token, unless another caller is at it.
 *
 * @param options.leaseMs length of the lease; the provider's call gets two thirds of it.
 */
export async function refreshToken(
  admin: SupabaseClient<Database>,
  userId: string,
  provider: string,
  options: { leaseMs?: number } = {},
): Promise<RefreshOutcome> {
  const definition = oauthProviders().get(provider);
  if (definition === undefined || oauthClient(provider, definition) === null) {
    return { outcome: "not_configured" };
  }
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const holder = crypto.randomUUID();
  const lease = await rpc<Lease>(admin, "mira_lease_token_refresh", {
    p_user_id: userId,
    p_provider: provider,
    p_holder: holder,
    p_ttl_ms: leaseMs,
  });
  if (lease.outcome === "busy") {
    return { outcome: "busy", waitMs: lease.wait_ms, isBackingOff: lease.is_backing_off };
  }
  if (lease.outcome !== "granted") return lease;

  const fail = (isFinal: boolean, reason: string) =>
    rpc<string>(admin, "mira_fail_token_refresh", {
      p_token_id: lease.token_id,
      p_holder: holder,
      p_generation: lease.generation,
      p_is_final: isFinal,
      p_reason: reason,
    });
  const place = { userId, provider, generation: lease.generation };
  const { ring, old } = await openOld(lease, place).catch(async (error) => {
    // what cannot be opened now may be opened with a mended key ring, but not every few seconds
    await fail(false, "unreadable");
    throw error;
  });
  const answer = await requestRefresh(provider, definition, old, leaseMs * 2 / 3);
  if (!answer.ok) {
    const result = await fail(answer.isFinal, answer.reason);
    if (result === "moved") return { outcome: "fresh" };
    if (result === "needs_reauth") return { outcome: "needs_reauth" };
    return { outcome: "failed", reason: answer.reason };
  }

  const { accessToken, refreshToken = old, expiresIn, scopes }: FreshTokens = answer.tokens;
  const next = { ...place, generation: lease.generation + 1 };
  const id = lease.ciphertext.split(".")[1] ?? "";
  const key = await openForSealing(ring, userId, { id, wrapped_key: lease.wrapped_key });
  const [sealedAccess, sealedRefresh] = await Promise.all([
    seal(key, { ...next, field: "access_token" }, accessToken),
    seal(key, { ...next, field: "refresh_token" }, refreshToken),
  ]);
  const store = () =>
    rpc<{ expires_at: string | null } | null>(admin, "mira_store_token_refresh", {
      p_token_id: lease.token_id,
      p_generation: lease.generation + 1,
      p_access_token: sealedAccess,
      p_refresh_token: sealedRefresh,
      p_expires_in: expiresIn ?? null,
      p_scopes: scopes ?? null,
      p_masked_token: mask(accessToken),
    });
  // the old token may be used up by now: a lost connection must not lose the new one too
  const stored = await insist(store);
  return stored === null
    ? { outcome: "fresh" }
    : { outcome: "refreshed", accessToken, expiresAt: stored.expires_at };
}

async function openOld(
  lease: { wrapped_key: string; ciphertext: string },
  place: Omit<Place, "field">,
): Promise<{ ring: Keyring; old: string }> {
  const ring = await keyring();
  const at: Place = { ...place, field: "refresh_token" };
  return { ring, old: await unseal(ring, lease.wrapped_key, at, lease.ciphertext) };
}

/**
 * Tries again after 0.2, 0.8 and 3.2 seconds. Storing twice is harmless: the second finds it done.
 */
async function insist<T>(store: () => Promise<T>, attempt = 0): Promise<T> {
  try {
    return await store();
  } catch (error) {
    if (attempt === 3) throw error;
    await new Promise((wake) => setTimeout(wake, 200 * 4 ** attempt));
    return await insist(store, attempt + 1);
  }
}
