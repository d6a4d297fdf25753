/** Calls of SQL functions through the Data API, with errors a caller can act on. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database, Json } from "./types.gen.ts";
import { problemFromSql } from "./problem_from_sql.ts";

/** A lost answer must not hold a request until the platform's wall; no call of ours is near this. */
export const ANSWER_WITHIN_MS = 30_000;

type Functions = Database["public"]["Functions"];

/** The generated types forget that any SQL argument may be null, and refuse interfaces as JSON. */
type Given<T> = Json extends T ? unknown : T | null;

type ArgsOf<F> = F extends { Args: infer A }
  ? [A] extends [never] ? Record<string, never> : { [K in keyof A]: Given<A[K]> | undefined }
  : never;

/** A function's name with its arguments: one pair per SQL function, so that both are checked. */
export type RpcCall = {
  [N in string & keyof Functions]: [name: N, args: ArgsOf<Functions[N]>];
}[string & keyof Functions];

/**
 * Calls `public.<name>` and returns its result.
 *
 * @param db client whose role decides what the call may do (service or the caller's).
 * @param call the SQL function and its named arguments, both typed from the schema; an argument that
 *   is undefined is left out, so that its default applies.
 * @throws {Problem} what SQL raised, as HTTP (see `problemFromSql`).
 */
export async function rpc<R = unknown>(
  db: SupabaseClient<Database>,
  ...[name, args]: RpcCall
): Promise<R> {
  const { data, error } = await db.rpc(name, args as never)
    .abortSignal(AbortSignal.timeout(ANSWER_WITHIN_MS));
  if (error) throw problemFromSql(error);
  return data as R;
}
