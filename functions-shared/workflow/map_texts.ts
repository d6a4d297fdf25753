/**
 * Every text of a JSON value.
 *
 * @module
 */

/**
 * A copy of a JSON value with `change` applied to each text in it, names of fields included.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(mapTexts({ a: ["b", 1] }, (text) => text + "!"), { "a!": ["b!", 1] });
 * ```
 */
export function mapTexts<T>(value: T, change: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, part) => {
    if (typeof part === "string") return change(part);
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([name, one]) => [change(name), one]));
  });
}
