/** `deno task bench [area…] [--db-url …] [--json FILE]`: side-by-side ratios, measured in one run. */

import { parseArgs } from "node:util";
import type { Bench, BenchRow } from "./bench/types.ts";

const AREAS = ["ingest", "recall", "engine", "learn", "next", "vault", "record", "access"];

const HELP = `deno task bench [area…] [options]

Measures Mira beside a named baseline in one run and prints ratios (above 1 is better for us).
Areas: ${AREAS.join(" ")} (default: all)

  --db-url <url>   measure on this PostgreSQL server (a scratch database is made and dropped)
  --json <file>    also write the rows as JSON
  --help           this text; further options go to the area`;

const { values, positionals } = parseArgs({
  args: Deno.args,
  strict: false,
  allowPositionals: true,
  options: {
    "db-url": { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}

const asked = positionals.filter((word) => AREAS.includes(word));
const rows: BenchRow[] = [];
for (const area of asked.length > 0 ? asked : AREAS) {
  const { bench } = await import(new URL(`./bench/${area}.ts`, import.meta.url).href) as {
    bench: Bench;
  };
  console.error(`\n${area}`);
  const measured = await bench({
    dbUrl: values["db-url"] as string | undefined,
    args: Deno.args.filter((word) => !AREAS.includes(word)),
    log: (message) => console.error(`  ${message}`),
  });
  rows.push(...measured);
  print(measured);
}
if (values.json) await Deno.writeTextFile(values.json as string, JSON.stringify(rows, null, 2));

function print(measured: BenchRow[]): void {
  console.table(measured.map((row) => ({
    metric: row.metric,
    ours: `${short(row.ours)} ${row.unit}`,
    [`baseline`]: `${short(row.baseline_value)} ${row.unit} (${row.baseline})`,
    ratio: `${short(row.ratio)}x`,
    goal: row.goal,
    pass: row.pass ? "yes" : "NO",
  })));
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
