/** Rotation: moves every data key under the active root key, while readers go on reading. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { Problem } from "../http/problem.ts";
import { rewrapDataKey, type WrappedDataKey } from "./data_key.ts";
import type { Keyring } from "./keyring.ts";

/** Where a rotation stands. */
export interface RotationReport {
  /** Data keys re-wrapped by this call. */
  rewrapped: number;
  /** Data keys that could not be opened, by error code. */
  refused: Record<string, number>;
  /** Data keys still under another root key than the active one, by root key. */
  left: Record<string, number>;
  /** Root keys of the ring that wrap nothing any more and may leave it. */
  removable: string[];
}

/**
 * Re-wraps in batches. It may be stopped and started at any time and by several at once: what is
 * done is marked by the text itself, and a data key that changed meanwhile is left for the next
 * pass.
 *
 * @param options.batch data keys per round trip, at most 5000.
 * @param options.onProgress hears the count after each batch.
 */
export async function rotateDataKeys(
  admin: SupabaseClient<Database>,
  ring: Keyring,
  options: { batch?: number; onProgress?: (rewrapped: number) => void } = {},
): Promise<RotationReport> {
  const report: RotationReport = { rewrapped: 0, refused: {}, left: {}, removable: [] };
  let after: string | null = null;
  for (;;) {
    const stale: (WrappedDataKey & { user_id: string })[] = await rpc(
      admin,
      "mira_list_stale_data_keys",
      { p_active_root_key_id: ring.active.id, p_after: after, p_limit: options.batch ?? 1000 },
    );
    if (stale.length === 0) break;
    const swaps = (await Promise.all(stale.map(async (key) => {
      try {
        const new_key = await rewrapDataKey(ring, key.user_id, key);
        return { id: key.id, old_key: key.wrapped_key, new_key };
      } catch (error) {
        const code = error instanceof Problem ? error.code : "unknown";
        report.refused[code] = (report.refused[code] ?? 0) + 1;
        return undefined;
      }
    }))).filter((swap) => swap !== undefined);
    report.rewrapped += await rpc<number>(admin, "mira_rewrap_data_keys", { p_keys: swaps });
    after = stale.at(-1)!.id;
    options.onProgress?.(report.rewrapped);
  }
  const counts = await rpc<{ root_key_id: string; data_keys: number }[]>(
    admin,
    "mira_count_data_keys",
    {} as never,
  );
  for (const { root_key_id, data_keys } of counts) {
    if (root_key_id !== ring.active.id) report.left[root_key_id] = data_keys;
  }
  report.removable = [...ring.keys.keys()]
    .filter((id) => id !== ring.active.id && report.left[id] === undefined);
  return report;
}
