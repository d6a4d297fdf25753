/**
 * What no database keeps of a JSON value, and what no writer of JSON gets through.
 *
 * @module
 */

/** Levels of lists and objects within one another; a state may hold many values. */
const MAX_LEVELS = 200;

/**
 * Why a value from outside cannot be kept as it is, in words that go on from its name; undefined when it can.
 * Deeper values break whoever reads them by recursion, and a number beyond 1.8e308, which `JSON.parse` takes
 * for infinite, would be kept as null.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(storableFault({ a: [1] }), undefined);
 * assert.equal(storableFault(JSON.parse("[1e400]")), "holds a number that is too large");
 * ```
 */
export function storableFault(value: unknown): string | undefined {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_LEVELS) return `is nested more than ${MAX_LEVELS} levels deep`;
    const inside: unknown[] = [];
    for (const part of level) {
      if (typeof part === "number" && !Number.isFinite(part)) {
        return "holds a number that is too large";
      }
      if (typeof part === "object" && part !== null) {
        for (const one of Object.values(part)) inside.push(one);
      }
    }
    level = inside;
  }
  return undefined;
}
