/**
 * A migrated, empty database as a tarball, so that a memory stack starts from it instead of
 * running initdb and every migration again. Made once per set of migrations.
 */

import { applyMigrations } from "../db/apply_migrations.ts";
import { listMigrations } from "../db/list_migrations.ts";
import { openPglite } from "./database.ts";
import { newKeys } from "./keys.ts";
import { createLite, ensurePlatform } from "./platform.ts";

/** The template for the migrations as they are now; made and kept under `home` when missing. */
export async function keptTemplate(home: string): Promise<Blob> {
  const path = `${home}/templates/${await fingerprint()}.tar`;
  try {
    return new Blob([await Deno.readFile(path)]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const database = await openPglite();
  const lite = createLite(database, await newKeys());
  await database.exclusive(() => lite.init());
  await database.session(async (sql) => {
    await ensurePlatform(sql, lite);
    await applyMigrations(sql);
  });
  const template = await database.dump!();
  await database.close();
  await Deno.mkdir(`${home}/templates`, { recursive: true });
  const draft = `${path}.${crypto.randomUUID()}`;
  await Deno.writeFile(draft, new Uint8Array(await template.arrayBuffer()));
  await Deno.rename(draft, path);
  return template;
}

async function fingerprint(): Promise<string> {
  const migrations = await listMigrations();
  const platform = await Deno.readTextFile(new URL("./platform.ts", import.meta.url));
  const text = platform + migrations.map((m) => m.file + m.sql).join("\0");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("").slice(
    0,
    16,
  );
}
