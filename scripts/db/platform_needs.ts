import type { SqlExecutor } from "./executor.ts";

const NEEDS: [what: string, test: string][] = [
  ["PostgreSQL 15 or newer", "current_setting('server_version_num')::int >= 150000"],
  ["role anon", "to_regrole('anon') is not null"],
  ["role authenticated", "to_regrole('authenticated') is not null"],
  ["role service_role", "to_regrole('service_role') is not null"],
  ["table auth.users", "to_regclass('auth.users') is not null"],
  ["function auth.uid()", "to_regprocedure('auth.uid()') is not null"],
  ["function auth.jwt()", "to_regprocedure('auth.jwt()') is not null"],
];

/** Extensions that migrations create; the server must offer them. */
const EXTENSIONS = ["vector", "pgcrypto", "uuid-ossp"];

/** What a Supabase project has before the first migration, and this database lacks. */
export async function missingPlatform(db: SqlExecutor): Promise<string[]> {
  const missing: string[] = [];
  for (const [what, test] of NEEDS) {
    const [row] = await db.query(`select ${test} as met`);
    if (row?.["met"] !== true) missing.push(what);
  }
  const offered = await db.query("select name from pg_catalog.pg_available_extensions");
  for (const name of EXTENSIONS) {
    if (!offered.some((row) => row["name"] === name)) {
      missing.push(`extension ${name} (to be installed on the server)`);
    }
  }
  return missing;
}

/** True for what the stack's bootstrap can make: all but what belongs on the server's disk. */
export function canBootstrap(what: string): boolean {
  return /^(role|table|function) /.test(what);
}
