import { insertStatement, type Row } from "./make_row.ts";
import { type ForeignKey, ownerColumn } from "./table_shape.ts";
import type { Attacker, Cell } from "./tenant_matrix.ts";
import { leak, nothing, type Outcome, TriedTable, worst } from "./tried_table.ts";

/** The verbs by which an attacker may try to get at the victim's row. */
export class Target extends TriedTable {
  async attack(verb: Cell["verb"], attacker: Attacker): Promise<Outcome> {
    this.untouched ||= await this.state();
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
          await this.attempt(attacker, all),
          await this.attempt(attacker, `${all} where ${this.key(this.row)}`),
        ]);
      }
      case "upsert":
        return await this.#upsert(attacker);
      case "transfer":
        return await this.#transfer(attacker);
    }
  }

  async #read(attacker: Attacker): Promise<Outcome> {
    const sql = `select 1 from ${this.shape.name} where ${this.key(this.row)}`;
    return await this.as(
      attacker,
      async () => (await this.db.query(sql)).length > 0 ? leak("sees the row") : nothing,
    );
  }

  async #insert(attacker: Attacker): Promise<Outcome> {
    const draft = await this.rows.draft(this.shape.name, this.victim);
    const allowed = await this.allowed(attacker, "insert", Object.keys(draft));
    const results = [
      await this.attempt(
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
          if (name !== own && this.assignable().includes(name)) {
            child[name] = parent[key.toColumns[i]!];
          }
        });
        const granted = (await this.allowed(attacker, "insert", Object.keys(child)))(child);
        if (!key.columns.every((name) => name in granted || name === own)) continue;
        results.push(
          await this.attempt(
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
    const assignable = this.assignable();
    const given = Object.fromEntries(
      Object.entries(this.row).filter(([name, value]) =>
        value !== null && assignable.includes(name)
      ),
    );
    const allowed = await this.allowed(attacker, "insert", Object.keys(given));
    const own = ownerColumn(this.shape);
    for (const owner of new Set([this.victim, attacker.id ?? this.victim])) {
      const row = allowed({ ...given, ...(own === undefined ? {} : { [own]: owner }) });
      const updates = Object.keys((await this.allowed(attacker, "update", Object.keys(row)))(row))
        .map((name) => `"${name}" = excluded."${name}"`).join(", ");
      const key = this.shape.primaryKey.map((name) => `"${name}"`).join(", ");
      const action = updates === "" ? "nothing" : `update set ${updates}`;
      results.push(
        await this.attempt(
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
    if (attacker.id === null || !await this.mayUpdate(attacker)) return worst(results);
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
      results.push(await this.attempt(attacker, sql, undefined, !this.#keepsOwner(key)));
    }
    return worst(results);
  }

  /** One assignment per column; one is enough where the attacker may update none. */
  async #rewrites(attacker: Attacker): Promise<string[]> {
    const all = this.assignable().map((name) => `"${name}" = "${name}"`);
    return await this.mayUpdate(attacker) ? all : all.slice(0, 1);
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
      results.push(await this.attempt(attacker, `update ${this.shape.name} set ${set}`));
    }
    return results;
  }
}
