/** `deno task db:migrate`: applies what is pending. */

import { applyMigrations } from "./apply_migrations.ts";
import { readHistory } from "./migration_history.ts";
import { canBootstrap, missingPlatform } from "./platform_needs.ts";
import { Refusal, runTask } from "./target.ts";

const HELP = `deno task db:migrate --db-url <url> [options]

Applies the migrations that the history does not know, oldest first. Each file is one transaction
together with its history row, so that a failure leaves nothing half-done; the message names the
file, the line and the statement. The history (supabase_migrations.schema_migrations) is the one
that supabase db push keeps: both can be used on the same database.

  --dry-run           say what would be applied, and stop
  --bootstrap         on a bare PostgreSQL, first make the roles and the auth schema that a
                      Supabase project has
  --yes               for symmetry with the other tasks; nothing is asked`;

await runTask({
  help: HELP,
  options: {
    "dry-run": { type: "boolean" },
    "bootstrap": { type: "boolean" },
    "yes": { type: "boolean" },
  },
}, async ({ db, url, migrations, flags }) => {
  const missing = await missingPlatform(db);
  if (missing.length > 0) {
    const list = missing.map((what) => `  - ${what}`).join("\n");
    if (!flags["bootstrap"] || !missing.every(canBootstrap)) {
      throw new Refusal(
        `This is not yet a Supabase database. Missing:\n${list}\n` +
          (missing.every(canBootstrap)
            ? "--bootstrap makes them; on a hosted project they are there."
            : "The server itself must provide what --bootstrap cannot make."),
      );
    }
    console.log(`Bootstrap ${flags["dry-run"] ? "would make" : "makes"}\n${list}`);
    if (!flags["dry-run"]) await bootstrap(url);
  }

  const history = await readHistory(db);
  const known = new Set(history.map((row) => row.version));
  const pending = migrations.filter((migration) => !known.has(migration.version));
  const strangers = history.filter((row) =>
    !migrations.some((migration) => migration.version === row.version)
  );
  console.log(
    `History   ${history.length} applied` +
      (strangers.length > 0 ? `, ${strangers.length} of them not in this folder` : ""),
  );
  if (pending.length === 0) {
    console.log("Nothing to do: every migration of this folder is applied.");
    return true;
  }
  console.log(`Will apply ${pending.length}, each in one transaction:`);
  for (const { file } of pending) console.log(`  ${file}`);
  if (flags["dry-run"]) return true;

  console.log("");
  const started = performance.now();
  let last = started;
  const seconds = () => {
    const now = performance.now();
    const text = `${((now - last) / 1000).toFixed(2)} s`;
    last = now;
    return text;
  };
  let file = "";
  const { applied } = await applyMigrations(db, {
    migrations,
    onMigration: (migration, index, total) => {
      if (file !== "") console.log(`  applied ${file}  ${seconds()}`);
      file = `${index + 1}/${total} ${migration.file}`;
    },
  });
  if (file !== "") console.log(`  applied ${file}  ${seconds()}`);
  console.log(
    `Done: ${applied.length} applied in ${((last - started) / 1000).toFixed(2)} s. ` +
      "deno task db:verify compares the result with what they declare.",
  );
  return true;
});

async function bootstrap(url: string): Promise<void> {
  // loaded only here: a hosted project never needs the embedded platform
  const { openPostgres } = await import("../stack/database.ts");
  const { createLite, ensurePlatform } = await import("../stack/platform.ts");
  const { newKeys } = await import("../stack/keys.ts");
  const quiet = new URL(url);
  quiet.searchParams.set("client_min_messages", "warning");
  const database = await openPostgres(quiet.href);
  try {
    const lite = createLite(database, await newKeys());
    await lite.init();
    await ensurePlatform(database.sql, lite);
  } finally {
    await database.close();
  }
}
