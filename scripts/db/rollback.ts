/** `deno task db:rollback`: takes away what the migrations made, newest first. */

import { type Catalog, readCatalog } from "./catalog.ts";
import { carryOut, type Change, changesTo, removalsOf } from "./changes.ts";
import { declare, type Declared } from "./declared.ts";
import type { SqlExecutor } from "./executor.ts";
import { hasHistory, readHistory, recordReverted } from "./migration_history.ts";
import { goAhead, Refusal, runTask } from "./target.ts";

const HELP = `deno task db:rollback --db-url <url> [options]

Takes away what the migrations made, in reverse order and in one transaction, with the rows in it,
down to the database as it was before them; or down to a version, which stays. Drops only what the
migrations declare, and never with cascade: if somebody else's object depends on one of ours, it
says which and changes nothing. Extensions and the schema that holds them stay unless asked for.

Encrypted tokens and keys cannot be had back. While there are any, it refuses, unless they are
exported first or given up.

  --to <version>      stop there; that migration stays
  --export <file>     first write the rows of the vault's tables, still encrypted, to a JSON file:
                      {"<table>": [row, …]}; json_populate_recordset puts them back
  --yes-lose-tokens   drop them without a copy
  --extensions        drop the extensions too, where nobody else uses them
  --dry-run           say what would happen, and stop
  --yes               do not ask`;

/** The vault's tables are those its migration makes; a token without its data key is noise. */
const VAULT = /^vault$/;

await runTask({
  help: HELP,
  options: {
    "to": { type: "string" },
    "export": { type: "string" },
    "yes-lose-tokens": { type: "boolean" },
    "extensions": { type: "boolean" },
    "dry-run": { type: "boolean" },
    "yes": { type: "boolean" },
  },
}, async ({ db, migrations, flags }) => {
  const to = flags["to"] as string | undefined;
  const stop = to === undefined ? -1 : migrations.findIndex((m) => m.version === to);
  if (to !== undefined && stop < 0) throw new Refusal(`There is no migration ${to}.`);
  const declared = await declare(migrations, db);
  const actual = await readCatalog(db);
  const kept: Catalog = declared[stop]?.after ?? new Map();
  const removals = removalsOf(everMade(declared, flags["extensions"] === true), actual, kept);
  const history = (await readHistory(db)).map((row) => row.version);
  const reverted = migrations.slice(stop + 1).map((m) => m.version).filter((v) =>
    history.includes(v)
  )
    .reverse();

  const secrets = await countRows(db, vaultTables(declared, stop, actual));
  const tables = removals.filter((change) => change.object.kind === "table");
  const lost = await countRows(db, tables.map((change) => change.object.name));
  console.log(
    `Will take back ${reverted.length} migrations: ${reverted.join(" ") || "none recorded"}`,
  );
  console.log(
    `and drop ${removals.length} objects, ${tables.length} of them tables` +
      (lost.length > 0 ? ", with these rows:" : ", all empty."),
  );
  for (const { table, rows } of lost) console.log(`  ${table.padEnd(40)} ${rows}`);
  if (flags["dry-run"]) {
    for (const change of removals) console.log(`  ${change.says}`);
    return true;
  }
  if (removals.length === 0 && reverted.length === 0) {
    console.log("Nothing to take back.");
    return true;
  }
  if (secrets.length > 0) await guardSecrets(db, secrets, flags);
  if (!goAhead(flags, "Drop all this?")) return false;

  await db.exec("begin");
  try {
    if (stop < 0) await unschedule(db);
    await takeAway(db, removals, kept);
    for (const version of reverted) await recordReverted(db, version);
    await dropEmptyHistory(db);
    if (stop < 0) await db.exec("alter default privileges grant execute on functions to public");
    await db.exec("commit");
  } catch (error) {
    await db.exec("rollback");
    throw error;
  }
  console.log(`Done: ${removals.length} objects dropped.`);
  return true;
});

/** Everything any migration ever made, oldest first, also what a later one replaced. */
function everMade(declared: Declared[], withExtensions: boolean): Catalog {
  const all: Catalog = new Map();
  for (const { after } of declared) {
    for (const [key, object] of after) {
      const isShared = object.kind === "extension" || key === "schema extensions" ||
        key.startsWith("grant schema ");
      if (!all.has(key) && (withExtensions || !isShared)) all.set(key, object);
    }
  }
  return all;
}

async function takeAway(db: SqlExecutor, removals: Change[], kept: Catalog): Promise<void> {
  // policies and foreign keys first, then by kind; what is still in use waits for a later round
  const first = ["policy", "constraint", "trigger", "view", "publication"];
  const rank = (change: Change) => {
    const i = first.indexOf(change.object.kind);
    return i < 0 ? first.length : i;
  };
  const ordered = removals.toSorted((a, b) => rank(a) - rank(b));
  const refused = await carryOut(db, ordered);
  const blocking = refused.filter(({ change }) => !/^(schema|extension)$/.test(change.object.kind));
  if (blocking.length > 0) {
    const why = blocking.map(({ change, error }) =>
      `  ${change.says}: ${error.message}${
        error.detail ? `\n    ${error.detail.replaceAll("\n", "\n    ")}` : ""
      }`
    );
    throw new Refusal(`Others depend on what would go, so nothing was changed:\n${why.join("\n")}`);
  }
  for (const { change, error } of refused) {
    if (/^(schema|extension)$/.test(change.object.kind)) {
      console.log(
        `  left ${change.object.kind} ${change.object.name}: ${error.detail ?? error.message}`,
      );
    }
  }
  const restored = changesTo(kept, await readCatalog(db));
  const still = await carryOut(db, restored);
  if (still.length > 0) {
    const why = still.map(({ change, error }) => `  ${change.says}: ${error.message}`);
    throw new Refusal(
      `The earlier state cannot be restored, so nothing was changed:\n${why.join("\n")}`,
    );
  }
}

function vaultTables(declared: Declared[], stop: number, actual: Catalog): string[] {
  const i = declared.findIndex(({ migration }) => VAULT.test(migration.name));
  if (i < 0 || i <= stop) return [];
  return [...declared[i]!.after.values()]
    .filter((object) => object.kind === "table" && actual.has(`table ${object.name}`))
    .filter((object) => !declared[i - 1]?.after.has(`table ${object.name}`))
    .map((object) => object.name);
}

async function countRows(db: SqlExecutor, tables: string[]) {
  const counts: { table: string; rows: number }[] = [];
  for (const table of tables) {
    const [row] = await db.query(`select count(*)::float8 as rows from ${table}`);
    if (row!["rows"] !== 0) counts.push({ table, rows: row!["rows"] as number });
  }
  return counts;
}

async function guardSecrets(
  db: SqlExecutor,
  secrets: { table: string; rows: number }[],
  flags: Record<string, string | boolean | undefined>,
): Promise<void> {
  const file = flags["export"] as string | undefined;
  if (file !== undefined) {
    const copy: Record<string, unknown> = {};
    for (const { table } of secrets) {
      const [row] = await db.query(
        `select coalesce(json_agg(t), '[]')::text as rows from ${table} t`,
      );
      copy[table] = JSON.parse(row!["rows"] as string);
    }
    await Deno.writeTextFile(file, JSON.stringify(copy, null, 1), { mode: 0o600, createNew: true });
    console.log(`Exported  ${file}`);
  } else if (flags["yes-lose-tokens"] !== true) {
    const list = secrets.map(({ table, rows }) => `  ${table}: ${rows}`).join("\n");
    throw new Refusal(
      `The vault is not empty:\n${list}\nNothing was changed. --export <file> keeps a copy, --yes-lose-tokens gives them up.`,
    );
  }
}

/** Jobs of pg_cron live in a table of its own, where no catalog shows them. */
async function unschedule(db: SqlExecutor): Promise<void> {
  const [row] = await db.query(
    "select to_regprocedure('private.remove_schedule()') is not null as there",
  );
  if (row!["there"] === true) await db.exec("select private.remove_schedule()");
}

/** A history without rows was made by whoever migrated; it is made again when needed. */
async function dropEmptyHistory(db: SqlExecutor): Promise<void> {
  if (!await hasHistory(db) || (await readHistory(db)).length > 0) return;
  await db.exec("drop table supabase_migrations.schema_migrations");
  const [row] = await db.query(
    `select not exists (select from pg_catalog.pg_class where relnamespace = 'supabase_migrations'::regnamespace) as empty`,
  );
  if (row!["empty"]) await db.exec("drop schema supabase_migrations");
}
