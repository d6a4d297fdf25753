/**
 * What row security costs: the lists that a client asks for, under its policies, beside the same
 * question asked by a superuser who names the owner. Each list must also be read through an index,
 * with who is asking found out once (an InitPlan) and not once per row.
 */

import { RowMaker } from "../../supabase/tests/support/make_row.ts";
import { tableShapes } from "../../supabase/tests/support/table_shape.ts";
import { openTestDatabase } from "../../supabase/tests/support/test_database.ts";
import type { SqlExecutor } from "../db/executor.ts";
import type { Bench, BenchRow } from "./types.ts";

const OWNERS = 1000;
const RUNS = 100;
/** Milliseconds that a policy may add. */
const MAY_ADD_MS = 0.3;

/** A list as a client asks for it, and the owner's name as a superuser adds it. */
interface List {
  metric: string;
  table: string;
  list: string;
  owner: string;
  time: string;
}

const LISTS: List[] = [
  {
    metric: "conversations",
    table: "public.conversations",
    list: "true",
    owner: "user_id",
    time: "created_at",
  },
  {
    metric: "messages",
    table: "public.messages",
    list: "true",
    owner: "user_id",
    time: "created_at",
  },
  {
    metric: "messages_of_one",
    table: "public.messages",
    list: "conversation_id = 'c-1'",
    owner: "user_id",
    time: "created_at",
  },
  {
    metric: "events",
    table: "public.mira_behavioral_events",
    list: "true",
    owner: "user_id",
    time: "ingest_seq",
  },
  {
    metric: "tasks",
    table: "public.task_history",
    list: "true",
    owner: "user_id",
    time: "created_at",
  },
  {
    metric: "leads_on_my_desk",
    table: "public.leads",
    list: "true",
    owner: "assigned_to",
    time: "created_at",
  },
];

/** `access.<list>`: milliseconds of a list of 50 at `--rows` rows (a million on a server). */
export const bench: Bench = async ({ dbUrl, args, log }) => {
  if (dbUrl !== undefined) Deno.env.set("MIRA_TEST_DB_URL", dbUrl);
  const rows = Number(/--rows[= ](\d+)/.exec(args.join(" "))?.[1] ?? (dbUrl ? 1_000_000 : 20_000));
  const { db, close } = await openTestDatabase();
  try {
    const owners = await fill(db, rows, log);
    const measured: BenchRow[] = [];
    for (const each of LISTS) measured.push(await compareOne(db, each, owners[7]!));
    return measured;
  } finally {
    await close();
  }
};

/** Gives every table its rows, spread over the owners; returns the owners. */
async function fill(db: SqlExecutor, rows: number, log: (line: string) => void): Promise<string[]> {
  const owners = Array.from({ length: OWNERS }, () => crypto.randomUUID());
  await db.query(
    "insert into auth.users (id) select json_array_elements_text($1::text::json)::uuid",
    [
      JSON.stringify(owners),
    ],
  );
  const maker = new RowMaker(db, await tableShapes(db));
  await db.exec("create table public.bench_owners (place int primary key, id uuid)");
  await db.query(
    `insert into public.bench_owners select n - 1, id::uuid
     from json_array_elements_text($1::text::json) with ordinality e (id, n)`,
    [JSON.stringify(owners)],
  );
  for (const table of new Set(LISTS.map((each) => each.table))) {
    await db.exec("begin");
    const draft = await maker.draft(table, owners[0]!);
    // policies and plans are measured, not triggers and keys
    await db.exec("set local session_replication_role = replica");
    const own: Record<string, string> = {
      id: "gen_random_uuid()",
      created_at: "now() - i * interval '1 second'",
      conversation_id: table.endsWith(".messages") ? "'c-' || i / 1000 % 20" : "'c-' || i",
      ingest_seq: "i",
      [table === "public.leads" ? "assigned_to" : "user_id"]: "o.id",
    };
    const shape = maker.shapes.get(table)!.columns.filter((column) => !column.isComputed);
    const columns = shape.map((column) => column.name).filter((name) =>
      name in draft || name in own
    );
    await db.query(
      `with base as (select r.* from jsonb_populate_record(null::${table}, $1::text::jsonb) r)
       insert into ${table} (${columns.join(", ")})
       select ${columns.map((name) => own[name] ?? `base.${name}`).join(", ")}
       from base, generate_series(1, ${rows}) i join public.bench_owners o on o.place = i % ${OWNERS}`,
      [JSON.stringify(draft)],
    );
    await db.exec("commit");
    await db.exec(`vacuum analyze ${table}`);
    log(`${table}: ${rows.toLocaleString("en")} rows`);
  }
  return owners;
}

async function compareOne(
  db: SqlExecutor,
  { metric, table, list, owner, time }: List,
  user: string,
): Promise<BenchRow> {
  const tail = `order by ${time} desc limit 50`;
  const asked = `select * from ${table} where ${list} ${tail}`;
  const named = `select * from ${table} where ${list} and ${owner} = '${user}' ${tail}`;
  const as = async (role: string) => {
    await db.exec(`set role ${role}`);
    await db.query(
      "select set_config('request.jwt.claims', $1, false), set_config('request.jwt.claim.sub', $2, false)",
      [JSON.stringify({ sub: user, role: "authenticated" }), user],
    );
  };
  const time1 = async (sql: string) => {
    const started = performance.now();
    const found = await db.query(sql);
    if (found.length === 0) throw new Error(`${metric}: no rows`);
    return performance.now() - started;
  };
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await as("authenticated");
    ours.push(await time1(asked));
    await db.exec("reset role");
    theirs.push(await time1(named));
  }
  await as("authenticated");
  const plan = (await db.query(`explain ${asked}`)).map((row) => Object.values(row)[0]).join("\n");
  await db.exec("reset role");
  const byIndex = /Index (Only )?Scan|Bitmap Index Scan/.test(plan) && !/Seq Scan/.test(plan);
  const askedOnce = /InitPlan/.test(plan);
  const [mine, superusers] = [median(ours), median(theirs)];
  return {
    metric: `access.${metric}`,
    ours: mine,
    baseline: "superuser naming the owner",
    baseline_value: superusers,
    ratio: superusers / mine,
    unit: "ms",
    goal: `at most ${MAY_ADD_MS} ms more, by index (${byIndex ? "yes" : "NO"}), asked once (${
      askedOnce ? "yes" : "NO"
    })`,
    pass: mine - superusers <= MAY_ADD_MS && byIndex && askedOnce,
  };
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
