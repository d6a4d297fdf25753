/** Storing API keys. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { StoredApiKey, UpsertApiKey } from "../contracts/upsert_tokens.ts";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { mask } from "./mask.ts";
import { fingerprint, seal } from "./seal.ts";
import { sealAndWrite } from "./sealing.ts";

/**
 * Seals and stores a person's API key under its label, replacing the one that stood there.
 *
 * @returns the key as the person may see it, and the labels that hold the same key.
 */
export function storeApiKey(
  admin: SupabaseClient<Database>,
  userId: string,
  { provider, label, key: secret, metadata }: UpsertApiKey,
): Promise<StoredApiKey> {
  return sealAndWrite(admin, userId, provider, label, async (key, generation) => {
    const baseUrl = String(metadata["base_url"] ?? "");
    return await rpc<StoredApiKey>(admin, "mira_store_api_key", {
      p_user_id: userId,
      p_provider: provider,
      p_label: label,
      p_encrypted_key: await seal(
        key,
        { userId, provider, field: "key", generation, label, baseUrl },
        secret,
      ),
      p_key_hash: await fingerprint(key, provider, secret),
      p_masked_key: mask(secret),
      p_metadata: metadata,
      p_generation: generation,
    });
  });
}
