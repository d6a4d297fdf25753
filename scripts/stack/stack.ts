/** The embedded stack: everything a Supabase project gives Mira, in one process. */

import { applyMigrations } from "../db/apply_migrations.ts";
import { startCron } from "./cron.ts";
import { openPglite, openPostgres, type StackDatabase } from "./database.ts";
import { delay } from "./delay.ts";
import { verifyJwtSettings } from "./function_settings.ts";
import { functionEnv } from "./function_env.ts";
import { hostFunctions } from "./functions.ts";
import { createEmbedder } from "./embedder.ts";
import { type Gateway, route } from "./gateway.ts";
import { keptKeys, newKeys } from "./keys.ts";
import { createLite, ensurePlatform } from "./platform.ts";
import { createRealtime } from "./realtime.ts";
import { keptTemplate } from "./template.ts";
import { Tokens } from "./tokens.ts";

/** How to start a stack. */
export interface StackOptions {
  /** TCP port on 127.0.0.1; 0 takes any free one. */
  port: number;
  /** Folder of data and keys. */
  home: string;
  /** Keep nothing: database and keys live in memory. */
  memory: boolean;
  /** A PostgreSQL server instead of PGlite. */
  dbUrl?: string;
  /** Swap functions when their code changes. */
  watch: boolean;
  /** Run the schedule. */
  cron: boolean;
  /** Told what happens, one line each. */
  log: (line: string) => void;
}

/** A running stack. */
export interface Stack {
  url: string;
  keys: Gateway["keys"];
  database: StackDatabase;
  close(): Promise<void>;
}

/** Starts a stack; it answers when the promise resolves. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    const front: { gate?: Gateway } = {};
    const server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: options.port,
        onListen: () => {},
        onError: (error) => {
          options.log(`gateway: ${(error as Error).stack}`);
          return new Response(null, { status: 500 });
        },
      },
      (request, { remoteAddr }) =>
        front.gate
          ? route(front.gate, request, remoteAddr.hostname)
          : new Response(null, { status: 503 }),
    );
    // an open event stream must not hold up the end
    closers.push(() => Promise.race([server.shutdown(), delay(2000)]));
    const url = `http://127.0.0.1:${server.addr.port}`;

    const keys = options.memory ? await newKeys() : await keptKeys(`${options.home}/keys.json`);
    const database = await openDatabase(options);
    closers.push(() => database.close());
    const lite = createLite(database, keys);
    await database.exclusive(() => lite.init());
    await database.session(async (sql) => {
      await ensurePlatform(sql, lite);
      const { applied } = await applyMigrations(sql);
      if (applied.length > 0) options.log(`applied ${applied.length} migrations`);
    });

    const tokens = new Tokens(keys.jwtSecret, url);
    const functions = await hostFunctions(
      await functionEnv({ url, keys, tokens, dbUrl: options.dbUrl }),
      {
        watch: options.watch,
        onReload: (error) =>
          options.log(error ? `functions not reloaded: ${error}` : "functions reloaded"),
        onDeath: (error) => options.log(`functions died and begin anew: ${error}`),
      },
    );
    closers.push(() => functions.close());
    const realtime = createRealtime({
      database,
      verifyJwt: (token) => tokens.verify(token),
      keys,
    });
    closers.push(() => realtime.close());
    front.gate = {
      url,
      keys,
      tokens,
      database,
      lite,
      functions,
      verifyJwt: await verifyJwtSettings(),
      realtime,
      embedder: createEmbedder(),
    };
    if (options.cron) {
      closers.push(
        await startCron({
          sql: database.sql,
          apiUrl: url,
          cronKey: keys.cron,
          onError: (job, message) => options.log(`cron ${job}: ${message}`),
        }),
      );
    }
    return { url, keys, database, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openDatabase(options: StackOptions): Promise<StackDatabase> {
  if (options.dbUrl !== undefined) return await openPostgres(options.dbUrl);
  if (options.memory) return await openPglite(undefined, await keptTemplate(options.home));
  const folder = `${options.home}/database`;
  if (!await Deno.stat(folder).then(() => true, () => false)) {
    options.log("first start: making the database …");
  }
  return await openPglite(folder);
}
