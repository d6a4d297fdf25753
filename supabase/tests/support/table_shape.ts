import type { SqlExecutor } from "../../../scripts/db/executor.ts";

/** A column as far as making rows needs to know it. */
export interface Column {
  name: string;
  type: string;
  isRequired: boolean;
  hasDefault: boolean;
  /** Written by PostgreSQL itself: generated, or an identity. */
  isComputed: boolean;
  enumLabels: string[] | null;
  /** The quoted words of its check constraints: what an `in (…)` allows. */
  words: string[];
}

/** A foreign key. */
export interface ForeignKey {
  columns: string[];
  /** The table it points at, with its schema. */
  to: string;
  toColumns: string[];
}

/** A table as the catalog describes it. */
export interface TableShape {
  name: string;
  columns: Column[];
  primaryKey: string[];
  foreignKeys: ForeignKey[];
  /** Constraint name to the columns it speaks of. */
  checks: Record<string, string[]>;
}

const SHAPES = `
select n.nspname || '.' || c.relname as name,
  (select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'isRequired', a.attnotnull, 'hasDefault', a.atthasdef and a.attgenerated = '',
      'isComputed', a.attgenerated <> '' or a.attidentity <> '',
      'enumLabels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid),
      'words', (select coalesce(json_agg(m[1]), '[]') from pg_constraint k,
        regexp_matches(pg_get_constraintdef(k.oid), '''([A-Za-z0-9_. /-]+)''::text', 'g') m
        where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any (k.conkey))) order by a.attnum), '[]')
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(json_agg(a.attname order by x.n), '[]') from pg_constraint k, unnest(k.conkey) with ordinality x (num, n)
    join pg_attribute a on a.attnum = x.num
    where k.conrelid = c.oid and k.contype = 'p' and a.attrelid = c.oid) as "primaryKey",
  (select coalesce(json_agg(json_build_object(
      'columns', (select json_agg(a.attname order by x.n) from unnest(k.conkey) with ordinality x (num, n)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.num),
      'to', (select tn.nspname || '.' || t.relname from pg_class t join pg_namespace tn on tn.oid = t.relnamespace where t.oid = k.confrelid),
      'toColumns', (select json_agg(a.attname order by x.n) from unnest(k.confkey) with ordinality x (num, n)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.num)) order by k.conname), '[]')
    from pg_constraint k where k.conrelid = c.oid and k.contype = 'f') as "foreignKeys",
  (select coalesce(json_object_agg(k.conname, (select json_agg(a.attname) from unnest(k.conkey) num
      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = num)), '{}')
    from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and k.conkey is not null) as checks
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private') and c.relkind in ('r', 'p') and not c.relispartition
order by 1`;

/** Reads the shape of every table of the project. */
export async function tableShapes(db: SqlExecutor): Promise<Map<string, TableShape>> {
  const rows = await db.query(SHAPES) as unknown as TableShape[];
  return new Map(rows.map((shape) => [shape.name, shape]));
}

const ACCOUNTS = new Set(["auth.users", "public.profiles"]);

/**
 * The column that names the account a row belongs to; undefined when only its parent tells. What
 * people see of every step of a run names it without a foreign key.
 */
export function ownerColumn(shape: TableShape): string | undefined {
  const named = shape.foreignKeys.filter((key) => ACCOUNTS.has(key.to) && key.columns.length === 1)
    .map((key) => key.columns[0]!);
  const unkeyed = shape.name.startsWith("public.")
    ? shape.columns.find((column) => column.name === "user_id" && column.isRequired)
    : undefined;
  return named.find((column) => column === "user_id") ?? named.find((column) => column === "id") ??
    named[0] ?? unkeyed?.name;
}

/** The foreign key to the row's parent, for tables without an owner of their own. */
export function parentKey(shape: TableShape): ForeignKey | undefined {
  return shape.foreignKeys.find((key) =>
    !ACCOUNTS.has(key.to) &&
    key.columns.every((name) => shape.columns.find((column) => column.name === name)!.isRequired)
  );
}
