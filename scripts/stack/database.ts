/** The stack's database: PGlite in this process, or a PostgreSQL server by URL. */

import type { Connection } from "@supabase/lite";
import { createPgliteConnection } from "@supabase/lite/pglite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import { btree_gin } from "@electric-sql/pglite/contrib/btree_gin";
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { pgcrypto } from "@electric-sql/pglite/contrib/pgcrypto";
import { uuid_ossp } from "@electric-sql/pglite/contrib/uuid_ossp";
import { pgtap } from "@electric-sql/pglite/pgtap";
import { vector } from "@electric-sql/pglite/vector";
import postgres from "postgres";
import { pgliteExecutor, postgresExecutor, type SqlExecutor } from "../db/executor.ts";
import { delay } from "./delay.ts";
import { Exclusive } from "./exclusive.ts";
import { answerAsPostgrest } from "./statement_errors.ts";

/** Extensions that Supabase offers and Mira uses, in PGlite's builds. */
export const PGLITE_EXTENSIONS = { vector, pgcrypto, uuid_ossp, pg_trgm, btree_gin, pgtap };

/** A database that the Data API, the gateway and the scheduler share. */
export interface StackDatabase {
  /** What `@supabase/lite` works on. */
  connection: Connection;
  /** SQL as the owner; on PGlite it waits its turn between requests. */
  sql: SqlExecutor;
  /** Runs `work` alone where the database has a single session; at once elsewhere. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` with one session of its own, for transactions by hand. */
  session<T>(work: (sql: SqlExecutor) => Promise<T>): Promise<T>;
  /** The whole database as a tarball, where that is possible. */
  dump?: () => Promise<Blob>;
  close(): Promise<void>;
}

/**
 * PGlite in this process.
 *
 * @param dataDir folder of the data; undefined keeps everything in memory.
 * @param template tarball to start from instead of an empty cluster.
 */
export async function openPglite(dataDir?: string, template?: Blob): Promise<StackDatabase> {
  const connection = await createPgliteConnection({
    url: dataDir ?? "memory://",
    pgliteOptions: {
      // deno-lint-ignore no-explicit-any
      extensions: PGLITE_EXTENSIONS as any,
      ...(template ? { loadDataDir: template } : {}),
    },
  });
  const driver = connection.driver;
  await driver.waitReady;
  keepGrants(connection);
  answerAsPostgrest(connection);
  const lock = new Exclusive();
  // deno-lint-ignore no-explicit-any
  const direct = pgliteExecutor(driver as any);
  return {
    connection,
    sql: {
      query: (text, params) => lock.run(() => direct.query(text, params)),
      exec: (sql) => lock.run(() => direct.exec(sql)),
    },
    exclusive: (work) => lock.run(work),
    session: (work) => lock.run(() => work(direct)),
    dump: () => lock.run(() => driver.dumpDataDir("none")),
    close: () => lock.run(() => connection.close()),
  };
}

/** A PostgreSQL 15+ server with pgvector. The URL's role must own the database. */
export async function openPostgres(url: string): Promise<StackDatabase> {
  surviveLostConnections();
  const client = postgres(url, { max: 4, onnotice: () => {}, connect_timeout: 10 });
  try {
    await client`select 1`;
  } catch (error) {
    await client.end({ timeout: 1 });
    throw error;
  }
  const connection = createPostgresConnection({
    url,
    // lite hands JSON over as text; the driver would encode that text as a JSON string once more
    postgresOptions: { types: { json: jsonAsGiven(114), jsonb: jsonAsGiven(3802) } },
  });
  keepGrants(connection);
  answerAsPostgrest(connection);
  return {
    connection,
    sql: postgresExecutor(client),
    exclusive: (work) => work(),
    session: async (work) => {
      const own = await client.reserve();
      try {
        return await work(postgresExecutor(own));
      } finally {
        own.release();
      }
    },
    close: async () => {
      // a query whose connection was lost may never answer; nothing is left to wait for
      await Promise.race([connection.close(), delay(2000)]);
      await client.end({ timeout: 5 });
    },
  };
}

/** A JSON type of the driver that passes text through and encodes everything else. */
const jsonAsGiven = (oid: number) => ({
  to: oid,
  from: [oid],
  serialize: (value: unknown) => typeof value === "string" ? value : JSON.stringify(value),
  parse: (text: string) => JSON.parse(text),
});

/**
 * Stops `@supabase/lite` from granting everything to everybody: on its first request it would run
 * GRANT ALL ON ALL TABLES to anon and authenticated in every schema that has row-level security,
 * which the migrations' grants forbid. It skips that once it believes to have done it.
 */
function keepGrants(connection: Connection): void {
  (connection as unknown as { rlsState: string }).rlsState = "active";
}

/**
 * The driver (postgres 3.4.9) writes to a connection that the server has just closed from a timer
 * of its own, where nobody can catch the TypeError; the query is retried or fails by itself.
 */
function surviveLostConnections(): void {
  if (isSurviving) return;
  isSurviving = true;
  globalThis.addEventListener("error", (event) => {
    const stack = event.error instanceof TypeError ? event.error.stack ?? "" : "";
    if (/\/postgres\/[^/]+\/src\/connection\.js/.test(stack)) event.preventDefault();
  });
}
let isSurviving = false;
