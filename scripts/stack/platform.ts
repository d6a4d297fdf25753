/** What a Supabase project has before the first migration: roles, and Auth's schema. */

import { App } from "@supabase/lite";
import type { SqlExecutor } from "../db/executor.ts";
import type { StackDatabase } from "./database.ts";
import type { Keys } from "./keys.ts";

const ROLES = `
  do $$ begin
    if to_regrole('anon') is null then create role anon nologin; end if;
    if to_regrole('authenticated') is null then create role authenticated nologin; end if;
    if to_regrole('service_role') is null then create role service_role nologin bypassrls; end if;
  end $$;
`;

const REACH = `
  grant usage on schema public, auth to anon, authenticated, service_role;
  do $$ begin
    execute format('alter database %I set pgrst.db_schemas = %L', current_database(), 'public');
  exception when others then null; -- a session setting is enough where the owner may not
  end $$;
`;

/** Data API and Auth over `database`, with the keys enforced and no admin door. */
export function createLite(database: StackDatabase, keys: Keys): App {
  return new App({
    connection: database.connection,
    auth: {
      enabled: true,
      jwt_secret: keys.jwtSecret,
      publishable_key: keys.publishable,
      secret_key: keys.secret,
      enable_signup: true,
      minimum_password_length: 6,
      email: { enable_signup: true, enable_confirmations: false },
    },
    api: { schemas: ["public"], max_rows: 1000 },
    options: { server: { admin: false, disableStudio: true } },
    // deno-lint-ignore no-explicit-any
  } as any) as App;
}

/** Makes roles and the auth schema where they are missing; safe to run again. */
export async function ensurePlatform(sql: SqlExecutor, lite: App): Promise<void> {
  await sql.exec(ROLES);
  await lite.ensureSystemSchema();
  await sql.exec(REACH);
}
