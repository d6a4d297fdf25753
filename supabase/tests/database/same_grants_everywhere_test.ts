/**
 * Older Supabase projects grant everything on a new table to the API's roles, newer ones nothing.
 * The migrations must end with the same rights on both.
 */

import assert from "node:assert/strict";
import { readCatalog } from "../../../scripts/db/catalog.ts";
import { openTestDatabase } from "../support/test_database.ts";

const GRANT_ALL = ["tables", "sequences", "functions"].map((kind) =>
  `alter default privileges in schema public grant all on ${kind} to anon, authenticated, service_role;`
).join("\n");

Deno.test({
  name: "rights are the same whether the project grants new objects to everybody or to nobody",
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  const [modern, legacy] = await Promise.all([
    rights(""),
    rights(GRANT_ALL),
  ]);
  assert.ok(modern.length > 100, `only ${modern.length} grants`);
  assert.deepEqual(legacy, modern);
});

async function rights(before: string): Promise<string[]> {
  const { db, close } = await openTestDatabase({ before });
  try {
    const catalog = await readCatalog(db);
    return [...catalog.values()].filter((object) => object.kind === "grant")
      .map((object) => `${object.name}: ${object.definition}`).sort();
  } finally {
    await close();
  }
}
