/** `deno task db:verify`: compares a database with what the migrations declare. */

import { type CatalogObject, readCatalog } from "./catalog.ts";
import { compare, type Finding, GUARDED } from "./compare.ts";
import { declare } from "./declared.ts";
import { readHistory } from "./migration_history.ts";
import { runTask } from "./target.ts";

const HELP = `deno task db:verify --db-url <url> [options]

Compares every schema, extension, type, table, sequence, column, constraint, index, view, function, trigger,
policy, grant and publication with what the migrations declare, and the history with the folder.
What they declare is found by applying them to an empty PostgreSQL in this process. Changes nothing.
Exit code 0 when all is as declared, 1 when something is missing, different, or granted beyond it.
Extra columns, indexes or triggers on our tables are told and do no harm to the exit code.

  --json <file>       write the report as JSON ("-" prints it instead of the table)`;

await runTask({ help: HELP, options: { "json": { type: "string" } } }, async (target) => {
  const { db, label, migrations, flags } = target;
  const quiet = flags["json"] === "-";
  if (!quiet) {
    console.log(`Will read the catalog and compare it with ${migrations.length} migrations.`);
  }
  const declared = await declare(migrations, db);
  const actual = await readCatalog(db);
  const findings = compare(actual, declared);
  const history = (await readHistory(db)).map((row) => row.version);
  const files = migrations.map((migration) => migration.version);
  const pending = files.filter((version) => !history.includes(version));
  const unknown = history.filter((version) => !files.includes(version));
  const wrong = findings.filter((finding) =>
    finding.state !== "extra" || GUARDED.has(finding.kind)
  );
  const report = {
    database: label,
    ok: wrong.length === 0 && pending.length === 0,
    history: { applied: history, pending, unknown },
    counts: count([...declared.at(-1)?.after.values() ?? []], findings),
    findings,
  };
  const json = JSON.stringify(report, null, 2);
  if (quiet) console.log(json);
  else print(report, wrong);
  if (flags["json"] !== undefined && !quiet) {
    await Deno.writeTextFile(flags["json"] as string, json + "\n");
    console.log(`Report    ${flags["json"]}`);
  }
  return report.ok;
});

type Counts = Record<string, Record<"declared" | Finding["state"], number>>;

function count(wanted: CatalogObject[], findings: Finding[]): Counts {
  const counts: Counts = {};
  const of = (kind: string) => counts[kind] ??= { declared: 0, missing: 0, different: 0, extra: 0 };
  for (const object of wanted) of(object.kind).declared++;
  for (const finding of findings) of(finding.kind)[finding.state]++;
  return counts;
}

function print(
  report: {
    ok: boolean;
    history: { pending: string[]; unknown: string[] };
    counts: Counts;
    findings: Finding[];
  },
  wrong: Finding[],
): void {
  const columns = ["declared", "missing", "different", "extra"] as const;
  console.log(`\n${"".padEnd(14)}${columns.map((name) => name.padStart(11)).join("")}`);
  for (const [kind, numbers] of Object.entries(report.counts)) {
    const cells = columns.map((name) => String(numbers[name] || (name === "declared" ? 0 : "·")));
    console.log(kind.padEnd(14) + cells.map((cell) => cell.padStart(11)).join(""));
  }
  console.log("");
  for (const finding of report.findings) {
    console.log(
      `  ${finding.state.padEnd(9)} ${finding.kind} ${finding.name}` +
        (finding.migration === null ? "" : `   (${finding.migration})`),
    );
    if (finding.state === "different") {
      console.log(`            declared  ${oneLine(finding.declared, finding.found)}`);
      console.log(`            found     ${oneLine(finding.found, finding.declared)}`);
    } else if (finding.state === "extra") {
      console.log(`            found     ${oneLine(finding.found)}`);
    }
  }
  const { pending, unknown } = report.history;
  if (pending.length > 0) console.log(`  pending   ${pending.join(" ")}   (deno task db:migrate)`);
  if (unknown.length > 0) {
    console.log(`  history knows versions that this folder has not: ${unknown.join(" ")}`);
  }
  if (wrong.length > 0) console.log("\nDiffers. deno task db:repair shows what would mend it.");
  else console.log(report.ok ? "All is as declared." : "Not all migrations are applied.");
}

/** A definition on one line, from where it departs from `other`. */
function oneLine(text: string | null, other: string | null = null): string {
  const flat = (text ?? "").replace(/\s+/g, " ").trim();
  const against = (other ?? "").replace(/\s+/g, " ").trim();
  let start = 0;
  while (start < flat.length && flat[start] === against[start]) start++;
  const from = other === null || flat.length <= 100 ? 0 : Math.max(0, start - 30);
  return (from > 0 ? "…" : "") + flat.slice(from, from + 100) +
    (flat.length > from + 100 ? "…" : "");
}
