/**
 * The arrows of the house: who may import whom, and in a form the CLI's import walk can follow.
 *
 * - functions import functions-shared, never each other; nothing there imports scripts
 * - a room of functions-shared imports the rooms of its list, and no other
 * - contracts, behaviour, patterns, workflow and observe are pure: no Deno, no database, no network
 * - imports are static, relative with .ts or bare names of deno.json; a lazy import is a literal
 * - no comment or string reads like an import (the walk is a regular expression)
 */

const ROOT = new URL("../../", import.meta.url).pathname;
const PURE = ["contracts", "behaviour", "patterns", "workflow", "observe"];
const PURE_PACKAGES = ["zod"];
const KIT = ["db", "http", "observe"];
/** Room of functions-shared → the rooms it may import; its README says the same. */
const MAY_IMPORT: Record<string, string[]> = {
  contracts: ["observe"],
  behaviour: [],
  patterns: ["behaviour"],
  workflow: [],
  observe: [],
  client: ["contracts"],
  http: ["auth", "db", "observe"],
  auth: ["http", "db"],
  db: ["http"],
  ai: ["workflow", "http"],
  ingest: ["contracts", "http", "observe"],
  learning: ["behaviour", "contracts", ...KIT],
  recall: ["patterns", "ai", "contracts", ...KIT],
  vault: ["contracts", ...KIT],
  record: ["contracts", ...KIT],
  runner: ["workflow", "ai", "recall", "vault", "contracts", ...KIT],
};
const SERVED = ["functions-shared", "supabase/functions"];

const { imports } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`)) as {
  imports: Record<string, string>;
};
const IMPORTS =
  /^\s*(?:import|export)\s[^"';]*?from\s*["']([^"'\s]+)["']|^\s*import\s*["']([^"'\s]+)["']|(?<![.\w])import\(\s*["']([^"'\s]+)["']/gm;
const faults: string[] = [];

for (const [name, target] of Object.entries(imports)) {
  if (!/^npm:(@[^/]+\/)?[^@]+@\d+\.\d+\.\d+/.test(target)) {
    faults.push(`deno.json: ${name} must be npm: with an exact version, not ${target}`);
  }
}
for (const folder of [...SERVED, "supabase/tests"]) {
  for await (const path of sources(`${ROOT}${folder}`)) await inspect(path.slice(ROOT.length));
}

for (const fault of faults) console.log(fault);
console.log(`import rules: ${faults.length === 0 ? "all kept" : `${faults.length} broken`}`);
if (faults.length > 0) Deno.exit(1);

async function inspect(file: string): Promise<void> {
  const text = await Deno.readTextFile(ROOT + file);
  const code = withoutComments(text);
  const found = [...code.matchAll(IMPORTS)].map((m) => (m[1] ?? m[2] ?? m[3])!);
  for (const specifier of found) judge(file, specifier);

  if (!SERVED.some((folder) => file.startsWith(`${folder}/`))) return;
  if (/\bimport\(\s*[^"'\s]/.test(code)) {
    faults.push(`${file}: a computed import is never uploaded`);
  }
  const walked = text.matchAll(/(?:^|[\s;])(?:import|export)\s[^;"'`]*?from\s*["'](\.[^"']+)["']/g);
  for (const [, specifier] of walked) {
    if (!found.includes(specifier!)) {
      faults.push(`${file}: a comment or string reads like an import of ${specifier}`);
    }
  }
  const pure = PURE.find((name) => file.startsWith(`functions-shared/${name}/`));
  if (pure !== undefined && /\bDeno\.|\bfetch\(/.test(code)) {
    faults.push(`${file}: ${pure} is pure: no Deno and no network`);
  }
}

function judge(file: string, specifier: string): void {
  const room = /^functions-shared\/([^/]+)\//.exec(file)?.[1];
  if (!specifier.startsWith(".")) {
    // a test may hand a browser page a module of the server it opened
    const inPage = specifier.startsWith("/") && file.startsWith("supabase/tests/browser/");
    const known = inPage || specifier.startsWith("node:") ||
      Object.keys(imports).some((name) => specifier === name || specifier.startsWith(`${name}/`));
    if (!known) faults.push(`${file}: ${specifier} is not in deno.json's import map`);
    if (room !== undefined && PURE.includes(room) && !PURE_PACKAGES.includes(specifier)) {
      faults.push(`${file}: ${room} is pure and may not import ${specifier}`);
    }
    return;
  }
  if (!/\.(ts|json)$/.test(specifier)) faults.push(`${file}: ${specifier} needs its extension`);
  const target = new URL(specifier, `file:///${file}`).pathname.slice(1);
  const slug = /^supabase\/functions\/([^/]+)\//;
  const [from, to] = [slug.exec(file)?.[1], slug.exec(target)?.[1]];
  if (from !== undefined && to !== undefined && from !== to) {
    faults.push(`${file}: a function may not import the function ${to}`);
  }
  // tests may: they prove the scripts as well
  if (target.startsWith("scripts/") && SERVED.some((folder) => file.startsWith(`${folder}/`))) {
    faults.push(`${file}: nothing served may import scripts (${target})`);
  }
  if (file.startsWith("functions-shared/") && target.startsWith("supabase/")) {
    faults.push(`${file}: functions-shared may not import supabase (${target})`);
  }
  const targetRoom = /^functions-shared\/([^/]+)\//.exec(target)?.[1];
  if (room === undefined || room === targetRoom) return;
  if (targetRoom === undefined && (PURE.includes(room) || room === "client")) {
    faults.push(`${file}: ${room} may not import ${target}`);
  }
  if (targetRoom !== undefined && !MAY_IMPORT[room]?.includes(targetRoom)) {
    faults.push(`${file}: ${room} may import ${MAY_IMPORT[room]?.join(", ")}, not ${targetRoom}`);
  }
}

/** Blanks comments, so that prose is not read as code. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`\\])\/\/[^\n]*/g, "$1");
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}
