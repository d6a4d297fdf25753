/** `deno task db:repair`: mends a history that says one thing of a database that is another. */

import { type Catalog, readCatalog } from "./catalog.ts";
import { carryOut, type Change, changesTo } from "./changes.ts";
import { declare, type Declared } from "./declared.ts";
import type { SqlExecutor } from "./executor.ts";
import { ensureHistory, readHistory, recordApplied, recordReverted } from "./migration_history.ts";
import { splitStatements } from "./split_statements.ts";
import { type Standing, standings } from "./standing.ts";
import { goAhead, Refusal, runTask } from "./target.ts";

const HELP = `deno task db:repair --db-url <url> [options]

For a database whose migration history and content have drifted apart, so that db push or db:migrate
fails (duplicate key, already exists) or leaves something out. Compares what each migration makes
with the real catalog, shows the difference and what would mend it, and stops. With --apply it does
what it showed, in one transaction, looks again, and keeps the result only if all is as declared.

  recorded, and there       nothing to do
  recorded, not there       the record is taken out; db:migrate then applies the migration
  there, not recorded       recorded as applied
  partly there              what is missing or different is made, then it is recorded
  neither                   left to db:migrate
Nothing is ever recorded that is not there. Tables and their rows are never dropped.

  --apply             do it
  --forget <version>  take a version that this folder has not out of the history (repeatable)
  --yes               do not ask`;

/** What will be done to one migration's record. */
interface Verdict extends Standing {
  recorded: boolean;
  record: "keep" | "add" | "remove";
}

await runTask({
  help: HELP,
  options: {
    apply: { type: "boolean" },
    yes: { type: "boolean" },
    forget: { type: "string", multiple: true },
  },
}, async ({ db, migrations, flags }) => {
  console.log(`Will compare the catalog and the history with ${migrations.length} migrations.\n`);
  const declared = await declare(migrations, db);
  const history = await readHistory(db);
  const actual = await readCatalog(db);
  const verdicts = judge(standings(actual, declared), new Set(history.map((row) => row.version)));
  const wanted = wantedNow(declared, verdicts, actual);
  const changes = changesTo(wanted, actual);
  const forget = (flags["forget"] ?? []) as unknown as string[];
  const strangers = history.map((row) => row.version)
    .filter((version) => !migrations.some((migration) => migration.version === version));
  const unknown = forget.filter((version) => !strangers.includes(version));
  if (unknown.length > 0) throw new Refusal(`Not a stranger in this history: ${unknown.join(" ")}`);

  show(verdicts, changes, strangers, forget);
  const work = changes.length + forget.length + verdicts.filter((v) => v.record !== "keep").length;
  if (work === 0) {
    console.log("\nNothing to mend.");
    return strangers.length === 0;
  }
  if (!flags["apply"]) {
    console.log("\nNothing was changed. --apply does what is shown.");
    return false;
  }
  if (!goAhead(flags, "Do this?")) return false;
  await mend(db, { verdicts, declared, wanted, forget });
  console.log("\nMended, and looked at again: the history now says what is there.");
  const pending = verdicts.filter((v) => v.state === "absent");
  if (pending.length > 0) {
    console.log(`deno task db:migrate applies the ${pending.length} that are not there.`);
  }
  return true;
});

function judge(all: Standing[], recorded: Set<string>): Verdict[] {
  return all.map((standing) => {
    const isRecorded = recorded.has(standing.migration.version);
    const { state } = standing;
    const record = isRecorded && state === "absent"
      ? "remove"
      : !isRecorded && (state === "there" || state === "partly")
      ? "add"
      : "keep";
    return { ...standing, recorded: isRecorded, record };
  });
}

/** What should be there once mended: everything of the migrations that are not wholly absent. */
function wantedNow(declared: Declared[], verdicts: Verdict[], actual: Catalog): Catalog {
  const wanted: Catalog = new Map();
  for (const [key, object] of declared.at(-1)?.after ?? []) {
    // the forms it was given by migrations that are there, newest last
    const forms = declared.filter((_, i) => verdicts[i]!.state !== "absent")
      .map((one) => one.after.get(key)).filter((form) => form !== undefined);
    const first = declared.findIndex((one) => one.after.has(key));
    if (verdicts[first]!.state === "absent") continue;
    const found = actual.get(key)?.definition;
    wanted.set(key, forms.findLast((form) => form.definition === found) ?? forms.at(-1) ?? object);
  }
  return wanted;
}

function show(verdicts: Verdict[], changes: Change[], strangers: string[], forget: string[]): void {
  for (const v of verdicts) {
    const { file } = v.migration;
    const recorded = v.recorded ? "recorded" : "not recorded";
    console.log(
      `  ${file.padEnd(38)} ${recorded.padEnd(13)} ${v.state.padEnd(10)} ` +
        `${v.evidence - v.lacking.length} of ${v.evidence} objects as declared`,
    );
    const shown = v.state === "partly" ? v.lacking.slice(0, 10) : [];
    for (const key of shown) console.log(`      lacks ${key}`);
    if (v.state === "partly" && v.lacking.length > 10) {
      console.log(`      … ${v.lacking.length - 10} more`);
    }
    if (v.state === "unprovable") {
      console.log("      makes nothing a catalog shows; its record is left alone");
    }
  }
  for (const version of strangers) {
    console.log(
      `  ${version.padEnd(38)} recorded      not in this folder` +
        (forget.includes(version) ? "" : "   (db push stops at it; --forget takes it out)"),
    );
  }
  console.log("\nTo mend:");
  for (const change of changes) console.log(`  ${change.says}`);
  for (const v of verdicts) {
    if (v.record === "add") console.log(`  record ${v.migration.version} as applied`);
    if (v.record === "remove") {
      console.log(`  take ${v.migration.version} out of the history: it is not there`);
    }
  }
  for (const version of forget) console.log(`  take ${version} out of the history`);
}

/** One transaction; refused changes, or a second look that still finds differences, undo it all. */
async function mend(db: SqlExecutor, plan: {
  verdicts: Verdict[];
  declared: Declared[];
  wanted: Catalog;
  forget: string[];
}): Promise<void> {
  await db.exec("begin");
  try {
    let left = changesTo(plan.wanted, await readCatalog(db));
    // making a thing can bring default grants along, which the next look takes away
    for (let round = 0; round < 3 && left.length > 0; round++) {
      const refused = await carryOut(db, left, (change) => console.log(`  done: ${change.says}`));
      if (refused.length > 0) {
        const why = refused.map(({ change, error }) => `  ${change.says}: ${error.message}`);
        throw new Refusal(`Could not be mended, and nothing was changed:\n${why.join("\n")}`);
      }
      left = changesTo(plan.wanted, await readCatalog(db));
    }
    if (left.length > 0) {
      throw new Refusal(
        `Still different, so nothing was changed:\n${left.map((c) => `  ${c.says}`).join("\n")}`,
      );
    }
    await ensureHistory(db);
    const after = standings(await readCatalog(db), plan.declared);
    for (const [i, { migration, record }] of plan.verdicts.entries()) {
      if (record === "remove") await recordReverted(db, migration.version);
      if (record !== "add") continue;
      if (after[i]!.state !== "there") {
        throw new Refusal(
          `${migration.file} is still not all there (${
            after[i]!.lacking.join(", ")
          }); nothing was changed.`,
        );
      }
      await recordApplied(db, migration, splitStatements(migration.sql).map(({ text }) => text));
    }
    for (const version of plan.forget) await recordReverted(db, version);
    await db.exec("commit");
  } catch (error) {
    await db.exec("rollback");
    throw error;
  }
}
