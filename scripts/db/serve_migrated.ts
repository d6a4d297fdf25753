import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { openPglite } from "../stack/database.ts";
import { keptTemplate } from "../stack/template.ts";

/** A migrated database behind a PostgreSQL URL, for tools that speak the wire protocol. */
export interface ServedDatabase {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves a fresh, migrated, empty PGlite on 127.0.0.1, so that the Supabase CLI can look at the
 * schema without a server or a container. Its sessions take turns; nothing is kept.
 */
export async function serveMigrated(home: string): Promise<ServedDatabase> {
  const database = await openPglite(undefined, await keptTemplate(home));
  // the linter judges by the schemas the Data API exposes, and is silent without them
  await database.sql.exec("set pgrst.db_schemas = 'public'");
  const { driver } = database.connection as unknown as {
    driver: ConstructorParameters<typeof PGLiteSocketServer>[0]["db"];
  };
  const server = new PGLiteSocketServer({
    db: driver,
    host: "127.0.0.1",
    port: 0,
    maxConnections: 8,
  });
  await server.start();
  Deno.exitCode = 0; // PGlite leaves initdb's exit code behind
  return {
    url: `postgres://postgres:postgres@${server.getServerConn()}/postgres?sslmode=disable`,
    close: async () => {
      await server.stop();
      await database.close();
    },
  };
}
