/**
 * A stand-in for the service-role Data API client that speaks to PostgreSQL directly, for tests
 * that start many processes or want the database without a gateway. Only `rpc` exists.
 */

import type { SupabaseClient } from "@supabase/supabase-js";
import postgres from "postgres";
import type { Database } from "../../../functions-shared/db/types.gen.ts";

/** The client, plain SQL beside it, and its end. */
export interface SqlAdmin {
  admin: SupabaseClient<Database>;
  sql: postgres.Sql;
  close(): Promise<void>;
}

/** Connects as `role` (default service_role) with up to `max` connections. */
export function sqlAdmin(dbUrl: string, max = 4, role = "service_role"): SqlAdmin {
  const quiet = { onnotice: () => {} };
  const sql = postgres(dbUrl, { max, connection: { role }, ...quiet });
  const isSet = new Map<string, boolean>();
  const ask = async (name: string, args: Record<string, unknown>) => {
    try {
      let returnsSet = isSet.get(name);
      if (returnsSet === undefined) {
        const [found] = await sql`select proretset from pg_proc where proname = ${name}
          and pronamespace = 'public'::regnamespace`;
        isSet.set(name, returnsSet = found?.["proretset"] === true);
      }
      const names = Object.keys(args);
      const list = names.map((each, i) => `${each} => $${i + 1}`).join(", ");
      const call = `select to_jsonb(r) as r from public.${name}(${list}) as r`;
      const rows = await sql.unsafe(call, names.map((each) => args[each]) as never, {
        prepare: true,
      });
      const values = rows.map((row) => row["r"]);
      return { data: returnsSet ? values : values[0] ?? null, error: null };
    } catch (error) {
      const { code = "XX000", message, detail = null, hint = null } = error as Record<
        string,
        string
      >;
      return { data: null, error: { code, message, details: detail, hint } };
    }
  };
  /** An answer that can be awaited as it is, or after a time limit was set, which is not needed here. */
  const rpc = (name: string, args: Record<string, unknown>) => {
    const answer = ask(name, args);
    return Object.assign(answer, { abortSignal: () => answer });
  };
  return {
    admin: { rpc } as unknown as SupabaseClient<Database>,
    sql,
    close: () => sql.end({ timeout: 5 }),
  };
}
