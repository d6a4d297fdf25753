import postgres from "postgres";
import { servePglite } from "../../../scripts/db/serve_pglite.ts";
import { openPglite, openPostgres } from "../../../scripts/stack/database.ts";
import { newKeys } from "../../../scripts/stack/keys.ts";
import { createLite, ensurePlatform } from "../../../scripts/stack/platform.ts";
import { freshDatabase } from "../support/stack.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** A database behind a URL, without migrations. */
export interface BareDatabase {
  url: string;
  // deno-lint-ignore no-explicit-any
  sql<T = any>(text: string, params?: unknown[]): Promise<T[]>;
  /** Runs a task of scripts/db on it. */
  task(name: string, ...args: string[]): Promise<{ code: number; said: string; printed: string }>;
  close(): Promise<void>;
}

/** Opens one: of the server MIRA_TEST_DB_URL names, or a PGlite of its own behind a socket. */
export async function bareDatabase(options: { platform: boolean }): Promise<BareDatabase> {
  const server = Deno.env.get("MIRA_TEST_DB_URL");
  const fresh = server === undefined ? undefined : await freshDatabase(server);
  const database = fresh === undefined
    ? await openPglite()
    : await openPostgres(`${fresh.url}?client_min_messages=warning`);
  if (options.platform) {
    const lite = createLite(database, await newKeys());
    await database.exclusive(() => lite.init());
    await database.session((db) => ensurePlatform(db, lite));
  }
  const served = fresh === undefined ? await servePglite(database) : undefined;
  if (fresh !== undefined) await database.close();
  const attached = attach(fresh?.url ?? served!.url);
  return {
    ...attached,
    close: async () => {
      await attached.close();
      await served?.close();
      await fresh?.drop();
    },
  };
}

/** Speaks to a database that is there already. */
export function attach(url: string): BareDatabase {
  const client = postgres(url, { max: 1, onnotice: () => {}, prepare: false, idle_timeout: 1 });
  return {
    url,
    sql: async (text, params = []) => [...await client.unsafe(text, params as never[])] as never[],
    task: async (name, ...args) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", `${ROOT}scripts/db/${name}.ts`, "--db-url", url, ...args],
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      const printed = text.decode(stdout);
      return { code, printed, said: printed + text.decode(stderr) };
    },
    close: () => client.end({ timeout: 5 }),
  };
}
