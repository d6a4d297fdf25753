/**
 * A JSON Schema validator that reads the schema instead of compiling it.
 *
 * Tool arguments and model answers are checked against schemas that are data, so the checker must
 * not generate code, must not run a hostile regular expression, and must not quietly skip a keyword.
 * zod's `fromJSONSchema` accepts `{}` for `{"allOf":[{"required":["a"]}]}` and refuses `not` and `if`;
 * ajv builds functions from text. This one covers the validation vocabulary of draft 2020-12 with
 * local `$ref`, and refuses a schema with a keyword it does not know how to apply.
 *
 * @module
 */
import { HANDLERS } from "./json_keywords.ts";
import { checkSchema } from "./json_schema_check.ts";
import { type JsonSchema, SchemaError, type SchemaIssue } from "./json_schema_types.ts";

export { type JsonSchema, SchemaError, type SchemaIssue } from "./json_schema_types.ts";

const NOTES = new Set(
  ("$schema $id $comment $defs definitions title description default examples deprecated readOnly " +
    "writeOnly contentEncoding contentMediaType nullable strict").split(" "),
);
const MAX_DEPTH = 64;
const MAX_ISSUES = 20;

interface Check {
  root: JsonSchema;
  issues: SchemaIssue[];
}

/**
 * Checks `value` against `schema`; an empty list means it fits. At most 20 issues are returned.
 *
 * @throws {SchemaError} when the schema uses an unknown keyword, a rule of the wrong form, a remote `$ref` or an
 *   unsafe pattern, wherever that stands
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const schema = { type: "object", properties: { to: { type: "string" } }, required: ["to"] };
 * assert.equal(validate(schema, { to: 5 })[0]?.pointer, "/to");
 * ```
 */
export function validate(schema: JsonSchema, value: unknown): SchemaIssue[] {
  assertSchema(schema);
  const check: Check = { root: schema, issues: [] };
  apply(check, schema, value, "", "", 0);
  return check.issues;
}

/**
 * Makes sure that a schema can be applied to whatever comes.
 *
 * @throws {SchemaError} as {@link validate}, and for rules of the wrong form
 */
export function assertSchema(schema: JsonSchema): void {
  checkSchema(schema, (keyword) => Object.hasOwn(HANDLERS, keyword) || NOTES.has(keyword));
}

function fits(check: Check, schema: JsonSchema, value: unknown, at: string, depth: number) {
  const probe: Check = { root: check.root, issues: [] };
  apply(probe, schema, value, "", at, depth);
  return probe.issues.length === 0;
}

function apply(
  check: Check,
  schema: JsonSchema,
  value: unknown,
  pointer: string,
  at: string,
  depth: number,
): void {
  const fail = (code: string, detail: string, where = pointer) => {
    if (check.issues.length < MAX_ISSUES) check.issues.push({ pointer: where, code, detail });
  };
  if (depth > MAX_DEPTH) throw new SchemaError(at, "The schema is nested too deeply.");
  if (schema === true) return;
  if (schema === false) return fail("not_allowed", "No value is allowed here.");
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    throw new SchemaError(at, "A schema is an object or a boolean.");
  }
  const sub = (inner: unknown, item: unknown, where: string, keyword: string) =>
    apply(check, inner as JsonSchema, item, where, `${at}/${keyword}`, depth + 1);
  const keywords = schema as Record<string, unknown>;
  for (const [keyword, rule] of Object.entries(keywords)) {
    const handler = Object.hasOwn(HANDLERS, keyword) ? HANDLERS[keyword] : undefined;
    if (handler) {
      handler({
        root: check.root,
        rule,
        value,
        pointer,
        at,
        keywords,
        fail,
        sub,
        fits: (inner, item) => fits(check, inner as JsonSchema, item, at, depth + 1),
      });
    } else if (!NOTES.has(keyword)) {
      throw new SchemaError(`${at}/${keyword}`, `The keyword "${keyword}" is not supported.`);
    }
  }
}
