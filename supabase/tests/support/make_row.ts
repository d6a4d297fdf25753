import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { type Column, ownerColumn, type TableShape } from "./table_shape.ts";

/** A row as JSON, by column name. */
export type Row = Record<string, unknown>;

/** Texts of the forms that the project's checks ask for; tried in turn when a check refuses one. */
const TEXTS = (n: number) => [
  `row-${n}`,
  `row${n}@example.com`,
  `https://example.com/${n}`,
  "internal:echo",
  `row_${n}`,
  String(n),
  "a".repeat(64),
  "*/5 * * * *",
  "POST",
  "/run-workflow/work",
];

const base64url = (length: number) => "A".repeat(length);

async function ciphertext(rows: RowMaker, owner: string): Promise<string> {
  const { id } = await rows.rowOf("private.vault_data_keys", owner);
  return `v1.${id}.${base64url(16)}.${base64url(48)}.00000000`;
}

/**
 * Values that only their domain can compose: the vault refuses whatever is not its own envelope, and
 * a trigger asks for a pattern's outcome.
 */
const COMPOSED: Record<string, (rows: RowMaker, owner: string) => Promise<Row>> = {
  "private.vault_data_keys": () =>
    Promise.resolve({
      wrapped_key: `w1.2026-11.${base64url(8)}.${base64url(16)}.${base64url(107)}`,
      retired_at: "2026-11-21T00:00:00Z", // only one per person may be current
    }),
  "private.token_revocations": async (rows, owner) => ({
    encrypted_token: await ciphertext(rows, owner),
  }),
  "public.user_tokens": async (rows, owner) => ({
    encrypted_access_token: await ciphertext(rows, owner),
  }),
  "public.api_keys": async (rows, owner) => ({
    encrypted_key: await ciphertext(rows, owner),
    key_hash: `h1.${base64url(43)}`,
  }),
  "public.behavior_patterns": () => Promise.resolve({ final_outcome: "success" }),
};

/**
 * Makes rows from nothing but the catalog: required columns get a value of their type, foreign keys
 * a parent of the same owner, and what a check refuses is tried again in another form. So a table
 * that somebody adds tomorrow is covered without a line written for it.
 */
export class RowMaker {
  #made = new Map<string, Promise<Row>>();
  /** Tables that hold one row, or one per owner, and have it already. */
  #full = new Set<string>();
  #n = 0;

  constructor(readonly db: SqlExecutor, readonly shapes: Map<string, TableShape>) {}

  /** The owner's row of a table; made the first time. */
  rowOf(table: string, owner: string): Promise<Row> {
    const key = `${table} ${owner}`;
    let row = this.#made.get(key);
    if (row === undefined) this.#made.set(key, row = this.make(table, owner));
    return row;
  }

  /**
   * Makes one more row.
   * @throws when the catalog does not tell how: the table is then not covered, and that is an error.
   */
  async make(table: string, owner: string): Promise<Row> {
    const draft = await this.draft(table, owner);
    if (!this.#full.has(`${table} ${owner}`)) return await this.insert(table, draft);
    const where = this.#ofOwner(this.shapes.get(table)!, owner);
    const [row] = await this.db.query(
      `select to_jsonb(t)::text as row from ${table} t${where} limit 1`,
    );
    return JSON.parse(row!["row"] as string) as Row;
  }

  /** Values with which an insert succeeds as superuser; nothing stays behind. */
  async draft(table: string, owner: string): Promise<Row> {
    const shape = this.shapes.get(table)!;
    const tries = new Map<string, number>();
    const wanted = new Set<string>();
    let last: unknown;
    for (let attempt = 0; attempt < 80; attempt++) {
      const row = await this.#values(shape, owner, tries, wanted);
      await this.db.exec("savepoint draft");
      try {
        if (this.#full.has(`${table} ${owner}`)) {
          await this.db.exec(`delete from ${table}${this.#ofOwner(shape, owner)}`);
        }
        await this.insert(table, row);
        return row;
      } catch (error) {
        last = error;
        const { code } = error as { code?: string };
        if (code === "23505" && !this.#full.has(`${table} ${owner}`)) {
          this.#full.add(`${table} ${owner}`);
          continue;
        }
        const fields = error as Record<string, string | undefined>;
        const columns = code === "23502"
          ? [fields["column"] ?? fields["column_name"] ?? ""]
          : shape.checks[fields["constraint"] ?? fields["constraint_name"] ?? ""] ?? [];
        if (columns.length === 0) break;
        // one more of the columns it speaks of; when all are there, other values for them
        const absent = columns.find((column) => !(column in row));
        if (absent !== undefined) wanted.add(absent);
        else columns.forEach((column) => tries.set(column, (tries.get(column) ?? 0) + 1));
      } finally {
        await this.db.exec("rollback to savepoint draft");
      }
    }
    throw new Error(`no row can be made for ${table}: ${(last as Error).message}`, { cause: last });
  }

  /** Inserts a row and returns it as stored. */
  async insert(table: string, row: Row): Promise<Row> {
    const [stored] = await this.db.query(
      `${insertStatement(table, row)} returning to_jsonb(${table.split(".")[1]}.*)::text as row`,
      [JSON.stringify(row)],
    );
    if (stored === undefined) throw new Error(`${table}: the insert was swallowed by a trigger`);
    return JSON.parse(stored["row"] as string) as Row;
  }

  #ofOwner(shape: TableShape, owner: string): string {
    const own = ownerColumn(shape);
    return own === undefined ? "" : ` where "${own}" = '${owner}'`;
  }

  async #values(
    shape: TableShape,
    owner: string,
    tries: Map<string, number>,
    wanted: Set<string>,
  ): Promise<Row> {
    const row: Row = await COMPOSED[shape.name]?.(this, owner) ?? {};
    const own = ownerColumn(shape);
    if (own !== undefined) row[own] = owner;
    for (const column of shape.columns) {
      if (column.name in row || column.isComputed) continue;
      const key = shape.foreignKeys.find((each) => each.columns.includes(column.name));
      const isNeeded = column.isRequired && (!column.hasDefault || key !== undefined);
      if (!wanted.has(column.name) && !isNeeded) continue;
      if (key !== undefined && key.to !== shape.name) {
        if (key.to === "auth.users" || key.to === "public.profiles") row[column.name] = owner;
        else {
          const parent = await this.rowOf(key.to, owner);
          key.columns.forEach((name, i) => row[name] ??= parent[key.toColumns[i]!]);
        }
      } else row[column.name] = sample(column, tries.get(column.name) ?? 0, ++this.#n);
    }
    // an empty row still needs a column to name
    if (Object.keys(row).length === 0) {
      const column = shape.columns.find((each) => !each.isComputed)!;
      row[column.name] = sample(column, 0, ++this.#n);
    }
    return row;
  }
}

/** `insert` of the named columns, their values taken from `$1`, a JSON object. */
export function insertStatement(table: string, row: Row): string {
  const columns = Object.keys(row).map((name) => `"${name}"`).join(", ");
  return `insert into ${table} (${columns})
    select ${columns} from jsonb_populate_record(null::${table}, $1::text::jsonb)`;
}

function sample(column: Column, attempt: number, n: number): unknown {
  const pick = <T>(values: T[]) => values[attempt % values.length]!;
  if (column.enumLabels !== null) return pick(column.enumLabels);
  if (column.type.endsWith("[]")) return pick<unknown[]>([[], ["x"]]);
  const [, kind, size] = /^(?:extensions\.)?(vector|halfvec|bit)\((\d+)\)$/.exec(column.type) ?? [];
  if (kind === "bit") return "01".repeat(Number(size)).slice(0, Number(size));
  if (kind !== undefined) return JSON.stringify(Array.from({ length: Number(size) }, () => 0.5));
  switch (column.type) {
    case "uuid":
      return crypto.randomUUID();
    case "boolean":
      return pick([true, false]);
    case "jsonb":
    case "json":
      return pick<unknown>([{}, [], "x", 1]);
    case "bytea":
      return `\\x${"ab".repeat(pick([32, 16, 12, 64]))}`;
    case "date":
      return "2026-11-21";
    case "interval":
      return "1 hour";
    case "timestamp with time zone":
    case "timestamp without time zone":
      return "2026-11-21T00:00:00Z";
    case "text":
    case "name":
      return pick([...column.words, ...TEXTS(n)]);
    default:
      return pick([n, 1, 0]); // numbers
  }
}
