/**
 * Values that came from outside, without what a database cannot hold.
 *
 * @module
 */
import { mapTexts } from "./map_texts.ts";

/** JSON text that escapes a NUL or half of a surrogate pair (or only looks so). */
const SUSPECT = /\\u(?:0000|d[89a-f])/i;

/** `text` without NUL, and with U+FFFD for halves of surrogate pairs, which are no characters. */
export function storableText(text: string): string {
  return text.replaceAll("\u0000", "").toWellFormed();
}

/**
 * A JSON value whose texts and names PostgreSQL can store: see {@link storableText}. A tool or a model
 * that cuts its text in the middle of an emoji must not lose its run what was done and paid for.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(storable({ a: ["x\u0000y"] }), { a: ["xy"] });
 * ```
 */
export function storable(value: unknown): unknown {
  const text = JSON.stringify(value);
  if (text === undefined || !SUSPECT.test(text)) return value;
  return mapTexts(value, storableText);
}
