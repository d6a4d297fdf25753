/**
 * Whether a JSON Schema is one, before anything is checked against it or a model is asked for it.
 *
 * @module
 */
import { safePattern } from "./json_formats.ts";
import { resolveRef } from "./json_schema_ref.ts";
import { type JsonSchema, SchemaError } from "./json_schema_types.ts";

type Own = Record<string, unknown>;
/** The schemas inside a keyword's rule, by their place below it; undefined when the rule is malformed. */
type Shape = (rule: unknown) => [string, unknown][] | undefined;

const isOwn = (value: unknown): value is Own =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
const isTexts = (value: unknown) =>
  Array.isArray(value) && value.every((one) => typeof one === "string");
const leaf = (fits: (rule: unknown) => boolean): Shape => (rule) => fits(rule) ? [] : undefined;

const TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"];
const number = leaf((rule) => typeof rule === "number");
const count = leaf(isCount);
const text = leaf((rule) => typeof rule === "string");
const schema: Shape = (rule) => [["", rule]];
const list: Shape = (rule) =>
  Array.isArray(rule) && rule.length > 0 ? rule.map((one, i) => [`/${i}`, one]) : undefined;
const named: Shape = (rule) =>
  isOwn(rule)
    ? Object.entries(rule).map(([name, one]) => [`/${name.replaceAll("/", "~1")}`, one])
    : undefined;

/** What the rule of each keyword must be; a keyword that is missing here is the validator's to refuse. */
const SHAPES: Record<string, Shape> = {
  type: leaf((rule) => (Array.isArray(rule) ? rule : [rule]).every((one) => TYPES.includes(one))),
  enum: leaf(Array.isArray),
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: leaf((rule) => typeof rule === "number" && rule > 0),
  minLength: count,
  maxLength: count,
  minItems: count,
  maxItems: count,
  minProperties: count,
  maxProperties: count,
  minContains: count,
  maxContains: count,
  pattern: leaf((rule) => safePattern(rule) !== undefined),
  format: text,
  uniqueItems: leaf((rule) => typeof rule === "boolean"),
  required: leaf(isTexts),
  dependentRequired: leaf((rule) => isOwn(rule) && Object.values(rule).every(isTexts)),
  properties: named,
  $defs: named,
  definitions: named,
  prefixItems: list,
  allOf: list,
  anyOf: list,
  oneOf: list,
  items: schema,
  contains: schema,
  additionalProperties: schema,
  propertyNames: schema,
  not: schema,
  if: schema,
  then: schema,
  else: schema,
};
const MAX_DEPTH = 64;

/** Schemas that have been found in order; they are data that nobody changes. */
const sound = new WeakSet<object>();

/**
 * Looks through a whole schema, also where no value has led yet.
 *
 * @param isKnown whether the validator knows a keyword
 * @throws {SchemaError} pointing at a rule of the wrong form, an unknown type or an unknown keyword
 */
export function checkSchema(root: JsonSchema, isKnown: (keyword: string) => boolean): void {
  if (typeof root === "object" && root !== null && sound.has(root)) return;
  look(root, "", 0, (keyword, rule, at) => {
    if (!isKnown(keyword)) {
      throw new SchemaError(at, `The keyword "${keyword}" is not supported.`);
    }
    if (keyword === "$ref") resolveRef(root, rule, at);
  });
  if (typeof root === "object") sound.add(root);
}

type Judge = (keyword: string, rule: unknown, at: string) => void;

function look(inner: unknown, at: string, depth: number, judge: Judge) {
  if (typeof inner === "boolean") return;
  if (!isOwn(inner)) throw new SchemaError(at, "A schema is an object or a boolean.");
  if (depth > MAX_DEPTH) throw new SchemaError(at, "The schema is nested too deeply.");
  for (const [keyword, rule] of Object.entries(inner)) {
    const where = `${at}/${keyword}`;
    judge(keyword, rule, where);
    const shape = Object.hasOwn(SHAPES, keyword) ? SHAPES[keyword] : undefined;
    if (!shape) continue;
    const parts = shape(rule);
    if (!parts) throw new SchemaError(where, WORDS[keyword] ?? `This is no rule for "${keyword}".`);
    for (const [place, part] of parts) look(part, where + place, depth + 1, judge);
  }
}

const WORDS: Record<string, string> = {
  type: `A type is one of ${TYPES.join(", ")}.`,
  required: "The names of required properties are a list, beside properties.",
  pattern: "The pattern is none, or could take too long to match.",
};
