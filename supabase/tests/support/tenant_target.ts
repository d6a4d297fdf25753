import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { insertStatement, type Row, type RowMaker } from "./make_row.ts";
import { type ForeignKey, ownerColumn, parentKey, type TableShape } from "./table_shape.ts";
import type { Attacker, Cell } from "./tenant_matrix.ts";

/** Errors that are access control: no grant, no policy, a composite key, or a function's own word. */
const REFUSALS = /^(42501|23503|PT40[134]|P0002)$/;

/** How an attempt ended. */
export type Outcome = Pick<Cell, "outcome" | "detail">;

/** The victim's row in one table, and the ways to get at it. */
export class Target {
  constructor(
    readonly db: SqlExecutor,
    readonly rows: RowMaker,
    readonly shape: TableShape,
    readonly row: Row,
    readonly victim: string,
  ) {}

  /** What the victim has in this table; everything tried is taken back, so it never changes. */
  #untouched = "";

  async attack(verb: Cell["verb"], attacker: Attacker): Promise<Outcome> {
    this.#untouched ||= await this.#state();
    switch (verb) {
      case "select":
        return await this.#read(attacker);
      case "insert":
        return await this.#insert(attacker);
      case "update":
        return worst(await this.#each(attacker, await this.#rewrites(attacker)));
      case "delete": {
        const all = `delete from ${this.shape.name}`;
        return worst([
          await this.#attempt(attacker, all),
          await this.#attempt(attacker, `${all} where ${this.#key(this.row)}`),
        ]);
      }
      case "upsert":
        return await this.#upsert(attacker);
      case "transfer":
        return await this.#transfer(attacker);
    }
  }

  async #read(attacker: Attacker): Promise<Outcome> {
    const sql = `select 1 from ${this.shape.name} where ${this.#key(this.row)}`;
    return await this.#as(
      attacker,
      async () => (await this.db.query(sql)).length > 0 ? leak("sees the row") : nothing,
    );
  }

  async #insert(attacker: Attacker): Promise<Outcome> {
    const draft = await this.rows.draft(this.shape.name, this.victim);
    const allowed = await this.#allowed(attacker, "insert", Object.keys(draft));
    const results = [
      await this.#attempt(
        attacker,
        insertStatement(this.shape.name, allowed(draft)),
        allowed(draft),
      ),
    ];
    // a child of one's own under the victim's parent
    const own = ownerColumn(this.shape);
    if (own !== undefined && attacker.id !== null && own !== "id") {
      const child: Row = { ...draft, [own]: attacker.id };
      for (const key of this.shape.foreignKeys) {
        if (key.to === "auth.users" || key.to === "public.profiles") continue;
        const parent = await this.rows.rowOf(key.to, this.victim);
        key.columns.forEach((name, i) => {
          if (name !== own && this.#assignable().includes(name)) {
            child[name] = parent[key.toColumns[i]!];
          }
        });
        const granted = (await this.#allowed(attacker, "insert", Object.keys(child)))(child);
        if (!key.columns.every((name) => name in granted || name === own)) continue;
        results.push(
          await this.#attempt(
            attacker,
            insertStatement(this.shape.name, granted),
            granted,
            !this.#keepsOwner(key),
          ),
        );
      }
    }
    return worst(results);
  }

  async #upsert(attacker: Attacker): Promise<Outcome> {
    const results: Outcome[] = [];
    const assignable = this.#assignable();
    const given = Object.fromEntries(
      Object.entries(this.row).filter(([name, value]) =>
        value !== null && assignable.includes(name)
      ),
    );
    const allowed = await this.#allowed(attacker, "insert", Object.keys(given));
    const own = ownerColumn(this.shape);
    for (const owner of new Set([this.victim, attacker.id ?? this.victim])) {
      const row = allowed({ ...given, ...(own === undefined ? {} : { [own]: owner }) });
      const updates = Object.keys((await this.#allowed(attacker, "update", Object.keys(row)))(row))
        .map((name) => `"${name}" = excluded."${name}"`).join(", ");
      const key = this.shape.primaryKey.map((name) => `"${name}"`).join(", ");
      const action = updates === "" ? "nothing" : `update set ${updates}`;
      results.push(
        await this.#attempt(
          attacker,
          `${insertStatement(this.shape.name, row)} on conflict (${key}) do ${action}`,
          row,
        ),
      );
    }
    return worst(results);
  }

  /** The victim's row to the attacker, the attacker's own row to the victim or under its parents. */
  async #transfer(attacker: Attacker): Promise<Outcome> {
    const own = ownerColumn(this.shape);
    const taken = own !== undefined && attacker.id !== null
      ? [`"${own}" = '${attacker.id}'`]
      : await this.#rewrites(attacker);
    const results = await this.#each(attacker, taken);
    // whoever may write no column of the table has said all there is to say
    if (attacker.id === null || !await this.#mayUpdate(attacker)) return worst(results);
    await this.rows.rowOf(this.shape.name, attacker.id);
    for (const key of this.shape.foreignKeys) {
      const parent: Row = key.to === "auth.users" || key.to === "public.profiles"
        ? { id: this.victim }
        : await this.rows.rowOf(key.to, this.victim);
      // no condition: one that reads the row would call in the select policy
      const set = key.columns.flatMap((name, i) =>
        name === own && key.columns.length > 1 ? [] : [`"${name}" = '${parent[key.toColumns[i]!]}'`]
      );
      const sql = `update ${this.shape.name} set ${set.join(", ")}`;
      results.push(await this.#attempt(attacker, sql, undefined, !this.#keepsOwner(key)));
    }
    return worst(results);
  }

  /** One assignment per column; one is enough where the attacker may update none. */
  async #rewrites(attacker: Attacker): Promise<string[]> {
    const all = this.#assignable().map((name) => `"${name}" = "${name}"`);
    return await this.#mayUpdate(attacker) ? all : all.slice(0, 1);
  }

  async #mayUpdate(attacker: Attacker): Promise<boolean> {
    const [row] = await this.db.query(
      "select has_any_column_privilege($1, $2, 'update') as may",
      [attacker.role, this.shape.name],
    );
    return row!["may"] as boolean;
  }

  /** True for a composite key that can only point at a parent of the row's own owner. */
  #keepsOwner(key: ForeignKey): boolean {
    const parent = this.rows.shapes.get(key.to);
    const theirs = parent === undefined ? undefined : ownerColumn(parent);
    const i = key.columns.indexOf(ownerColumn(this.shape) ?? "");
    return key.columns.length > 1 && i >= 0 && key.toColumns[i] === theirs;
  }

  /** Updates without a condition, for the same reason. */
  async #each(attacker: Attacker, assignments: string[]): Promise<Outcome[]> {
    const results: Outcome[] = [];
    for (const set of assignments) {
      results.push(await this.#attempt(attacker, `update ${this.shape.name} set ${set}`));
    }
    return results;
  }

  /**
   * Runs one statement as the attacker and looks whether anything of the victim's was touched; or,
   * with `whole`, anything in the table. It asks for nothing back: what a statement returns must pass
   * the select policy as well, and would hide a hole in the policy it is about.
   */
  async #attempt(attacker: Attacker, sql: string, row?: Row, whole = false): Promise<Outcome> {
    const before = whole ? await this.#state(true) : this.#untouched;
    return await this.#as(attacker, async () => {
      await this.db.query(sql, row === undefined ? [] : [JSON.stringify(row)]);
      await this.db.exec("reset role");
      return await this.#state(whole) === before ? nothing : leak(sql);
    });
  }

  /** Everything of the victim's in this table, or everything; also an update to the same values shows. */
  async #state(whole = false): Promise<string> {
    const own = ownerColumn(this.shape);
    const key = parentKey(this.shape);
    let where = this.#key(this.row);
    if (whole) where = "true";
    else if (own !== undefined) where = `"${own}" = '${this.victim}'`;
    else if (key !== undefined) {
      where = key.columns.map((name) => `"${name}"::text = '${this.row[name]}'`).join(" and ");
    }
    const [row] = await this.db.query(
      `select md5(coalesce(string_agg(t.ctid::text || to_jsonb(t), ',' order by t.ctid), '')) as state
       from ${this.shape.name} t where ${where}`,
    );
    return row!["state"] as string;
  }

  async #as(attacker: Attacker, work: () => Promise<Outcome>): Promise<Outcome> {
    await this.db.exec("savepoint attack");
    try {
      await this.#become(attacker);
      return await work();
    } catch (error) {
      const { code = "", message } = error as Error & { code?: string };
      return REFUSALS.test(code)
        ? { outcome: "refused", detail: message }
        : { outcome: "not tried", detail: `${code} ${message}` };
    } finally {
      await this.db.exec("rollback to savepoint attack");
    }
  }

  async #become(attacker: Attacker): Promise<void> {
    await this.db.query(
      `select set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim.sub', $2, true),
        set_config('request.jwt.claim.role', $3, true)`,
      [
        JSON.stringify(attacker.claims),
        attacker.claims["sub"] ?? "",
        attacker.claims["role"] ?? "",
      ],
    );
    await this.db.exec(`set local role ${attacker.role}`);
  }

  /** Drops the columns that the attacker has no grant for: a refusal must not be about a detail. */
  async #allowed(
    attacker: Attacker,
    verb: "insert" | "update",
    columns: string[],
  ): Promise<(row: Row) => Row> {
    const rights = await this.db.query(
      `select c from json_array_elements_text($1::text::json) c where has_column_privilege($2, $3, c, $4)`,
      [JSON.stringify(columns), attacker.role, this.shape.name, verb],
    );
    const granted = new Set(rights.map((row) => row["c"]));
    // without any grant the whole row is tried, and refused for the table
    if (granted.size === 0) return (row) => row;
    return (row) => Object.fromEntries(Object.entries(row).filter(([name]) => granted.has(name)));
  }

  #assignable(): string[] {
    return this.shape.columns.filter((column) => !column.isComputed).map((column) => column.name);
  }

  #key(row: Row): string {
    const columns = this.shape.primaryKey.length > 0 ? this.shape.primaryKey : [];
    if (columns.length === 0) throw new Error(`${this.shape.name} has no primary key`);
    return columns.map((name) => `"${name}"::text = '${row[name]}'`).join(" and ");
  }
}

const nothing: Outcome = { outcome: "no effect", detail: "" };

function leak(detail: string): Outcome {
  return { outcome: "LEAK", detail };
}

/** The outcome that says most against the database. */
function worst(outcomes: Outcome[]): Outcome {
  for (const kind of ["LEAK", "not tried", "no effect", "refused"]) {
    const found = outcomes.find((each) => each.outcome === kind);
    if (found !== undefined) return found;
  }
  return { outcome: "not tried", detail: "nothing to try" };
}
