import assert from "node:assert/strict";
import { ROUTES } from "../../../../functions-shared/contracts/routes.ts";
import { catalogueText, errorCatalogue } from "../../../../scripts/openapi/errors.ts";
import { openApiDocument } from "../../../../scripts/openapi/document.ts";

const ROOT = new URL("../../../../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("the committed OpenAPI document and error catalogue are what the code makes", async () => {
  const hint = "run `deno task openapi`";
  const document = JSON.stringify(openApiDocument(), null, 2) + "\n";
  assert.ok(await read("functions-shared/contracts/openapi.gen.json") === document, hint);
  const errors = catalogueText(await errorCatalogue(ROOT));
  assert.ok(await read("functions-shared/contracts/errors.gen.md") === errors, hint);
});

/** A path without the pattern its parameter must match. */
const plain = (path: string) => path.replace(/\{\[[^/]*\}\}/g, "");

for (const [slug, routes] of Object.entries(ROUTES)) {
  Deno.test(`the route table of ${slug} is what the function registers`, async () => {
    const source = await read(`supabase/functions/${slug}/index.ts`);
    const registered = [...source.matchAll(/\bapp\.(get|post|put|patch|delete)\(\s*"([^"]+)"/g)]
      .map(([, verb, path]) => `${verb} ${plain(path!)}`);
    assert.deepEqual(routes.map(({ verb, path }) => `${verb} ${path}`).sort(), registered.sort());
  });

  Deno.test(`the route table of ${slug} says who may call and what is idempotent`, async () => {
    const source = await read(`supabase/functions/${slug}/index.ts`);
    const named = [...source.matchAll(/const (\w+) = allow\(([^)]*)\)/g)]
      .map(([, name, modes]) => [name!, modes!] as const);
    const registrations = source.split(/\bapp\.(?=(?:get|post|put|patch|delete)\()/).slice(1);
    for (const { verb, path, modes, isIdempotent } of routes) {
      const text = registrations.find((one) => {
        const found = one.match(/^(\w+)\(\s*"([^"]+)"/);
        return found?.[1] === verb && plain(found[2]!) === path;
      })!.split("=> {")[0]!;
      const given = text.match(/allow\(([^)]*)\)/)?.[1] ??
        named.find(([name]) => new RegExp(`\\b${name}\\b`).test(text))?.[1] ?? "";
      const allowed = [...given.matchAll(/"(\w+)"/g)].map(([, mode]) => mode).sort();
      assert.deepEqual([...modes].sort(), allowed, `${verb} ${plain(path!)}`);
      assert.equal(isIdempotent ?? false, text.includes("idempotent("), `${verb} ${plain(path!)}`);
    }
  });
}

Deno.test("every reference in the OpenAPI document leads somewhere, and every operation has its own id", () => {
  const document = openApiDocument();
  const ids: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === "operationId") ids.push(inner);
      if (key === "$ref") {
        const target = String(inner).slice(2).split("/")
          // deno-lint-ignore no-explicit-any
          .reduce((at: any, part) => at?.[part], document);
        assert.ok(target, `${inner} leads nowhere`);
      } else walk(inner);
    }
  };
  walk(document);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, Object.values(ROUTES).flat().length);
});

Deno.test("no code of the error catalogue lacks a status", async () => {
  const lines = await errorCatalogue(ROOT);
  assert.ok(lines.length > 50);
  for (const { code, status } of lines) assert.match(status, /^\dxx|^\d{3}/, code);
});
