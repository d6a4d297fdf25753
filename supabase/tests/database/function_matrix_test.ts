/**
 * Functions that people may call act for the caller alone: naming somebody else is refused, and
 * handing in the id of somebody else's row neither shows nor changes it.
 */

import assert from "node:assert/strict";
import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { RowMaker } from "../support/make_row.ts";
import { tableShapes } from "../support/table_shape.ts";
import { type Attacker, makePeople } from "../support/tenant_matrix.ts";
import { openTestDatabase } from "../support/test_database.ts";

interface Callable {
  name: string;
  /** Argument names and types, those without a default first. */
  args: { name: string; type: string; isRequired: boolean }[];
}

const CALLABLE = `
  select p.oid::regproc::text as name, (
    select coalesce(json_agg(json_build_object('name', p.proargnames[i], 'type', format_type(t, null),
      'isRequired', i <= p.pronargs - p.pronargdefaults) order by i), '[]')
    from unnest(p.proargtypes::oid[]) with ordinality a (t, i)) as args
  from pg_proc p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.prorettype <> 'trigger'::regtype
    and has_function_privilege('authenticated', p.oid, 'execute')`;

Deno.test({
  name: "no function shows or changes another person's rows, whatever ids it is given",
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const { db, close } = await openTestDatabase();
  try {
    await db.exec("begin");
    const shapes = await tableShapes(db);
    const rows = new RowMaker(db, shapes);
    const { victim, attackers } = await makePeople(db);
    const ids = new Set<string>();
    for (const table of shapes.keys()) {
      const { id } = await rows.rowOf(table, victim);
      // ids of rows; an answer with the account's id in it is then always a leak
      if (typeof id === "string" && id.length === 36 && id !== victim) ids.add(id);
    }
    const state = () => everything(db, [...shapes.keys()], victim);
    const before = await state();
    const functions = await db.query(CALLABLE) as unknown as Callable[];
    assert.ok(functions.length >= 20, `only ${functions.length} functions`);

    let calls = 0;
    for (const attacker of attackers.filter(({ name }) => /another user|no sub/.test(name))) {
      for (const each of functions) {
        await db.exec("savepoint whole");
        for (const given of combinations(each, victim, ids)) {
          const said = await call(db, attacker, each, given);
          calls++;
          if (said === undefined) continue; // refused
          const tells = `${each.name}(${JSON.stringify(given)}) as ${attacker.name}`;
          if (given["p_user_id"] === victim) assert.fail(`${tells} was not refused`);
          assert.ok(!said.includes(victim), `${tells} shows ${said}`);
        }
        assert.equal(await state(), before, `${each.name} changed something as ${attacker.name}`);
        await db.exec("rollback to savepoint whole");
      }
    }
    assert.ok(calls >= 300, `only ${calls} calls`);
  } finally {
    await db.exec("rollback");
    await close();
  }
});

/** The victim by name; then each of the victim's ids in every place that takes one. */
function* combinations(each: Callable, victim: string, ids: Set<string>) {
  const required = Object.fromEntries(
    each.args.filter((arg) => arg.isRequired).map((arg) => [arg.name, sample(arg)]),
  );
  if (each.args.some((arg) => arg.name === "p_user_id")) yield { ...required, p_user_id: victim };
  const takers = each.args.filter((arg) => arg.type === "uuid" && arg.name !== "p_user_id");
  // a required user is the caller's business alone
  if (takers.length === 0 || "p_user_id" in required) return;
  for (const id of ids) {
    yield { ...required, ...Object.fromEntries(takers.map((arg) => [arg.name, id])) };
  }
}

function sample({ name, type }: Callable["args"][number]): string {
  if (type === "uuid") return crypto.randomUUID();
  if (type === "jsonb") return name.endsWith("s") ? "[]" : "{}";
  if (type.endsWith("[]")) return "{}";
  if (type.includes("vector")) return JSON.stringify(Array.from({ length: 1536 }, () => 0.5));
  if (/int|numeric|double/.test(type)) return "1";
  if (type === "boolean") return "true";
  if (/timestamp/.test(type)) return "2026-11-21T00:00:00Z";
  return "completed";
}

/** What the function answers, as text; undefined when it refuses. */
async function call(
  db: SqlExecutor,
  attacker: Attacker,
  each: Callable,
  given: Record<string, string>,
): Promise<string | undefined> {
  const names = Object.keys(given);
  const list = names.map((name, i) => {
    const { type } = each.args.find((arg) => arg.name === name)!;
    return `${name} => $${i + 1}::text::${type}`;
  });
  await db.exec("savepoint call");
  try {
    await db.query(
      "select set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim.sub', $2, true)",
      [JSON.stringify(attacker.claims), attacker.claims["sub"] ?? ""],
    );
    await db.exec(`set local role ${attacker.role}`);
    const answer = await db.query(
      `select to_jsonb(r)::text as said from ${each.name}(${list.join(", ")}) r`,
      names.map((name) => given[name]),
    );
    await db.exec("reset role");
    await db.exec("release savepoint call");
    return answer.map((row) => row["said"] ?? "").join("\n");
  } catch {
    await db.exec("rollback to savepoint call");
    return undefined;
  }
}

async function everything(db: SqlExecutor, tables: string[], victim: string): Promise<string> {
  const parts = tables.map((table) =>
    `select '${table}' || to_jsonb(t)::text as row from ${table} t where to_jsonb(t)::text like $1`
  );
  const [row] = await db.query(
    `select md5(string_agg(row, ',' order by row)) as state from (${parts.join(" union all ")}) x`,
    [`%${victim}%`],
  );
  return row!["state"] as string;
}
