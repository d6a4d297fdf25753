/**
 * JSON as models write it.
 *
 * @module
 */

import { storableFault } from "./storable_fault.ts";

/**
 * The JSON value of a text, or undefined; so for one that cannot be kept (`storable_fault.ts`). A fence of three backticks around the whole is taken off,
 * and prose before or after one object or list is passed over; nothing else is guessed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(readJson('Here it is:\n```json\n{"a":1}\n```'), { a: 1 });
 * ```
 */
export function readJson(text: string): unknown {
  const whole = parse(text);
  if (whole !== undefined) return whole;
  const start = text.search(/[{[]/);
  if (start < 0) return undefined;
  const close = text[start] === "{" ? "}" : "]";
  return parse(text.slice(start, text.lastIndexOf(close) + 1));
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return storableFault(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
