/** What every write of a credential starts with: the person's data key and the next generation. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { Problem } from "../http/problem.ts";
import { newDataKey, openForSealing, type SealingKey, type WrappedDataKey } from "./data_key.ts";
import { keyring } from "./keyring.ts";

const MAX_TRIES = 8;

/**
 * Seals for the next generation of a row and writes it; starts over when another write came first.
 *
 * @param label of an API key; null for an OAuth token.
 * @param write seals with the key for that generation and stores the result.
 */
export async function sealAndWrite<T>(
  admin: SupabaseClient<Database>,
  userId: string,
  provider: string,
  label: string | null,
  write: (key: SealingKey, generation: number) => Promise<T>,
): Promise<T> {
  const ring = await keyring();
  for (let tries = 1;; tries++) {
    const prepared = await rpc<{ generation: number; data_key: WrappedDataKey | null }>(
      admin,
      "mira_prepare_secret",
      { p_user_id: userId, p_provider: provider, p_label: label },
    );
    const wrapped = prepared.data_key ?? await offerDataKey(admin, userId);
    const key = await openForSealing(ring, userId, wrapped);
    try {
      return await write(key, prepared.generation);
    } catch (error) {
      const moved = error instanceof Problem && error.code === "generation_moved";
      if (!moved || tries === MAX_TRIES) throw error;
      await new Promise((wake) => setTimeout(wake, Math.random() * 20 * tries));
    }
  }
}

/** Offers a new data key; of two writers who do so at once both get the one that came first. */
async function offerDataKey(
  admin: SupabaseClient<Database>,
  userId: string,
): Promise<WrappedDataKey> {
  const { id, wrapped_key } = await newDataKey(await keyring(), userId);
  return await rpc(admin, "mira_put_data_key", {
    p_user_id: userId,
    p_id: id,
    p_wrapped_key: wrapped_key,
  });
}
