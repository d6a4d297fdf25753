import assert from "node:assert/strict";
import {
  type JsonSchema,
  SchemaError,
  validate,
} from "../../../../functions-shared/workflow/json_schema.ts";

const holds = (schema: JsonSchema, value: unknown) => validate(schema, value).length === 0;

/** Each row: schema, values that fit, values that do not. */
const TABLE: [JsonSchema, unknown[], unknown[]][] = [
  [true, [1, null, {}], []],
  [false, [], [1, null, {}]],
  [{ type: "integer" }, [1, -2, 1.0], [1.5, "1", null]],
  [{ type: ["string", "null"] }, ["", null], [0, {}]],
  [{ type: "object" }, [{}], [[], null]],
  [{ enum: [1, "a", { b: [1] }] }, [1, "a", { b: [1] }], [2, { b: [2] }, { b: [1], c: 1 }]],
  [{ const: { a: 1, b: 2 } }, [{ b: 2, a: 1 }], [{ a: 1 }]],
  [{ minimum: 1, exclusiveMaximum: 3 }, [1, 2.9, "x"], [0.9, 3]],
  [{ multipleOf: 0.1 }, [0.3, 1], [0.35]],
  [{ minLength: 2, maxLength: 3 }, ["ab", "😀😀😀", 5], ["a", "abcd"]],
  [{ pattern: "^a+b" }, ["aab", 3], ["b", "xaab"]],
  [{ format: "date-time" }, ["2026-01-02T03:04:05Z", 7], ["2026-01-02", "yesterday"]],
  [{ format: "email" }, ["a@b.co"], ["a@b", "a b@c.de", "@b.co"]],
  [{ format: "uuid" }, ["00000000-0000-4000-8000-000000000000"], ["0000"]],
  [{ format: "never-heard-of" }, ["anything"], []],
  [{ required: ["a"] }, [{ a: null }, "not an object"], [{}, { b: 1 }]],
  [{ allOf: [{ required: ["a"] }, { required: ["b"] }] }, [{ a: 1, b: 1 }], [{ a: 1 }, {}]],
  [{ anyOf: [{ type: "string" }, { minimum: 5 }] }, ["x", 6], [4]],
  [{ oneOf: [{ minimum: 5 }, { multipleOf: 2 }] }, [7, 2], [8, 1]],
  [{ not: { type: "string" } }, [1], ["x"]],
  [
    { if: { required: ["a"] }, then: { required: ["b"] }, else: { required: ["c"] } },
    [{ a: 1, b: 1 }, { c: 1 }],
    [{ a: 1 }, {}],
  ],
  [{ items: { type: "string" }, prefixItems: [{ type: "number" }] }, [[1, "a"], []], [[1, 2], [
    "a",
  ]]],
  [{ contains: { const: 1 }, maxContains: 2 }, [[1], [1, 1, 2]], [[2], [1, 1, 1]]],
  [{ uniqueItems: true }, [[1, "1", { a: 1, b: 2 }]], [[{ a: 1, b: 2 }, { b: 2, a: 1 }]]],
  [{ minItems: 1, maxItems: 2 }, [[1]], [[], [1, 2, 3]]],
  [{ properties: { a: { type: "number" } }, additionalProperties: false }, [{ a: 1 }, {}], [
    { a: "1" },
    { b: 1 },
    JSON.parse('{"__proto__": 1}'),
  ]],
  [{ additionalProperties: { type: "number" } }, [{ a: 1 }], [{ a: "1" }]],
  [{ propertyNames: { maxLength: 2 } }, [{ ab: 1 }], [{ abc: 1 }]],
  [{ minProperties: 1, maxProperties: 1 }, [{ a: 1 }], [{}, { a: 1, b: 1 }]],
  [{ dependentRequired: { a: ["b"] } }, [{ b: 1 }, { a: 1, b: 1 }], [{ a: 1 }]],
  [
    {
      $ref: "#/$defs/tree",
      $defs: {
        tree: {
          type: "object",
          properties: { kids: { type: "array", items: { $ref: "#/$defs/tree" } } },
        },
      },
    },
    [{ kids: [{ kids: [] }] }],
    [{ kids: [{ kids: [1] }] }],
  ],
];

Deno.test("keywords hold and fail as the standard says", () => {
  for (const [schema, good, bad] of TABLE) {
    for (const value of good) assert.ok(holds(schema, value), JSON.stringify([schema, value]));
    for (const value of bad) assert.ok(!holds(schema, value), JSON.stringify([schema, value]));
  }
});

Deno.test("an issue points at the place and never repeats the value", () => {
  const schema = {
    type: "object",
    properties: { "a/b": { type: "array", items: { type: "string" } } },
  };
  const [issue] = validate(schema, { "a/b": ["x", { secret: "hunter2" }] });
  assert.deepEqual([issue?.pointer, issue?.code], ["/a~1b/1", "wrong_type"]);
  assert.ok(!JSON.stringify(issue).includes("hunter2"));
});

Deno.test("a schema that cannot be applied is refused instead of ignored", () => {
  for (
    const schema of [
      { type: "string", unheardOf: 1 },
      { $ref: "https://example.com/schema.json" },
      { $ref: "#/$defs/missing" },
      { patternProperties: {} },
      { allOf: ["no schema"] },
    ] as JsonSchema[]
  ) {
    assert.throws(() => validate(schema, { a: 1 }), SchemaError, JSON.stringify(schema));
  }
  assert.throws(() => validate({ $ref: "#" }, 1), /nested too deeply/);
});

Deno.test("a rule of the wrong form is refused wherever it stands, and says where", () => {
  for (
    const [schema, pointer] of [
      [{ type: "strng" }, "/type"],
      [{ properties: { n: "number" } }, "/properties/n"],
      [{ properties: { n: { type: "number", required: true } } }, "/properties/n/required"],
      [{ required: "name" }, "/required"],
      [{ items: { anyOf: [{ enum: "a" }] } }, "/items/anyOf/0/enum"],
      [{ additionalProperties: { minimum: "5" } }, "/additionalProperties/minimum"],
      [{ $defs: { "a/b": { maxLength: -1 } } }, "/$defs/a~1b/maxLength"],
      [{ properties: { later: { pattern: "(a+)+" } } }, "/properties/later/pattern"],
      [{ if: { unheardOf: 1 } }, "/if/unheardOf"],
      ["object", ""],
      [null, ""],
    ] as [JsonSchema, string][]
  ) {
    assert.throws(() => validate(schema, 1), (error: unknown) => {
      assert.ok(error instanceof SchemaError, String(error));
      assert.equal(error.pointer, pointer);
      return true;
    }, JSON.stringify(schema));
  }
});

Deno.test("patterns that could run away are refused, the others are quick on hostile text", () => {
  const bait = "a".repeat(2048);
  const started = performance.now();
  for (const pattern of ["(a+)+$", "(a|a)*b", "a*a*a*b", "(?=a)b", "(a)\\1", "a?".repeat(30)]) {
    assert.throws(() => validate({ pattern }, bait), SchemaError, pattern);
  }
  for (const pattern of ["^[a-z]+@[a-z]+$", "^a*a*b$", "a+b", "^\\d{3}-\\d{4}$", "^(?:a|b)c"]) {
    assert.equal(holds({ pattern }, bait), false, pattern);
  }
  assert.ok(performance.now() - started < 1000);
  assert.equal(validate({ pattern: "^a" }, "a".repeat(5000))[0]?.code, "too_long");
});

Deno.test("a value cannot make the list of issues endless", () => {
  assert.equal(validate({ items: { type: "string" } }, Array(10_000).fill(1)).length, 20);
});
