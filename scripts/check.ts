/** `deno task check`: format, lint, types (current Deno and the hosted base), and the house rules. */

import { npmTool } from "./check/npm_tool.ts";

const ROOT = new URL("../", import.meta.url).pathname;
/** Base of the hosted edge runtime. */
const HOSTED_DENO = "2.1.4";

const served = await sources("functions-shared", "supabase/functions");
const all = [...served, ...await sources("supabase/tests", "scripts")];
const deno = Deno.execPath();
const hosted = await npmTool("deno", HOSTED_DENO);

const checks: [string, string, string[]][] = [
  ["format", deno, ["fmt", "--check", "--quiet"]],
  ["lint", deno, ["lint", "--quiet"]],
  ["types", deno, ["check", "--quiet", ...all]],
  [`types on Deno ${HOSTED_DENO}`, hosted, [
    "check",
    "--quiet",
    "--no-lock",
    ...served,
  ]],
  [`unit tests on Deno ${HOSTED_DENO}`, hosted, [
    "test",
    "-A",
    "--no-lock",
    "--no-check",
    "--quiet",
    ...await unitTests(),
  ]],
  ["import rules", deno, ["run", "-A", "scripts/check/imports.ts"]],
  ["generated types", deno, ["run", "-A", "scripts/types.ts", "--check"]],
  ["advisors", deno, ["run", "-A", "scripts/check/advisors.ts"]],
  ["hosted parity", deno, ["run", "-A", "scripts/check/hosted_parity.ts"]],
];

let failed = 0;
for (const [name, command, args] of checks) {
  const started = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: ROOT,
    env: { DENO_TLS_CA_STORE: "system", DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
  }).output();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${success ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  if (success) continue;
  failed++;
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  console.log(said.trim().split("\n").slice(-60).map((line) => `     ${line}`).join("\n"));
}
console.log(`checks: ${checks.length - failed} passed, ${failed} failed`);
Deno.exit(failed > 0 ? 1 : 0);

/** Tests of what runs on the platform that need no stack; the client runs in browsers. */
async function unitTests(): Promise<string[]> {
  const found: string[] = [];
  for (const file of await sources("supabase/tests/shared")) {
    if (!file.endsWith("_test.ts") || file.includes("/shared/client/")) continue;
    const text = await Deno.readTextFile(ROOT + file);
    if (!/support\/stack|afterAll|beforeAll/.test(text)) found.push(file);
  }
  return found;
}

async function sources(...folders: string[]): Promise<string[]> {
  const found: string[] = [];
  const walk = async (folder: string) => {
    for await (const entry of Deno.readDir(ROOT + folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory && entry.name !== "vendor") await walk(path);
      else if (entry.name.endsWith(".ts")) found.push(path);
    }
  };
  for (const folder of folders) await walk(folder);
  return found;
}
