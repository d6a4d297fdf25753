/**
 * A migrated database of its own for tests that speak SQL: PGlite in this process (from a kept
 * template, about a second), or a fresh database of the server that MIRA_TEST_DB_URL names.
 */

import { applyMigrations } from "../../../scripts/db/apply_migrations.ts";
import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { openPglite, openPostgres } from "../../../scripts/stack/database.ts";
import { newKeys } from "../../../scripts/stack/keys.ts";
import { createLite, ensurePlatform } from "../../../scripts/stack/platform.ts";
import { keptTemplate } from "../../../scripts/stack/template.ts";
import { freshDatabase } from "./stack.ts";

const HOME = new URL("../../../.mira", import.meta.url).pathname;

/** One session of a superuser on a database that nobody else uses. */
export interface TestDatabase {
  db: SqlExecutor;
  close(): Promise<void>;
}

/**
 * Opens a test database.
 * @param options.before SQL to run on the bare platform; the migrations then run after it.
 */
export async function openTestDatabase(
  options: { before?: string } = {},
): Promise<TestDatabase> {
  const server = Deno.env.get("MIRA_TEST_DB_URL");
  const fresh = server === undefined ? undefined : await freshDatabase(server);
  const ready = fresh === undefined && options.before === undefined;
  const database = fresh !== undefined
    ? await openPostgres(`${fresh.url}?client_min_messages=warning`)
    : await openPglite(undefined, ready ? await keptTemplate(HOME) : undefined);
  if (!ready) {
    const lite = createLite(database, await newKeys());
    await database.exclusive(() => lite.init());
    await database.session(async (db) => {
      await ensurePlatform(db, lite);
      if (options.before !== undefined) await db.exec(options.before);
      await applyMigrations(db);
    });
  }
  // one session, held until the test closes the database
  const opened = Promise.withResolvers<SqlExecutor>();
  const done = Promise.withResolvers<void>();
  const session = database.session((db) => {
    opened.resolve(db);
    return done.promise;
  });
  const db = await opened.promise;
  Deno.exitCode = 0; // PGlite leaves initdb's exit code behind, which a test would be failed for
  return {
    db,
    close: async () => {
      done.resolve();
      await session;
      await database.close();
      await fresh?.drop();
    },
  };
}
