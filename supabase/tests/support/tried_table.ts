import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import type { Row, RowMaker } from "./make_row.ts";
import { ownerColumn, parentKey, type TableShape } from "./table_shape.ts";
import type { Attacker, Cell } from "./tenant_matrix.ts";

/** Errors that are access control: no grant, no policy, a composite key, or a function's own word. */
const REFUSALS = /^(42501|23503|PT40[134]|P0002)$/;

/** How an attempt ended. */
export type Outcome = Pick<Cell, "outcome" | "detail">;

/** The victim's row in one table; single attempts on it, and what each came to. */
export class TriedTable {
  constructor(
    readonly db: SqlExecutor,
    readonly rows: RowMaker,
    readonly shape: TableShape,
    readonly row: Row,
    readonly victim: string,
  ) {}

  /** What the victim has in this table; everything tried is taken back, so it never changes. */
  protected untouched = "";

  protected async mayUpdate(attacker: Attacker): Promise<boolean> {
    const [row] = await this.db.query(
      "select has_any_column_privilege($1, $2, 'update') as may",
      [attacker.role, this.shape.name],
    );
    return row!["may"] as boolean;
  }

  /**
   * Runs one statement as the attacker and looks whether anything of the victim's was touched; or,
   * with `whole`, anything in the table. It asks for nothing back: what a statement returns must pass
   * the select policy as well, and would hide a hole in the policy it is about.
   */
  protected async attempt(
    attacker: Attacker,
    sql: string,
    row?: Row,
    whole = false,
  ): Promise<Outcome> {
    const before = whole ? await this.state(true) : this.untouched;
    return await this.as(attacker, async () => {
      await this.db.query(sql, row === undefined ? [] : [JSON.stringify(row)]);
      await this.db.exec("reset role");
      return await this.state(whole) === before ? nothing : leak(sql);
    });
  }

  /** Everything of the victim's in this table, or everything; also an update to the same values shows. */
  protected async state(whole = false): Promise<string> {
    const own = ownerColumn(this.shape);
    const key = parentKey(this.shape);
    let where = this.key(this.row);
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

  protected async as(attacker: Attacker, work: () => Promise<Outcome>): Promise<Outcome> {
    await this.db.exec("savepoint attack");
    try {
      await this.become(attacker);
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

  protected async become(attacker: Attacker): Promise<void> {
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
  protected async allowed(
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

  protected assignable(): string[] {
    return this.shape.columns.filter((column) => !column.isComputed).map((column) => column.name);
  }

  protected key(row: Row): string {
    const columns = this.shape.primaryKey.length > 0 ? this.shape.primaryKey : [];
    if (columns.length === 0) throw new Error(`${this.shape.name} has no primary key`);
    return columns.map((name) => `"${name}"::text = '${row[name]}'`).join(" and ");
  }
}

/** An attempt that reached nothing. */
export const nothing: Outcome = { outcome: "no effect", detail: "" };

/** An attempt that got through. */
export function leak(detail: string): Outcome {
  return { outcome: "LEAK", detail };
}

/** The outcome that says most against the database. */
export function worst(outcomes: Outcome[]): Outcome {
  for (const kind of ["LEAK", "not tried", "no effect", "refused"]) {
    const found = outcomes.find((each) => each.outcome === kind);
    if (found !== undefined) return found;
  }
  return { outcome: "not tried", detail: "nothing to try" };
}
