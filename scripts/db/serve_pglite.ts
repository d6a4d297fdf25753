import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { openPglite, type StackDatabase } from "../stack/database.ts";
import { keptTemplate } from "../stack/template.ts";

/** A PGlite behind a PostgreSQL URL, for tools that speak the wire protocol. */
export interface ServedDatabase {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves a PGlite on 127.0.0.1 until closed; its sessions take turns. The linter among the tools
 * judges by the schemas that the Data API exposes and is silent without them, so they are set.
 */
export async function servePglite(database: StackDatabase): Promise<ServedDatabase> {
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

/** Serves a fresh, migrated, empty database; nothing is kept. */
export async function serveMigrated(home: string): Promise<ServedDatabase> {
  return await servePglite(await openPglite(undefined, await keptTemplate(home)));
}
