import type { Catalog, CatalogObject } from "./catalog.ts";
import type { Declared } from "./declared.ts";

/** One difference between a database and what the migrations declare. */
export interface Finding {
  /** `extra` is something that hangs on an object of ours and that no migration made. */
  state: "missing" | "different" | "extra";
  kind: CatalogObject["kind"];
  name: string;
  /** The migration that declares it; null for what none declares. */
  migration: string | null;
  declared: string | null;
  found: string | null;
}

/** Extra objects that change who may do what; others (an index, say) may be somebody's good idea. */
export const GUARDED: ReadonlySet<string> = new Set(["grant", "policy"]);

/** Compares a database with what the migrations declare, in the order they declare it. */
export function compare(actual: Catalog, declared: Declared[]): Finding[] {
  const wanted: Catalog = declared.at(-1)?.after ?? new Map();
  const findings: Finding[] = [];
  for (const [key, object] of wanted) {
    const found = actual.get(key);
    if (found?.definition === object.definition) continue;
    // what a missing table takes with it is not told one by one
    if (found === undefined && isGone(object.parent, wanted, actual)) continue;
    findings.push({
      state: found === undefined ? "missing" : "different",
      kind: object.kind,
      name: object.name,
      migration: madeBy(key, declared),
      declared: object.definition,
      found: found?.definition ?? null,
    });
  }
  for (const [key, object] of actual) {
    if (wanted.has(key) || !belongsTo(object, wanted)) continue;
    findings.push({
      state: "extra",
      kind: object.kind,
      name: object.name,
      migration: null,
      declared: null,
      found: object.definition,
    });
  }
  return findings;
}

/** The version of the migration that gave an object its final definition. */
export function madeBy(key: string, declared: Declared[]): string | null {
  const final = declared.at(-1)?.after.get(key)?.definition;
  let i = declared.length - 1;
  while (i > 0 && declared[i - 1]!.after.get(key)?.definition === final) i--;
  return declared[i]?.migration.version ?? null;
}

/** True when an object's parent is one that the migrations make and the database lacks. */
export function isGone(parent: string | null, wanted: Catalog, actual: Catalog): boolean {
  return parent !== null && wanted.has(parent) && !actual.has(parent);
}

/** True when an object hangs on one of ours. A view's grants name it as a table. */
export function belongsTo(object: CatalogObject, wanted: Catalog): boolean {
  // the schema of extensions is shared: platforms grant it to roles of their own
  if (object.parent === "schema extensions") return false;
  return object.parent !== null && object.kind !== "rows" &&
    (wanted.has(object.parent) || wanted.has(object.parent.replace(/^table /, "view ")));
}
