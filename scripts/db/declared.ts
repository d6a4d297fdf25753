import { type Catalog, type CatalogObject, readCatalog } from "./catalog.ts";
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
 * The answer is kept under `.mira`, by a hash of everything it depends on.
 */
export async function declare(migrations: Migration[], like?: SqlExecutor): Promise<Declared[]> {
  const extras = like === undefined ? [] : await platformExtras(like);
  const path = `${KEPT}${await fingerprint(migrations, extras)}.json`;
  const kept = await readKept(path, migrations);
  if (kept !== undefined) return kept;
  const declared = await applyAndRead(migrations, extras);
  await keep(path, declared);
  return declared;
}

async function applyAndRead(migrations: Migration[], extras: string[]): Promise<Declared[]> {
  const database = await openPglite();
  try {
    const lite = createLite(database, await newKeys());
    await database.exclusive(() => lite.init());
    return await database.session(async (db) => {
      await ensurePlatform(db, lite);
      for (const extra of extras) await db.exec(extra);
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
    Deno.exitCode = 0; // PGlite leaves initdb's exit code behind
  }
}

/** The migrations' own statements that fill a table. */
function insertsInto(table: string, migrations: Migration[]): string {
  const start = new RegExp(`^insert\\s+into\\s+${table.replaceAll(".", "\\.")}\\b`, "i");
  return migrations.flatMap(({ sql }) => splitStatements(sql))
    .map(({ text }) => text.replace(/^(\s*--.*\n)+/, "").trim())
    .filter((text) => start.test(text)).join(";\n");
}

/** Statements that give the reference what the other database's platform has and migrations look for. */
async function platformExtras(like: SqlExecutor): Promise<string[]> {
  const publications = await like.query(
    `select format('create publication %I', pubname) as make from pg_catalog.pg_publication
     where not puballtables and pubname = 'supabase_realtime'`,
  );
  const [realtime] = await like.query(
    "select to_regclass('realtime.messages') is not null as there",
  );
  return [
    ...publications.map((row) => row["make"] as string),
    ...(realtime!["there"] ? [REALTIME] : []),
  ];
}

/** As much of Supabase Realtime's schema as migrations refer to. */
const REALTIME = `
  create schema realtime;
  create table realtime.messages (id uuid, topic text, extension text, payload jsonb, event text,
    private boolean, updated_at timestamp, inserted_at timestamp);
  create function realtime.topic() returns text language sql as 'select null::text';
  create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
    returns void language sql as 'select null';
  create function realtime.broadcast_changes(topic_name text, event_name text, operation text,
    table_name text, table_schema text, new record, old record, level text default 'ROW')
    returns void language plpgsql as 'begin end';
  grant usage on schema realtime to authenticated, service_role;`;

const KEPT = new URL("../../.mira/declared/", import.meta.url).pathname;

async function fingerprint(migrations: Migration[], extras: string[]): Promise<string> {
  const code = ["declared.ts", "catalog.ts", "catalog_sql.ts", "../stack/platform.ts"]
    .map((file) => Deno.readTextFile(new URL(file, import.meta.url)));
  const parts = [...await Promise.all(code), ...extras, ...migrations.map((m) => m.file + m.sql)];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\0")));
  return Array.from(new Uint8Array(digest, 0, 12), (b) => b.toString(16).padStart(2, "0")).join("");
}

/** What is kept of each migration: what it made or changed, and the keys of what it took away. */
type Step = { set: CatalogObject[]; gone: string[] };

async function keep(path: string, declared: Declared[]): Promise<void> {
  const steps = declared.map(({ after }, i): Step => {
    const before = declared[i - 1]?.after ?? new Map<string, CatalogObject>();
    return {
      set: [...after.entries()]
        .filter(([key, object]) => before.get(key)?.definition !== object.definition)
        .map(([, object]) => object),
      gone: [...before.keys()].filter((key) => !after.has(key)),
    };
  });
  await Deno.mkdir(KEPT, { recursive: true });
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, JSON.stringify(steps));
  await Deno.rename(draft, path);
}

async function readKept(path: string, migrations: Migration[]): Promise<Declared[] | undefined> {
  let steps: Step[];
  try {
    steps = JSON.parse(await Deno.readTextFile(path)) as Step[];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const after: Catalog = new Map();
  return steps.map(({ set, gone }, i) => {
    for (const key of gone) after.delete(key);
    for (const object of set) after.set(`${object.kind} ${object.name}`, object);
    return { migration: migrations[i]!, after: new Map(after) };
  });
}
