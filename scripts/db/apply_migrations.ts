import type { SqlExecutor } from "./executor.ts";
import { listMigrations, type Migration } from "./list_migrations.ts";
import { ensureHistory, recordApplied } from "./migration_history.ts";
import { splitStatements } from "./split_statements.ts";

/** What {@linkcode applyMigrations} may be told. */
export interface ApplyOptions {
  /** The migrations; by default those of `supabase/migrations`. */
  migrations?: Migration[];
  /** Called before each file is applied; `index` counts from 0. */
  onMigration?: (migration: Migration, index: number, total: number) => void;
}

/** A migration that failed; nothing of it stays behind. */
export class MigrationError extends Error {
  override name = "MigrationError";
  constructor(
    /** The file's name. */
    readonly file: string,
    /** The line (from 1) of the statement that failed. */
    readonly line: number,
    /** The statement that failed. */
    readonly statement: string,
    cause: unknown,
  ) {
    const { message, code, detail, hint } = cause as Record<string, string | undefined>;
    const more = [detail, hint].filter(Boolean).map((text) => `\n  ${text}`).join("");
    super(
      `${file}:${line}: ${message}${code ? ` (SQLSTATE ${code})` : ""}${more}\n` +
        `  in: ${firstLine(statement)}\n  Nothing of this file was kept.`,
      { cause },
    );
  }
}

/** Every migrator waits here, so that two at once apply each file once. */
const LOCK = "select pg_catalog.pg_advisory_xact_lock(hashtextextended('supabase_migrations', 0))";

/**
 * Applies every migration that the history does not know, oldest first: each file in one
 * transaction with its history row, statement by statement. The history is the one that
 * `supabase db push` keeps.
 *
 * @returns the versions applied by this call, in order.
 * @throws {MigrationError} naming the file, line and statement; that file is rolled back whole and
 *   the files before it stay applied.
 */
export async function applyMigrations(
  exec: SqlExecutor,
  opts: ApplyOptions = {},
): Promise<{ applied: string[] }> {
  const migrations = opts.migrations ?? await listMigrations();
  const applied: string[] = [];
  await ensureHistory(exec);
  const known = new Set(
    (await exec.query("select version from supabase_migrations.schema_migrations"))
      .map((row) => row["version"]),
  );
  const pending = migrations.filter((migration) => !known.has(migration.version));
  for (const [index, migration] of pending.entries()) {
    opts.onMigration?.(migration, index, pending.length);
    if (await applyOne(exec, migration)) applied.push(migration.version);
  }
  return { applied };
}

/** Applies one file; false when somebody else did so meanwhile. */
async function applyOne(exec: SqlExecutor, migration: Migration): Promise<boolean> {
  const statements = splitStatements(migration.sql);
  let current = statements[0] ?? { text: "", line: 1 };
  await exec.exec("begin");
  try {
    await exec.exec(LOCK);
    const done = await exec.query(
      "select 1 from supabase_migrations.schema_migrations where version = $1",
      [migration.version],
    );
    if (done.length > 0) {
      await exec.exec("rollback");
      return false;
    }
    for (current of statements) await exec.exec(current.text);
    // a session setting changed by one file must not reach the next
    await exec.exec("reset all");
    await recordApplied(exec, migration, statements.map((statement) => statement.text));
    await exec.exec("commit");
    return true;
  } catch (cause) {
    await exec.exec("rollback").catch(() => {}); // the connection itself may be gone
    throw new MigrationError(migration.file, current.line, current.text, cause);
  }
}

/** The first line of a statement that is not a comment. */
function firstLine(statement: string): string {
  const lines = statement.split("\n").map((line) => line.trim());
  return (lines.find((line) => line !== "" && !line.startsWith("--")) ?? "").slice(0, 120);
}
