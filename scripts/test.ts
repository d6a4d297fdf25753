/**
 * `deno task test`: everything a contributor must see green, from a clean clone, without Docker.
 *
 * Makes the migrated template once, runs the test files two at a time (each has a stack or a
 * database of its own; pgTAP runs in process), and ends with `N passed, N failed`.
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

/** Last line of `deno test`. */
const SUMMARY = /(\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/g;

const total = { passed: 0, failed: 0, skipped: 0 };
const env: Record<string, string> = { DENO_JOBS: "2", NO_COLOR: "1" };
if (native !== undefined) env["MIRA_TEST_DB_URL"] = native;

await run([
  "test",
  "-A",
  "--no-check",
  "--parallel",
  ...(flags.filter ? ["--filter", flags.filter] : []),
  ...(positionals.length > 0 ? positionals : ["supabase/tests"]),
]);

console.log(
  `${total.passed} passed, ${total.failed} failed${
    total.skipped > 0 ? `, ${total.skipped} skipped` : ""
  }`,
);
Deno.exit(total.failed > 0 ? 1 : 0);

/** Runs Deno, shows what it prints, and adds up its summary; a crash counts as a failure. */
async function run(args: string[]): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env,
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let tail = "";
  for await (const chunk of child.stdout) {
    await Deno.stdout.write(chunk);
    tail = (tail + new TextDecoder().decode(chunk)).slice(-20_000);
  }
  const { success } = await child.status;
  const counts = [...tail.matchAll(SUMMARY)].at(-1);
  total.passed += Number(counts?.[1] ?? 0);
  total.failed += Number(counts?.[2] ?? 0);
  total.skipped += Number(counts?.[3] ?? 0);
  if (!success && Number(counts?.[2] ?? 0) === 0) total.failed++;
}
