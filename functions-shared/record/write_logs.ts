/** Stores lines of logs, redacted, in one statement. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { LogEntry, LogReceipt } from "../contracts/log_execution.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { redactFields } from "./redact_fields.ts";

/**
 * Writes `logs` for `userId`: all or none, numbered in their order, each id once.
 *
 * Secrets go by key name and by shape; SQL does the same once more for writers that come another
 * way, and cuts messages at 4 KiB and metadata at 8 KiB.
 *
 * @throws {Problem} what SQL refused.
 */
export async function writeLogs(
  admin: SupabaseClient<Database>,
  userId: string,
  logs: readonly LogEntry[],
): Promise<LogReceipt> {
  return await rpc<LogReceipt>(admin, "insert_execution_logs", {
    p_user_id: userId,
    p_logs: logs.map((log) => redactFields(log, ["message", "metadata"])),
  });
}
