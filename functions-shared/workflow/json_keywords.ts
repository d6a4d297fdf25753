/**
 * The keywords of JSON Schema, one function each.
 *
 * @module
 */
import { checkFormat, PATTERN_TEXT, safePattern } from "./json_formats.ts";
import { resolveRef } from "./json_schema_ref.ts";
import { type KeywordContext, SchemaError } from "./json_schema_types.ts";

type Keywords = Record<string, unknown>;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const step = (pointer: string, name: string | number) =>
  `${pointer}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;
const own = (object: unknown, name: string) =>
  isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
}
const isType = (value: unknown, type: unknown) =>
  type === "integer" ? Number.isInteger(value) : typeOf(value) === type;

/** Deep equality of JSON values; the order of keys does not matter. */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeOf(a) !== typeOf(b) || typeof a !== "object" || a === null || b === null) return false;
  const left = Object.keys(a), right = Object.keys(b as object);
  return left.length === right.length &&
    left.every((key) =>
      Object.hasOwn(b as object, key) && equal((a as Keywords)[key], (b as Keywords)[key])
    );
}

function bound(
  code: string,
  size: (value: unknown) => number | undefined,
  holds: (size: number, rule: number) => boolean,
  words: string,
) {
  return ({ rule, value, fail }: KeywordContext) => {
    const actual = size(value);
    if (actual !== undefined && !holds(actual, rule as number)) fail(code, `${words} ${rule}.`);
  };
}
const asNumber = (value: unknown) => typeof value === "number" ? value : undefined;
const asLength = (value: unknown) => typeof value === "string" ? [...value].length : undefined;
const asCount = (value: unknown) => Array.isArray(value) ? value.length : undefined;
const asSize = (value: unknown) => isObject(value) ? Object.keys(value).length : undefined;
const atLeast = (a: number, b: number) => a >= b;
const atMost = (a: number, b: number) => a <= b;

/** What each keyword does. `minContains`, `maxContains`, `then`, `else` act through their partner. */
export const HANDLERS: Record<string, (context: KeywordContext) => void> = {
  $ref: (c) => c.sub(resolveRef(c.root, c.rule, c.at), c.value, c.pointer, "$ref"),
  type: ({ rule, value, fail }) => {
    const types = Array.isArray(rule) ? rule : [rule];
    if (!types.some((type) => isType(value, type))) {
      fail("wrong_type", `Expected ${types.join(" or ")}, found ${typeOf(value)}.`);
    }
  },
  enum: ({ rule, value, fail }) => {
    if (!(rule as unknown[]).some((option) => equal(option, value))) {
      fail("not_in_list", `Must be one of ${JSON.stringify(rule).slice(0, 200)}.`);
    }
  },
  const: ({ rule, value, fail }) => {
    if (!equal(rule, value)) fail("not_the_constant", "Must be the constant of the schema.");
  },
  minimum: bound("too_small", asNumber, atLeast, "Must be at least"),
  maximum: bound("too_large", asNumber, atMost, "Must be at most"),
  exclusiveMinimum: bound("too_small", asNumber, (a, b) => a > b, "Must be more than"),
  exclusiveMaximum: bound("too_large", asNumber, (a, b) => a < b, "Must be less than"),
  multipleOf: bound("not_a_multiple", asNumber, (a, b) => {
    const quotient = a / b;
    return Math.abs(quotient - Math.round(quotient)) < 1e-9;
  }, "Must be a multiple of"),
  minLength: bound("too_short", asLength, atLeast, "Characters must number at least"),
  maxLength: bound("too_long", asLength, atMost, "Characters must number at most"),
  minItems: bound("too_few", asCount, atLeast, "Entries must number at least"),
  maxItems: bound("too_many", asCount, atMost, "Entries must number at most"),
  minProperties: bound("too_few", asSize, atLeast, "Properties must number at least"),
  maxProperties: bound("too_many", asSize, atMost, "Properties must number at most"),
  pattern: ({ rule, value, fail, at }) => {
    if (typeof value !== "string") return;
    const pattern = safePattern(rule);
    if (!pattern) {
      throw new SchemaError(`${at}/pattern`, "The pattern could take too long to match.");
    }
    if (value.length > PATTERN_TEXT) {
      fail("too_long", `Text under a pattern may have ${PATTERN_TEXT} characters.`);
    } else if (!pattern.test(value)) fail("wrong_pattern", "Does not match the pattern.");
  },
  format: ({ rule, value, fail }) => {
    if (typeof value === "string" && !checkFormat(rule, value)) {
      fail("wrong_format", `Is not a valid ${rule}.`);
    }
  },
  uniqueItems: ({ rule, value, fail }) => {
    if (rule !== true || !Array.isArray(value)) return;
    const seen = new Set<string>();
    value.forEach((entry) => seen.add(canonical(entry)));
    if (seen.size !== value.length) fail("not_unique", "Entries must differ from each other.");
  },
  prefixItems: ({ rule, value, pointer, sub }) => {
    if (!Array.isArray(value)) return;
    (rule as unknown[]).forEach((schema, i) => {
      if (i < value.length) sub(schema, value[i], step(pointer, i), `prefixItems/${i}`);
    });
  },
  items: ({ rule, value, pointer, sub, keywords }) => {
    if (!Array.isArray(value)) return;
    const from = Array.isArray(keywords.prefixItems) ? keywords.prefixItems.length : 0;
    for (let i = from; i < value.length; i++) sub(rule, value[i], step(pointer, i), "items");
  },
  contains: ({ rule, value, fits, fail, keywords }) => {
    if (!Array.isArray(value)) return;
    const count = value.filter((e) => fits(rule, e)).length;
    const low = (keywords.minContains as number | undefined) ?? 1;
    const high = (keywords.maxContains as number | undefined) ?? Infinity;
    if (count < low || count > high) fail("wrong_contents", "Holds the wrong number of matches.");
  },
  minContains: () => {},
  maxContains: () => {},
  required: ({ rule, value, pointer, fail }) => {
    if (!isObject(value)) return;
    for (const name of rule as string[]) {
      if (!Object.hasOwn(value, name)) {
        fail("required", "This property is required.", step(pointer, name));
      }
    }
  },
  properties: ({ rule, value, pointer, sub }) => {
    if (!isObject(value)) return;
    for (const [name, schema] of Object.entries(rule as Keywords)) {
      if (Object.hasOwn(value, name)) {
        sub(schema, value[name], step(pointer, name), `properties/${name}`);
      }
    }
  },
  additionalProperties: ({ rule, value, pointer, sub, keywords, fail }) => {
    if (!isObject(value)) return;
    for (const [name, entry] of Object.entries(value)) {
      if (own(keywords.properties, name) !== undefined) continue;
      if (rule === false) {
        fail("unknown_property", "This property is not known.", step(pointer, name));
      } else sub(rule, entry, step(pointer, name), "additionalProperties");
    }
  },
  propertyNames: ({ rule, value, pointer, sub }) => {
    if (!isObject(value)) return;
    for (const name of Object.keys(value)) sub(rule, name, step(pointer, name), "propertyNames");
  },
  dependentRequired: ({ rule, value, pointer, fail }) => {
    if (!isObject(value)) return;
    for (const [name, needs] of Object.entries(rule as Record<string, string[]>)) {
      if (!Object.hasOwn(value, name)) continue;
      for (const need of needs) {
        if (!Object.hasOwn(value, need)) {
          fail("required", `Required when ${name} is given.`, step(pointer, need));
        }
      }
    }
  },
  allOf: ({ rule, value, pointer, sub }) =>
    (rule as unknown[]).forEach((schema, i) => sub(schema, value, pointer, `allOf/${i}`)),
  anyOf: ({ rule, value, fits, fail }) => {
    if (!(rule as unknown[]).some((schema) => fits(schema, value))) {
      fail("no_alternative", "Fits none of the alternatives.");
    }
  },
  oneOf: ({ rule, value, fits, fail }) => {
    const count = (rule as unknown[]).filter((s) => fits(s, value)).length;
    if (count !== 1) {
      fail("not_one_alternative", `Fits ${count} of the alternatives instead of one.`);
    }
  },
  not: ({ rule, value, fits, fail }) => {
    if (fits(rule, value)) fail("forbidden", "Fits a forbidden schema.");
  },
  if: ({ rule, value, fits, pointer, keywords, sub }) => {
    const branch = fits(rule, value) ? "then" : "else";
    if (keywords[branch] !== undefined) sub(keywords[branch], value, pointer, branch);
  },
  then: () => {},
  else: () => {},
};

/** JSON text with sorted keys: equal values give equal text. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join()}}`;
}
