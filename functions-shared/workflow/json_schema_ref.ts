/**
 * Where a reference inside a JSON Schema leads.
 *
 * @module
 */
import { type JsonSchema, SchemaError } from "./json_schema_types.ts";

/**
 * The schema that a local `$ref` names by its RFC 6901 pointer.
 *
 * @param at where the reference stands, for the error
 * @throws {SchemaError} when it is none, remote, or leads nowhere
 */
export function resolveRef(root: JsonSchema, ref: unknown, at: string): JsonSchema {
  if (ref === "#") return root;
  if (typeof ref !== "string" || !ref.startsWith("#/")) {
    throw new SchemaError(at, "Only local references (#/…) are supported.");
  }
  let target: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const name = named(part).replaceAll("~1", "/").replaceAll("~0", "~");
    target = typeof target === "object" && target !== null && Object.hasOwn(target, name)
      ? (target as Record<string, unknown>)[name]
      : undefined;
  }
  if (target === undefined) throw new SchemaError(at, `The reference ${ref} leads nowhere.`);
  return target as JsonSchema;
}

/** A part of a pointer as it is in a fragment; what is no percent-encoding stands for itself. */
function named(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
