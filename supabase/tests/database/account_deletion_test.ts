/** Deleting an account deletes everything of it and nothing of anybody else's. */

import assert from "node:assert/strict";
import { RowMaker } from "../support/make_row.ts";
import { ownerColumn, tableShapes } from "../support/table_shape.ts";
import { makePeople } from "../support/tenant_matrix.ts";
import { openTestDatabase } from "../support/test_database.ts";

/** Rows of the house, which only lose the name of whoever they were assigned to. */
const OF_THE_HOUSE = new Set(["public.leads"]);

Deno.test({
  name:
    "deleting an account deletes its rows in every table, and leaves everybody else's as they were",
  sanitizeResources: false,
  sanitizeOps: false,
}, async () => {
  const { db, close } = await openTestDatabase();
  try {
    await db.exec("begin");
    const shapes = await tableShapes(db);
    const rows = new RowMaker(db, shapes);
    const { victim: leaver, attackers } = await makePeople(db);
    const stayer = attackers.find(({ name }) => name === "another user")!.id!;
    for (const table of shapes.keys()) {
      await rows.rowOf(table, leaver);
      await rows.rowOf(table, stayer);
    }
    const contents = async () => {
      const found = new Map<string, string[]>();
      for (const table of shapes.keys()) {
        const all = await db.query(`select to_jsonb(t)::text as row from ${table} t order by 1`);
        found.set(table, all.map((row) => row["row"] as string));
      }
      return found;
    };
    const before = await contents();
    await db.query("delete from auth.users where id = $1", [leaver]);
    const after = await contents();

    let tables = 0;
    for (const [table, shape] of shapes) {
      const left = after.get(table)!;
      if (ownerColumn(shape) !== undefined) tables++;
      assert.deepEqual(
        left.filter((row) => row.includes(leaver)),
        [],
        `${table} still names the account`,
      );
      const others = before.get(table)!.filter((row) => row.includes(stayer));
      assert.deepEqual(
        left.filter((row) => row.includes(stayer)),
        others,
        `${table} lost somebody else's row`,
      );
      if (OF_THE_HOUSE.has(table)) {
        assert.equal(left.length, before.get(table)!.length, `${table} is the house's`);
      }
    }
    assert.ok(tables >= 20, `only ${tables} tables have an owner`);
  } finally {
    await db.exec("rollback");
    await close();
  }
});
