import { deepEqual, ok } from "node:assert/strict";

const ROOT = new URL("../../../../", import.meta.url);
const UNSEAL = "functions-shared/vault/unseal.ts";

/** Static imports, re-exports and literal lazy imports, as the deploy tool's walk sees them. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

function imports(path: string): string[] {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  return [...text.matchAll(IMPORT)].map((found) =>
    new URL(found[1]!, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length)
  );
}

function reach(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const next of imports(path)) reach(next, seen);
  return seen;
}

function* sources(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(folder, ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) yield* sources(`${path}/`);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

/** All code of the server; the generated types name every function without calling it. */
const server = [...sources("functions-shared/"), ...sources("supabase/functions/")]
  .filter((path) => !path.endsWith(".gen.ts"));
const slugs = [...Deno.readDirSync(new URL("supabase/functions/", ROOT))]
  .filter((entry) => entry.isDirectory && !entry.name.startsWith("_"))
  .map((entry) => entry.name);

Deno.test("the walk sees what upsert-tokens is made of", () => {
  const reached = reach("supabase/functions/upsert-tokens/index.ts");
  ok(reached.has("functions-shared/vault/seal.ts"));
  ok(reached.has("functions-shared/vault/data_key.ts"));
  ok(reach("functions-shared/vault/open_secret.ts").has(UNSEAL));
});

Deno.test("no function but run-workflow reaches the code that decrypts", () => {
  const reaching = slugs.filter((slug) => reach(`supabase/functions/${slug}/index.ts`).has(UNSEAL));
  deepEqual(reaching.filter((slug) => slug !== "run-workflow"), []);
});

Deno.test("three files import the code that decrypts: the door, the refresh, the revocation", () => {
  deepEqual(server.filter((path) => imports(path).includes(UNSEAL)).sort(), [
    "functions-shared/vault/open_secret.ts",
    "functions-shared/vault/refresh_token.ts",
    "functions-shared/vault/revoke_tokens.ts",
  ]);
});

Deno.test("nothing else decrypts, or asks the database for ciphertext", () => {
  const using = (text: string) =>
    server.filter((path) => Deno.readTextFileSync(new URL(path, ROOT)).includes(text)).sort();
  deepEqual(using("subtle.decrypt"), ["functions-shared/vault/data_key.ts", UNSEAL]);
  deepEqual(using('"mira_open_secret"'), ["functions-shared/vault/open_secret.ts"]);
  deepEqual(using('"mira_lease_token_refresh"'), ["functions-shared/vault/refresh_token.ts"]);
  deepEqual(using('"mira_claim_token_revocations"'), ["functions-shared/vault/revoke_tokens.ts"]);
  deepEqual(using('"get_user_tokens"'), []);
});

Deno.test("run-workflow does reach it: the walk would see the others too", () => {
  ok(reach("supabase/functions/run-workflow/index.ts").has(UNSEAL));
});
