import { RowMaker } from "../../../supabase/tests/support/make_row.ts";
import {
  type Column,
  ownerColumn,
  parentKey,
  type TableShape,
  tableShapes,
} from "../../../supabase/tests/support/table_shape.ts";
import type { SqlExecutor } from "../../db/executor.ts";

/** Parents of each person, and values of what a person's lists are narrowed to. */
const GROUPS = 20;

/** Fills tables with rows made from the catalog, one table at a time. */
export class Filler {
  #unique = new Map<string, string[][]>();

  private constructor(
    readonly db: SqlExecutor,
    readonly shapes: Map<string, TableShape>,
    readonly owners: string[],
  ) {}

  /** Makes so many people, among whom the rows of every table are spread. */
  static async open(db: SqlExecutor, people: number): Promise<Filler> {
    const owners = Array.from({ length: people }, () => crypto.randomUUID());
    const list = JSON.stringify(owners);
    await db.query(
      "insert into auth.users (id) select json_array_elements_text($1::text::json)::uuid",
      [list],
    );
    await db.exec("create table public.bench_owners (place int primary key, id uuid)");
    await db.query(
      `insert into public.bench_owners select n - 1, id::uuid
       from json_array_elements_text($1::text::json) with ordinality e (id, n)`,
      [list],
    );
    // a million keys are sorted at once
    await db.exec("set maintenance_work_mem = '512MB'; set synchronous_commit = off");
    const filler = new Filler(db, await tableShapes(db), owners);
    const found = await db.query(
      `select c.oid::regclass::text as name, json_agg(a.attname order by i.n) as keys
       from pg_index x join pg_class c on c.oid = x.indrelid, unnest(x.indkey::int2[]) with ordinality i (num, n)
         join pg_attribute a on a.attnum = i.num
       where x.indisunique and a.attrelid = c.oid group by c.oid, x.indexrelid`,
    ) as unknown as { name: string; keys: string[] }[];
    for (const { name, keys } of found) {
      const table = name.includes(".") ? name : `public.${name}`;
      filler.#unique.set(table, [...filler.#unique.get(table) ?? [], keys]);
    }
    return filler;
  }

  /**
   * Gives a table its rows: a second apart (by each of `orders`), spread over the owners, and each
   * owner's in `GROUPS` groups by each of `of`.
   * Triggers, foreign keys, checks and generated columns are not measured and do not run; one row has
   * passed them all.
   */
  async fill(table: string, rows: number, of: string[], orders: string[]): Promise<void> {
    const { db, owners } = this;
    const shape = this.shapes.get(table)!;
    // a busy table may name its owner without a key to the account
    const owner = ownerColumn(shape) ?? shape.columns.find(({ name }) => name === "user_id")?.name;
    const parent = owner === undefined ? parentKey(shape) : undefined;
    if (parent !== undefined) await this.#fillParents(parent.to);
    await db.exec("begin");
    const draft = await new RowMaker(db, this.shapes).draft(table, this.owners[0]!);
    await db.exec("set local session_replication_role = replica");
    await this.#forgetRules(table);
    const own: Record<string, string> = {};
    for (const column of shape.columns) {
      if (of.includes(column.name)) own[column.name] = grouped(column, owners.length);
      else if (column.name === "created_at" || orders.includes(column.name)) {
        own[column.name] = column.type === "bigint" ? "i" : "now() - i * interval '1 second'";
      }
    }
    if (parent !== undefined) own[parent.columns[0]!] = "p.id";
    for (const keys of this.#unique.get(table) ?? []) {
      if (keys.some((key) => own[key] === "gen_random_uuid()")) continue;
      const column = shape.columns.findLast(({ name, words }) =>
        keys.includes(name) && name !== owner && !(name in own) && words.length === 0
      );
      if (column !== undefined) own[column.name] = unique(column);
      else if (owner !== undefined && keys.length === 1 && keys[0] === owner) {
        // one row each, which the owners have since they signed up
        own[owner] = "gen_random_uuid()";
      }
    }
    if (owner !== undefined) own[owner] ??= "o.id";
    const columns = shape.columns.filter((column) => !column.isComputed).map(({ name }) => name)
      .filter((name) => name in draft || name in own);
    // an index built at the end is built by sorting, not row by row
    await db.exec(`update pg_index set indisready = false, indisvalid = false
      where indrelid = '${table}'::regclass`);
    await db.query(
      `with base as (select r.* from jsonb_populate_record(null::${table}, $1::text::jsonb) r)
       insert into ${table} (${columns.join(", ")})
       select ${columns.map((name) => own[name] ?? `base.${name}`).join(", ")}
       from base, generate_series(1, ${rows}) i join public.bench_owners o on o.place = i % ${owners.length}
       ${
        parent === undefined
          ? ""
          : `join public.bench_parents p on p.place = i % ${owners.length * GROUPS}`
      }`,
      [JSON.stringify(draft)],
    );
    await db.exec(`reindex table ${table}`);
    await db.exec("commit");
    await db.exec(`vacuum analyze ${table}`);
  }

  /** Takes the rows away again, and those of its parents. */
  async empty(table: string): Promise<void> {
    const to = parentKey(this.shapes.get(table)!)?.to;
    await this.db.exec(`truncate ${[table, ...(to ? [to] : [])].join(", ")} cascade`);
    if (table === "public.profiles") {
      await this.db.exec(`insert into ${table} (id) select id from public.bench_owners`);
    }
    await this.db.exec("drop table if exists public.bench_parents");
  }

  async #forgetRules(table: string): Promise<void> {
    const rules = await this.db.query(
      `select format('drop constraint %I', conname) as rule from pg_constraint
       where contype = 'c' and conrelid = $1::regclass
       union all
       select format('alter column %1$I drop expression, alter column %1$I drop not null', attname)
       from pg_attribute where attgenerated = 's' and attrelid = $1::regclass`,
      [table],
    );
    for (const { rule } of rules) await this.db.exec(`alter table ${table} ${rule}`);
  }

  async #fillParents(table: string): Promise<void> {
    await this.fill(table, this.owners.length * GROUPS, [], []);
    await this.db.exec(
      `create table public.bench_parents as
       select row_number() over (order by created_at) - 1 as place, id from ${table};
       analyze public.bench_parents`,
    );
  }
}

/** One of a few values, each of which every owner has. */
function grouped({ type, words, name }: Column, owners: number): string {
  const n = `(i / ${owners} % ${GROUPS})`;
  if (words.length > 0) return `base.${name}`;
  return type === "uuid" ? `md5(${n}::text)::uuid` : `('g-' || ${n})::${type}`;
}

/** A value that no other row has. */
function unique({ type, name }: Column): string {
  if (type === "uuid") return "gen_random_uuid()";
  return /int/.test(type) ? "i" : `coalesce(base.${name}::text, 'row') || '-' || i`;
}
