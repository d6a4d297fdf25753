/**
 * The same history serves db:migrate and the real `supabase db push`, in both directions. Needs the
 * Supabase CLI, which npm installs the first time, and a real server for it to push to.
 */

import assert from "node:assert/strict";
import { supabaseCli } from "../../../scripts/db/supabase_cli.ts";
import { bareDatabase } from "./bare_database.ts";

const HISTORY =
  `select version, name, statements from supabase_migrations.schema_migrations order by version`;

Deno.test({
  name: "what db:migrate applied, supabase db push has nothing to add to, and the other way round",
  ignore: Deno.env.get("MIRA_TEST_DB_URL") === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const ours = await bareDatabase({ platform: true });
  const theirs = await bareDatabase({ platform: true });
  try {
    const migrated = await ours.task("migrate");
    assert.equal(migrated.code, 0, migrated.said);
    const push = await supabaseCli(["db", "push", "--dry-run", `--remote=${ours.url}`]);
    assert.match(push, /up to date/i);

    await supabaseCli(["db", "push", "--yes", `--remote=${theirs.url}`]);
    assert.match((await theirs.task("migrate")).said, /Nothing to do/);
    const verified = await theirs.task("verify");
    assert.equal(verified.code, 0, verified.said);

    // to the letter: versions, names, and the statements as the CLI splits them
    assert.deepEqual(await ours.sql(HISTORY), await theirs.sql(HISTORY));
  } finally {
    await ours.close();
    await theirs.close();
  }
});
