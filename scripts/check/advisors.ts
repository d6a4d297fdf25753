/**
 * Supabase's own advisors (security and performance) over the migrated schema: nothing above INFO,
 * and at INFO only indexes that an empty database has not used yet.
 *
 *   deno run -A scripts/check/advisors.ts [--db-url <url>]
 */

import { parseArgs } from "node:util";
import { serveMigrated } from "../db/serve_pglite.ts";
import { supabaseCli } from "../db/supabase_cli.ts";

interface Advice {
  name: string;
  level: "ERROR" | "WARN" | "INFO";
  detail: string;
}

const { values: flags } = parseArgs({ options: { "db-url": { type: "string" } } });
const home = new URL("../../.mira", import.meta.url).pathname;
const served = flags["db-url"] === undefined ? await serveMigrated(home) : undefined;
const url = flags["db-url"] ?? served!.url;
const said = await supabaseCli(
  [
    "db",
    "advisors",
    `--remote=${url}`,
    "--type",
    "all",
    "--level",
    "info",
    "--output-format",
    "json",
  ],
);
await served?.close();

const { results } = JSON.parse(said) as { results: Advice[] };
const unused = results.filter((advice) => advice.name === "unused_index");
// an answer without any advice would mean that the linter saw nothing: an idle schema has unused indexes
if (unused.length === 0 && served !== undefined) {
  console.error("the advisors saw no index at all: they did not look at the migrated schema");
  Deno.exit(1);
}
const rest = results.filter((advice) => advice.name !== "unused_index");
for (const { level, name, detail } of rest) console.error(`${level} ${name}: ${detail}`);
const of = (level: Advice["level"]) => rest.filter((advice) => advice.level === level).length;
console.log(`advisors: ${of("ERROR")} errors, ${of("WARN")} warnings, ${of("INFO")} other notes`);
Deno.exit(rest.length > 0 ? 1 : 0);
