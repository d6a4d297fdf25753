/** Redaction of the fields people and agents write freely; ids and times stay as they are. */

import { redact } from "../observe/redact.ts";

/** A copy of `value` whose `fields` are redacted where they are present. */
export function redactFields<T extends object>(value: T, fields: readonly (keyof T)[]): T {
  const copy = { ...value };
  for (const field of fields) {
    if (copy[field] !== undefined) copy[field] = redact(copy[field]);
  }
  return copy;
}
