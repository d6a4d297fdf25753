/** Storing OAuth tokens. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { TokenSummary, UpsertToken } from "../contracts/upsert_tokens.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { mask } from "./mask.ts";
import { seal } from "./seal.ts";
import { sealAndWrite } from "./sealing.ts";

/**
 * Seals and stores a person's tokens at a provider, replacing what stood there.
 *
 * @returns the token as the person may see it.
 */
export function storeToken(
  admin: SupabaseClient<Database>,
  userId: string,
  input: UpsertToken,
): Promise<TokenSummary> {
  const { provider, access_token, refresh_token } = input;
  return sealAndWrite(admin, userId, provider, null, async (key, generation) => {
    const sealed = (field: "access_token" | "refresh_token", secret: string) =>
      seal(key, { userId, provider, field, generation }, secret);
    return await rpc<TokenSummary>(admin, "upsert_user_tokens", {
      p_user_id: userId,
      p_provider: provider,
      p_access_token: await sealed("access_token", access_token),
      p_refresh_token: refresh_token === undefined
        ? null
        : await sealed("refresh_token", refresh_token),
      p_expires_at: input.expires_at ?? null,
      p_expires_in: input.expires_in ?? null,
      p_scopes: input.scopes,
      p_masked_token: mask(access_token),
      p_generation: generation,
    });
  });
}
