import { CATALOG_SQL } from "./catalog_sql.ts";
import type { SqlExecutor } from "./executor.ts";

/** Something the catalog knows and a migration can make. */
export interface CatalogObject {
  kind:
    | "schema"
    | "extension"
    | "type"
    | "table"
    | "sequence"
    | "row security"
    | "column"
    | "constraint"
    | "index"
    | "view"
    | "function"
    | "trigger"
    | "policy"
    | "grant"
    | "publication"
    | "rows";
  /** Its name with its schema; a function's with its argument types. */
  name: string;
  /** The key of the object it belongs to and goes with, if any: `table public.leads`. */
  parent: string | null;
  /** How PostgreSQL prints it. */
  definition: string;
  /** The statement that makes it, once its parent is there. */
  make: string;
  /** The statement that takes it away, and nothing else. */
  unmake: string;
}

/** A database's objects by key (`<kind> <name>`). */
export type Catalog = Map<string, CatalogObject>;

/** Schemas in which migrations make objects. */
export const PROJECT_SCHEMAS = ["public", "private"];

/**
 * Reads the objects of the project's schemas, with the triggers, policies and publications through
 * which they reach outside. Objects that belong to an extension are left out.
 */
export async function readCatalog(
  db: SqlExecutor,
  schemas: string[] = PROJECT_SCHEMAS,
): Promise<Catalog> {
  const [before] = await db.query("select current_setting('search_path') as path");
  await db.query("select set_config('search_path', '', false)");
  try {
    const rows = await db.query(CATALOG_SQL, [JSON.stringify(schemas)]);
    const objects = rows as unknown as CatalogObject[];
    const tables = objects.filter((object) => object.kind === "table");
    objects.push(...await readFilled(db, tables.map((table) => table.name)));
    return new Map(objects.map((object) => [`${object.kind} ${object.name}`, object]));
  } finally {
    await db.query("select set_config('search_path', $1, false)", [before!["path"]]);
  }
}

/** Which tables have rows: some migrations fill a table that nothing works without. */
async function readFilled(db: SqlExecutor, tables: string[]): Promise<CatalogObject[]> {
  if (tables.length === 0) return [];
  const probes = tables.map((table, i) => `select ${i} as i where exists (select from ${table})`);
  return (await db.query(probes.join(" union all "))).map((row) => {
    const name = tables[row["i"] as number]!;
    return {
      kind: "rows",
      name,
      parent: `table ${name}`,
      definition: "some",
      make: "",
      unmake: "",
    };
  });
}
