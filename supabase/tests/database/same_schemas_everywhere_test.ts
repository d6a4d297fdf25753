/** A schema is refused where a graph is activated, and where a value is checked: by the same rules. */

import assert from "node:assert/strict";
import { HANDLERS } from "../../../functions-shared/workflow/json_keywords.ts";
import { assertSchema, type JsonSchema } from "../../../functions-shared/workflow/json_schema.ts";
import { openTestDatabase } from "../support/test_database.ts";

/** A rule of every form that any keyword takes, and some that none does. */
const RULES = [
  true,
  null,
  0,
  3,
  -1,
  1.5,
  "string",
  "money",
  "#",
  "#/$defs/a~1b",
  "#/nowhere",
  "https://example.com/schema",
  [],
  {},
  ["a"],
  [1],
  [true],
  [{ type: "text" }],
  ["string", "null"],
  { a: ["b"] },
  { a: true },
  { a: { type: "text" } },
  { type: "text" },
];
const UNHEARD = ["patternProperties", "unevaluatedItems", "requierd", "__proto__", "constructor"];
const NOTED =
  "$schema $id $comment $defs definitions title description default examples deprecated " +
  "readOnly writeOnly contentEncoding contentMediaType nullable strict";

Deno.test({
  name: "a JSON Schema is one in the functions and in the database alike, keyword by keyword",
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  const { db, close } = await openTestDatabase();
  try {
    const keywords = [...Object.keys(HANDLERS), ...NOTED.split(" "), ...UNHEARD];
    const schemas = keywords.flatMap((keyword) =>
      RULES.flatMap((rule) => {
        const schema = Object.fromEntries([["$defs", { "a/b": true }], [keyword, rule]]);
        return [schema, { anyOf: [true, { properties: { deep: schema } }], $defs: schema.$defs }];
      })
    );
    schemas.push(null as never, [] as never, "string" as never);
    const rows = await db.query(
      `select (private.schema_fault(s) is null) as fits
       from jsonb_array_elements($1::text::jsonb) with ordinality t(s, i) order by i`,
      [JSON.stringify(schemas)],
    );
    const differ = schemas.filter((schema, i) => rows[i]!.fits !== isSchema(schema));
    assert.deepEqual(differ, []);
    const fitting = rows.filter(({ fits }) => fits).length;
    assert.ok(fitting > 200 && fitting < schemas.length - 200, `${fitting} of ${schemas.length}`);
  } finally {
    await close();
  }
});

function isSchema(schema: unknown): boolean {
  try {
    assertSchema(schema as JsonSchema);
    return true;
  } catch {
    return false;
  }
}
