/** Databases that live as long as what is measured on them. */

import postgres from "postgres";
import { applyMigrations } from "../../db/apply_migrations.ts";
import { openPostgres } from "../../stack/database.ts";
import { newKeys } from "../../stack/keys.ts";
import { createLite, ensurePlatform } from "../../stack/platform.ts";

export interface Scratch extends AsyncDisposable {
  url: string;
}

/** A new database on the server, migrated when it is for us; dropped when it is disposed of. */
export async function scratch(server: string, migrated: boolean): Promise<Scratch> {
  const name = `mira_bench_${crypto.randomUUID().slice(0, 8)}`;
  const drop = () => onServer(server, `drop database if exists ${name} with (force)`);
  await onServer(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  try {
    if (migrated) await migrate(url.href);
  } catch (error) {
    await drop();
    throw error;
  }
  return { url: url.href, [Symbol.asyncDispose]: drop };
}

/** One statement that belongs to no database. */
export async function onServer(server: string, statement: string): Promise<void> {
  const admin = postgres(server, { max: 1, onnotice: () => {} });
  await admin.unsafe(statement).finally(() => admin.end());
}

async function migrate(url: string): Promise<void> {
  const database = await openPostgres(url);
  const lite = createLite(database, await newKeys());
  await database.exclusive(() => lite.init());
  await database.session(async (db) => {
    await ensurePlatform(db, lite);
    await applyMigrations(db);
  });
  await database.close();
}
