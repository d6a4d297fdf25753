/** Calls of SQL functions through the Data API, with errors a caller can act on. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "./types.gen.ts";
import { problemFromSql } from "./problem_from_sql.ts";

type Functions = Database["public"]["Functions"];

/**
 * Calls `public.<name>` and returns its result.
 *
 * @param db client whose role decides what the call may do (service or the caller's).
 * @param name SQL function, typed from the schema.
 * @param args its named arguments.
 * @throws {Problem} what SQL raised, as HTTP (see `problemFromSql`).
 */
export async function rpc<
  R = unknown,
  N extends string & keyof Functions = string & keyof Functions,
>(
  db: SupabaseClient<Database>,
  name: N,
  args: Functions[N]["Args"],
): Promise<R> {
  const { data, error } = await db.rpc(name, args as never);
  if (error) throw problemFromSql(error);
  return data as R;
}
