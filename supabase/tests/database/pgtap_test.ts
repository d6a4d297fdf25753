/**
 * Runs every pgTAP file of this folder, each as a test of its own named after its path. The files
 * are plain pgTAP: `supabase test db` runs the same ones. What several share they include with `\ir`.
 */

import assert from "node:assert/strict";
import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { readTap, runTap } from "../support/tap.ts";
import { openTestDatabase, type TestDatabase } from "../support/test_database.ts";

const FOLDER = new URL("./", import.meta.url);

async function tapFiles(folder: URL, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const name = prefix + entry.name;
    if (entry.isDirectory) {
      found.push(...await tapFiles(new URL(`${entry.name}/`, folder), `${name}/`));
    } else if (name.endsWith(".test.sql")) found.push(name);
  }
  return found.sort();
}

let shared: Promise<TestDatabase> | undefined;
async function database(): Promise<SqlExecutor> {
  shared ??= openTestDatabase().then(async (opened) => {
    await opened.db.exec("create extension if not exists pgtap with schema extensions");
    return opened;
  });
  return (await shared).db;
}

Deno.test.afterAll(async () => {
  await (await shared)?.close();
});

for (const file of await tapFiles(FOLDER)) {
  const name = file.replace(/\.test\.sql$/, "").replace("/", ": ").replaceAll("_", " ");
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false }, async () => {
    const db = await database();
    await db.exec(`set search_path = "$user", public, extensions`);
    const { failures } = await runTap(db, await readTap(new URL(file, FOLDER)));
    assert.deepEqual(failures, []);
  });
}
