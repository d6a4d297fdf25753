import type { SqlExecutor } from "../../db/executor.ts";

/** Rows of a list. */
export const PAGE = 50;

/** A list as a client asks for it, read off the catalog. */
export interface List {
  /** What it is a list of, and in which order. */
  name: string;
  table: string;
  /** Columns that people may select. */
  columns: string[];
  /** The newest-first column; null for tables that keep no time. */
  order: string | null;
  /** Rows without that time come last, as the index has them. */
  nullsLast: boolean;
  /** Column whose value is given, for the lists of one conversation, task or type. */
  of: string | null;
  /** The condition of the policies, as PostgreSQL prints it. */
  policy: string;
}

/** Who is asking, as it stands in a policy that asks once. */
const CALLER = /\( ?SELECT auth\.uid\(\) AS uid\)/g;

/** True when the list depends on who is asking. */
export const asksWho = (list: List) => /auth\.\w+\(/.test(list.policy);

/** The policy of the list with the caller's name written into it. */
export const named = (list: List, user: string) => list.policy.replace(CALLER, `'${user}'::uuid`);

/** The column that the policies compare with the caller. */
export const ownerOf = (policy: string) => /^\(*(\w+) = \( ?SELECT auth\.uid/.exec(policy)?.[1];

interface Readable {
  name: string;
  columns: string[];
  has_created_at: boolean;
  policy: string;
  /** Key columns of each btree index; which hold a time or a sequence, and which a name or an id. */
  indexes: { keys: string[]; is_time: boolean[]; is_name: boolean[]; nulls_last: boolean[] }[];
}

const READABLE = `
select c.relname as name,
  (select json_agg(a.attname order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
    and not a.attisdropped and has_column_privilege('authenticated', c.oid, a.attnum, 'select')) as columns,
  exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'created_at') as has_created_at,
  (select string_agg('(' || p.qual || ')', ' or ') from pg_policies p where p.schemaname = 'public'
    and p.tablename = c.relname and p.cmd in ('SELECT', 'ALL') and 'authenticated' = any (p.roles)) as policy,
  (select coalesce(json_agg(json_build_object('keys', k.keys, 'is_time', k.is_time, 'is_name', k.is_name,
      'nulls_last', k.nulls_last) order by k.name), '[]') from (
    select x.indexrelid::regclass::text as name, json_agg(a.attname order by i.n) as keys,
      json_agg(a.atttypid in ('timestamptz'::regtype, 'bigint'::regtype) order by i.n) as is_time,
      json_agg(a.atttypid in ('text'::regtype, 'uuid'::regtype) order by i.n) as is_name,
      json_agg(x.indoption[i.n - 1] & 3 = 1 order by i.n) as nulls_last
    from pg_index x join pg_class ic on ic.oid = x.indexrelid
      join pg_am m on m.oid = ic.relam and m.amname = 'btree',
      unnest(x.indkey::int2[]) with ordinality i (num, n)
      join pg_attribute a on a.attnum = i.num
    where x.indrelid = c.oid and a.attrelid = c.oid and i.n <= x.indnkeyatts
      and (x.indpred is null or pg_get_expr(x.indpred, c.oid) like '%IS NOT NULL)')
    group by x.indexrelid) k) as indexes
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  and has_any_column_privilege('authenticated', c.oid, 'select')
order by 1`;

/**
 * Every list of the tables that signed-in people may select: the bare one, newest first by each time
 * (or sequence) that an index keeps in order for the owner, and that of one conversation, task or
 * type where an index is made for it. A table without such an index is listed by `created_at`, and
 * will be seen to sort.
 */
export async function readLists(db: SqlExecutor): Promise<List[]> {
  const tables = await db.query(READABLE) as unknown as Readable[];
  return tables.flatMap((table) => {
    const { name, columns, policy, indexes } = table;
    const owner = ownerOf(policy);
    const lists = new Map<string, List>();
    const add = (order: string | null, of: string | null, nullsLast = false) => {
      const title = [name, ...(of ? [`of_one_${of}`] : []), ...(order ? [`by_${order}`] : [])];
      lists.set(title.join("."), {
        name: title.join("."),
        table: `public.${name}`,
        columns,
        order,
        nullsLast,
        of,
        policy,
      });
    };
    for (const { keys, is_time, is_name, nulls_last } of indexes) {
      // a list of one task may have the task before the owner: both are given
      if (keys[1] === owner && is_name[0] && is_time[2]) add(keys[2]!, keys[0]!, nulls_last[2]);
      if (keys[0] !== owner) continue;
      if (is_time[1]) add(keys[1]!, null, nulls_last[1]);
      else if (is_name[1] && is_time[2]) add(keys[2]!, keys[1]!, nulls_last[2]);
    }
    if (![...lists.values()].some((list) => list.of === null)) {
      add(table.has_created_at ? "created_at" : null, null);
    }
    return [...lists.values()];
  });
}

const VIEWS = `
select v.relname as name, json_agg(a.attname) as columns
from pg_class v join pg_attribute a on a.attrelid = v.oid and a.attnum > 0
where v.relkind = 'v' and v.relnamespace = 'public'::regnamespace
  and has_table_privilege('authenticated', v.oid, 'select') and pg_get_viewdef(v.oid) !~* 'group by'
  and exists (select from pg_depend d join pg_rewrite r on r.oid = d.objid
    where r.ev_class = v.oid and d.classid = 'pg_rewrite'::regclass and d.refobjid = $1::regclass)
group by 1`;

/** The same list through every view of the table that has its columns, under its owner's name there. */
export async function viewLists(db: SqlExecutor, list: List): Promise<List[]> {
  const owner = ownerOf(list.policy);
  if (list.order === null || list.of !== null || owner === undefined) return [];
  const views = await db.query(VIEWS, [list.table]) as unknown as {
    name: string;
    columns: string[];
  }[];
  return views.filter(({ columns }) =>
    columns.includes(list.order!) && (columns.includes(owner) || columns.includes("user_id"))
  ).map(({ name, columns }) => ({
    ...list,
    name: `${name}.by_${list.order}`,
    table: `public.${name}`,
    columns,
  }));
}
