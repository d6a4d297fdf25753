/**
 * What row security costs. Every list of every table that signed-in people may select, read off the
 * catalog: as a client asks for it under the policies, beside the same question asked by a superuser
 * with the policy's condition and the caller's name written out. Each must read no row beyond its
 * page, through an index, and find out once (an InitPlan) who is asking.
 *
 * One table at a time is filled and emptied again, so a table that comes tomorrow is measured without
 * a line written for it.
 */

import { openTestDatabase } from "../../supabase/tests/support/test_database.ts";
import type { SqlExecutor } from "../db/executor.ts";
import { Filler } from "./access/fill.ts";
import { asksWho, type List, named, PAGE, readLists, viewLists } from "./access/lists.ts";
import { readPlan } from "./access/plan.ts";
import { median } from "./quantile.ts";
import type { Bench, BenchRow } from "./types.ts";

const RUNS = 150;
/** Milliseconds that a policy may add. */
const MAY_ADD_MS = 0.3;

/**
 * `access.<list>`: milliseconds of a list of 50 at `--rows` rows (a million on a server, of a
 * thousand owners). `--table NAME` measures one table.
 */
export const bench: Bench = async ({ dbUrl, args, log }) => {
  if (dbUrl !== undefined) Deno.env.set("MIRA_TEST_DB_URL", dbUrl);
  const given = args.join(" ");
  const rows = Number(/--rows[= ](\d+)/.exec(given)?.[1] ?? (dbUrl ? 1_000_000 : 20_000));
  const only = /--table[= ](\w+)/.exec(given)?.[1];
  const { db, close } = await openTestDatabase();
  try {
    const lists = await readLists(db);
    const filler = await Filler.open(db, Math.min(1000, rows / 200));
    const measured: BenchRow[] = [];
    for (const table of new Set(lists.map((list) => list.table))) {
      if (only !== undefined && table !== `public.${only}`) continue;
      const own = lists.filter((list) => list.table === table);
      const started = performance.now();
      await filler.fill(
        table,
        rows,
        own.flatMap((list) => list.of ?? []),
        own.flatMap((list) => list.order ?? []),
      );
      const filled = performance.now() - started;
      for (const list of own) {
        measured.push(await compare(db, list, filler.owners[7]!));
        for (const view of await viewLists(db, list)) {
          measured.push(await compare(db, view, filler.owners[7]!, list));
        }
      }
      if (table === "public.leads") {
        measured.push(await compareHouse(db, filler.owners[3]!));
      }
      await filler.empty(table);
      log(`${table}: ${rows.toLocaleString("en")} rows in ${(filled / 1000).toFixed(1)} s`);
    }
    return measured;
  } finally {
    await close();
  }
};

/** Measures one list; a view's beside its `table`'s. */
async function compare(
  db: SqlExecutor,
  list: List,
  user: string,
  table: List = list,
): Promise<BenchRow> {
  const where: string[] = [];
  if (list.of !== null) {
    const [row] = await db.query(
      `select ${list.of}::text as one from ${table.table} where ${named(table, user)} limit 1`,
    );
    where.push(`${list.of} = '${row!["one"]}'`);
  }
  const select = `select ${list.columns.join(", ")} from ${list.table}`;
  const order = `order by ${list.order} desc${list.nullsLast ? " nulls last" : ""}`;
  const tail = `${list.order === null ? "" : ` ${order}`} limit ${PAGE}`;
  const ask = (conditions: string[]) =>
    select + (conditions.length > 0 ? ` where ${conditions.join(" and ")}` : "") + tail;
  const ownName = list === table
    ? named(list, user)
    : `${list.columns.includes("user_id") ? "user_id" : "id"} = '${user}'`;
  const asked = ask(where);
  const { ours, theirs, added } = await race(db, user, asked, ask([...where, ownName]));
  await become(db, user);
  const plan = await readPlan(db, asked);
  await db.exec("reset role");
  const once = !asksWho(list) || plan.initPlans > 0;
  // what keeps no time is listed in no order, and an index may be read as a bitmap of all that is one's own
  const isBounded = plan.isByIndex && (plan.mostRows <= PAGE || list.order === null);
  return {
    metric: `access.${list.name}`,
    ours,
    baseline: "superuser naming the owner",
    baseline_value: theirs,
    ratio: theirs / ours,
    unit: "ms",
    goal:
      `adds ${added.toFixed(3)} ms of ${MAY_ADD_MS}, by index (${
        plan.isByIndex ? "yes" : "NO"
      }), reads ` +
      `${plan.mostRows} rows for ${PAGE}, asked once (${once ? "yes" : "NO"})`,
    pass: added <= MAY_ADD_MS && isBounded && once,
  };
}

/** The administrators' list of all leads, which is a function, beside the same rows of the table. */
async function compareHouse(db: SqlExecutor, admin: string): Promise<BenchRow> {
  await db.query("insert into private.admins (user_id) values ($1)", [admin]);
  const { ours, theirs, added } = await race(
    db,
    admin,
    "select * from public.get_leads_filtered()",
    `select * from public.leads where created_at > '-infinity' order by created_at desc, id desc limit ${PAGE}`,
  );
  return {
    metric: "access.get_leads_filtered",
    ours,
    baseline: "superuser on the table",
    baseline_value: theirs,
    ratio: theirs / ours,
    unit: "ms",
    goal: `adds ${added.toFixed(3)} ms of 1: a function that is planned for its filters`,
    pass: added <= 1,
  };
}

/** Medians of two questions asked in turn: by the user under the policies, and by the superuser. */
async function race(db: SqlExecutor, user: string, asked: string, named: string) {
  const timed = async (sql: string) => {
    const started = performance.now();
    const found = await db.query(sql);
    if (found.length === 0) throw new Error(`no rows: ${sql}`);
    return performance.now() - started;
  };
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await become(db, user);
    ours.push(await timed(asked));
    await db.exec("reset role");
    theirs.push(await timed(named));
  }
  // in pairs, so that whatever else the machine does falls on both
  const added = median(ours.map((ms, run) => ms - theirs[run]!));
  return { ours: median(ours), theirs: median(theirs), added };
}

async function become(db: SqlExecutor, user: string): Promise<void> {
  await db.exec("set role authenticated");
  await db.query(
    "select set_config('request.jwt.claims', $1, false), set_config('request.jwt.claim.sub', $2, false)",
    [JSON.stringify({ sub: user, role: "authenticated" }), user],
  );
}
