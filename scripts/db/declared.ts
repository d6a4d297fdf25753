import type { Catalog } from "./catalog.ts";
import { readCatalog } from "./catalog.ts";
import type { SqlExecutor } from "./executor.ts";
import { applyMigrations } from "./apply_migrations.ts";
import type { Migration } from "./list_migrations.ts";
import { splitStatements } from "./split_statements.ts";
import { createLite, ensurePlatform } from "../stack/platform.ts";
import { openPglite } from "../stack/database.ts";
import { newKeys } from "../stack/keys.ts";

/** A migration and everything that is there once it and all before it have been applied. */
export interface Declared {
  migration: Migration;
  /** What the migrations up to this one make; what a platform has before them is left out. */
  after: Catalog;
}

/**
 * Finds out what migrations make, by applying them to an empty PostgreSQL in this process and
 * reading its catalog after each. `like` is the database they will be compared with: what the
 * migrations do only where the platform offers it (a publication) is declared only if `like` has it.
 */
export async function declare(migrations: Migration[], like?: SqlExecutor): Promise<Declared[]> {
  const database = await openPglite();
  try {
    const lite = createLite(database, await newKeys());
    await database.exclusive(() => lite.init());
    return await database.session(async (db) => {
      await ensurePlatform(db, lite);
      if (like !== undefined) await mimicPlatform(db, like);
      const bare = await readCatalog(db);
      const declared: Declared[] = [];
      for (const migration of migrations) {
        await applyMigrations(db, { migrations: [migration] });
        const after = await readCatalog(db);
        for (const [key, object] of bare) {
          if (after.get(key)?.definition === object.definition) after.delete(key);
        }
        for (const object of after.values()) {
          if (object.kind === "rows") object.make = insertsInto(object.name, migrations);
        }
        declared.push({ migration, after });
      }
      return declared;
    });
  } finally {
    await database.close();
  }
}

/** The migrations' own statements that fill a table. */
function insertsInto(table: string, migrations: Migration[]): string {
  const start = new RegExp(`^insert\\s+into\\s+${table.replaceAll(".", "\\.")}\\b`, "i");
  return migrations.flatMap(({ sql }) => splitStatements(sql))
    .map(({ text }) => text.replace(/^(\s*--.*\n)+/, "").trim())
    .filter((text) => start.test(text)).join(";\n");
}

/** Gives the reference what the other database's platform has and migrations look for. */
async function mimicPlatform(db: SqlExecutor, like: SqlExecutor): Promise<void> {
  const publications = await like.query(
    `select format('create publication %I', pubname) as make from pg_catalog.pg_publication
     where not puballtables and pubname = 'supabase_realtime'`,
  );
  for (const { make } of publications) await db.exec(make as string);
  const [realtime] = await like.query(
    "select to_regclass('realtime.messages') is not null as there",
  );
  if (realtime!["there"]) {
    await db.exec(`
      create schema realtime;
      create table realtime.messages (id uuid, topic text, extension text, payload jsonb, event text,
        private boolean, updated_at timestamp, inserted_at timestamp);
      create function realtime.topic() returns text language sql as 'select null::text';
      create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
        returns void language sql as 'select null';
      create function realtime.broadcast_changes(topic_name text, event_name text, operation text,
        table_name text, table_schema text, new record, old record, level text default 'ROW')
        returns void language plpgsql as 'begin end';
      grant usage on schema realtime to authenticated, service_role;`);
  }
}
