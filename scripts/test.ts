/**
 * `deno task test`: everything a contributor must see green, from a clean clone, without Docker.
 *
 * Makes the migrated template once, runs the test files two at a time, each in a process of its own
 * (with a stack or a database of its own; pgTAP runs in process), and ends with `N passed, N failed`.
 */

import { parseArgs } from "node:util";
import { keptTemplate } from "./stack/template.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const HELP = `deno task test [files…] [options]

  --db-url <url>  run on this PostgreSQL server instead of the embedded database; with the
                  fault tests (kills, restarts) that only make sense there
  --filter <text> only tests whose name contains the text
  --help          this text`;

const { values: flags, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    "db-url": { type: "string" },
    filter: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (flags.help) {
  console.log(HELP);
  Deno.exit(0);
}

const native = flags["db-url"];
if (native === undefined) {
  console.log("preparing the database template …");
  await keptTemplate(`${ROOT}.mira`);
}

/** Files at a time: two cores are what a small machine has. */
const SIDE_BY_SIDE = 2;
/** A file that hangs is a failure, not a wait; the fault tests take minutes. */
const FILE_TIMEOUT_MS = native === undefined ? 240_000 : 900_000;
/** Parts of the names of the slowest files, so that none of them starts last. */
const SLOW_FIRST = [
  "browser/",
  "pgtap_test",
  "stack/start",
  "tenant_matrix",
  "readme",
  "learn",
  "ops",
  "run-workflow/",
];

/** Last line of `deno test`. */
const SUMMARY = /(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/g;

const total = { passed: 0, failed: 0, skipped: 0 };
const env: Record<string, string> = { NO_COLOR: "1" };
if (native !== undefined) env["MIRA_TEST_DB_URL"] = native;

const queue = await testFiles(positionals.length > 0 ? positionals : ["supabase/tests"]);
await Promise.all(Array.from({ length: SIDE_BY_SIDE }, async () => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runFile(file);
}));

console.log(
  `${total.passed} passed, ${total.failed} failed${
    total.skipped > 0 ? `, ${total.skipped} skipped` : ""
  }`,
);
Deno.exit(total.failed > 0 ? 1 : 0);

/** Test files below the given paths, those that take longest first. */
async function testFiles(paths: string[]): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string) => {
    if (path.endsWith("_test.ts")) found.push(path);
    else if (!path.endsWith(".ts")) {
      for await (const entry of Deno.readDir(ROOT + path)) {
        if (entry.isDirectory || entry.name.endsWith("_test.ts")) {
          await walk(`${path}/${entry.name}`);
        }
      }
    }
  };
  for (const path of paths) await walk(path.replace(/\/$/, ""));
  const rank = (file: string) => SLOW_FIRST.findIndex((part) => file.includes(part));
  return found.sort((a, b) => (rank(a) + 1 || 99) - (rank(b) + 1 || 99) || (a < b ? -1 : 1));
}

/** Runs one file, shows what it printed, and adds up its summary; a crash counts as a failure. */
async function runFile(file: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...(flags.filter ? ["--filter", flags.filter] : []), file],
    cwd: ROOT,
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const tooLong = setTimeout(() => child.kill("SIGKILL"), FILE_TIMEOUT_MS);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(tooLong);
  const printed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  console.log(printed.trim().replace(/\n(\s*\n)+/g, "\n"));
  const counts = [...printed.matchAll(SUMMARY)].at(-1);
  total.passed += Number(counts?.[1] ?? 0);
  total.failed += Number(counts?.[2] ?? 0);
  total.skipped += Number(counts?.[3] ?? 0);
  if (!success && Number(counts?.[2] ?? 0) === 0) {
    total.failed++;
    console.log(`${file}: ended without a result`);
  }
}
