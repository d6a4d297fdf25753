/** Statistics of the record, by period: tasks, services, documents, agents, tools. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { z } from "zod";
import type { StatisticsQuery } from "../contracts/log_execution.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";

/** Counted when asked, from the rows themselves: no counter to keep, none to be wrong. */
export async function readStatistics(
  admin: SupabaseClient<Database>,
  userId: string,
  query: Omit<z.infer<typeof StatisticsQuery>, "user_id">,
): Promise<Record<"from" | "to" | "period" | "tasks" | "documents" | "logs" | "tools", unknown>> {
  const to = query.to ?? new Date(Date.now() + 1000).toISOString();
  const from = query.from ?? new Date(Date.parse(to) - 30 * 86_400_000).toISOString();
  const range = { p_user_id: userId, p_from: from, p_to: to, p_period: query.period };
  const [tasks, documents, logs, tools] = await Promise.all([
    rpc(admin, "get_task_statistics", range),
    rpc(admin, "get_document_statistics", range),
    rpc(admin, "get_execution_log_statistics", range),
    rpc(admin, "get_tool_statistics", range),
  ]);
  return { from, to, period: query.period, tasks, documents, logs, tools };
}
