import type { SqlExecutor } from "./executor.ts";
import type { Migration } from "./list_migrations.ts";

/** A row of `supabase_migrations.schema_migrations`, the history that `supabase db push` keeps. */
export interface HistoryRow {
  version: string;
  name: string | null;
  statements: string[] | null;
}

const CREATE_HISTORY = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
  alter table supabase_migrations.schema_migrations add column if not exists statements text[];
  alter table supabase_migrations.schema_migrations add column if not exists name text;`;

/** True when the database keeps a migration history. */
export async function hasHistory(db: SqlExecutor): Promise<boolean> {
  const [row] = await db.query(
    "select to_regclass('supabase_migrations.schema_migrations') is not null as present",
  );
  return row?.["present"] === true;
}

/** Creates the history as the Supabase CLI does, where it is missing. */
export async function ensureHistory(db: SqlExecutor): Promise<void> {
  const [row] = await db.query(
    `select count(*)::int as columns from pg_catalog.pg_attribute
     where attrelid = to_regclass('supabase_migrations.schema_migrations')
       and attname in ('version', 'statements', 'name') and not attisdropped`,
  );
  // asked first, so that a role that may not create schemas can still migrate
  if (row?.["columns"] !== 3) await db.exec(CREATE_HISTORY);
}

/** The history, oldest first; empty when there is none. */
export async function readHistory(db: SqlExecutor): Promise<HistoryRow[]> {
  if (!await hasHistory(db)) return [];
  await ensureHistory(db);
  const rows = await db.query(
    `select version, name, to_json(statements) as statements
     from supabase_migrations.schema_migrations order by version`,
  );
  return rows as unknown as HistoryRow[];
}

/** Records a migration as applied. */
export async function recordApplied(
  db: SqlExecutor,
  migration: Pick<Migration, "version" | "name">,
  statements: string[],
): Promise<void> {
  // the array travels as JSON text: every driver agrees on text
  await db.query(
    `insert into supabase_migrations.schema_migrations (version, name, statements)
     values ($1, $2, array(select s from json_array_elements_text($3::text::json) with ordinality as e (s, n)
                           order by n))`,
    [migration.version, migration.name, JSON.stringify(statements)],
  );
}

/** Takes a version out of the history. */
export async function recordReverted(db: SqlExecutor, version: string): Promise<void> {
  await db.query("delete from supabase_migrations.schema_migrations where version = $1", [version]);
}
