import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { RowMaker } from "./make_row.ts";
import { tableShapes } from "./table_shape.ts";
import { Target } from "./tenant_target.ts";

/** Somebody who has no business with the victim's rows. */
export interface Attacker {
  name: string;
  role: "anon" | "authenticated";
  /** The account it really has, if any. */
  id: string | null;
  claims: Record<string, unknown>;
}

/** One attempt: a verb by an attacker on a table. */
export interface Cell {
  table: string;
  verb: "select" | "insert" | "update" | "delete" | "upsert" | "transfer";
  attacker: string;
  /** `not tried`: refused for a reason that is no access control, so nothing was proven. */
  outcome: "refused" | "no effect" | "LEAK" | "not tried";
  detail: string;
}

/** Makes the victim and the attackers; call inside a transaction. */
export async function makePeople(
  db: SqlExecutor,
): Promise<{ victim: string; attackers: Attacker[] }> {
  const [victim, other, forger, guest] = [1, 2, 3, 4].map(() => crypto.randomUUID()) as [
    string,
    string,
    string,
    string,
  ];
  await db.query(
    `insert into auth.users (id, email, is_anonymous)
     select id::uuid, nullif(id, $2) || '@example.com', id = $2 from json_array_elements_text($1::text::json) id`,
    [JSON.stringify([victim, other, forger, guest]), guest],
  );
  const admin = { role: "service_role", is_admin: true, user_id: victim };
  return {
    victim,
    attackers: [
      { name: "anon", role: "anon", id: null, claims: { role: "anon" } },
      {
        name: "another user",
        role: "authenticated",
        id: other,
        claims: { sub: other, role: "authenticated" },
      },
      {
        name: "forged claims",
        role: "authenticated",
        id: forger,
        claims: {
          sub: forger,
          ...admin,
          app_metadata: admin,
          user_metadata: { ...admin, sub: victim },
        },
      },
      {
        name: "no sub",
        role: "authenticated",
        id: null,
        claims: { role: "authenticated", email: `${victim}@example.com` },
      },
      {
        name: "anonymous sign-in",
        role: "authenticated",
        id: guest,
        claims: { sub: guest, role: "authenticated", is_anonymous: true },
      },
    ],
  };
}

/**
 * Tries every verb of every attacker on every table, against one row of the victim's that was made
 * from the catalog. Must run inside a transaction that the caller rolls back.
 * @param shared tables that everybody signed in may read.
 * @param only tries these tables instead of all.
 * @throws when a row cannot be made: a table that is not tried is not safe.
 */
export async function tenantMatrix(
  db: SqlExecutor,
  shared: ReadonlySet<string>,
  only?: string[],
): Promise<Cell[]> {
  const shapes = await tableShapes(db);
  const rows = new RowMaker(db, shapes);
  const { victim, attackers } = await makePeople(db);
  const cells: Cell[] = [];
  const failures: string[] = [];
  for (const table of only ?? shapes.keys()) {
    await rows.rowOf(table, victim).catch((error) => failures.push((error as Error).message));
  }
  if (failures.length > 0) throw new Error(failures.join("\n"));
  for (const [table, shape] of shapes) {
    if (only !== undefined && !only.includes(table)) continue;
    const target = new Target(db, rows, shape, await rows.rowOf(table, victim), victim);
    for (const attacker of attackers) {
      for (const verb of ["select", "insert", "update", "delete", "upsert", "transfer"] as const) {
        if (verb === "select" && shared.has(table) && attacker.role === "authenticated") continue;
        const { outcome, detail } = await target.attack(verb, attacker);
        cells.push({ table, verb, attacker: attacker.name, outcome, detail });
      }
    }
  }
  return cells;
}
