/** Telling providers which tokens people disconnected. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { keyring } from "./keyring.ts";
import { oauthProviders } from "./providers.ts";
import { requestRevocation } from "./token_endpoint.ts";
import { unseal } from "./unseal.ts";

interface Owed {
  id: string;
  user_id: string;
  provider: string;
  field: "access_token" | "refresh_token";
  ciphertext: string;
  generation: number;
  wrapped_key: string;
}

const CALL_MS = 8_000;

/**
 * Revokes up to `limit` tokens that are owed to providers. A provider that fails is asked again
 * later (30 s, doubling, eight times); one without a revocation endpoint just has its token
 * dropped.
 *
 * @returns how many left the queue.
 */
export async function revokeTokens(admin: SupabaseClient<Database>, limit = 20): Promise<number> {
  const owed = await rpc<Owed[]>(admin, "mira_claim_token_revocations", { p_limit: limit });
  const done = await Promise.all(owed.map(async (token) => {
    const outcome = await revoke(token).catch(() => "revoke_failed");
    return await rpc<boolean>(admin, "mira_finish_token_revocation", {
      p_id: token.id,
      p_outcome: outcome,
    });
  }));
  return done.filter(Boolean).length;
}

async function revoke(owed: Owed): Promise<string> {
  const provider = oauthProviders().get(owed.provider);
  if (provider?.revoke_url === undefined) return "revoke_unsupported";
  const { revoke_url } = provider;
  const { user_id: userId, provider: name, field, generation } = owed;
  const place = { userId, provider: name, field, generation };
  const token = await unseal(await keyring(), owed.wrapped_key, place, owed.ciphertext);
  const isGone = await requestRevocation(name, { ...provider, revoke_url }, token, field, CALL_MS);
  return isGone ? "revoked" : "revoke_failed";
}
