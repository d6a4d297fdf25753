/**
 * Recall while the ground moves: many writers, bulk loads, a change of model, churn without vacuum,
 * a database that cancels. Needs a real server: MIRA_TEST_DB_URL.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import postgres from "postgres";
import { startStack, type TestStack, type TestUser } from "../support/stack.ts";

const SERVER = Deno.env.get("MIRA_TEST_DB_URL");
const ignore = SERVER === undefined;
const PATH = "/functions/v1/find-patterns";

// a made-up embedding: some direction of its own, leaning towards a common one
const HELPERS = `
  create or replace function pg_temp.v(k int) returns extensions.vector language sql as $$
    select array_agg((sin(i * 0.7) + (hashint8extended((k::bigint << 20) + i, 7) % 2001) / 1000.0)::real order by i)::extensions.vector
    from generate_series(1, 1536) i $$;
  -- one of forty themes, said in a way of its own
  create or replace function pg_temp.themed(k int) returns extensions.vector language sql as $$
    select array_agg((hashint8extended((k % 40::bigint << 20) + i, 5) % 2001 / 1000.0
      + hashint8extended((k::bigint << 20) + i, 7) % 2001 / 2000.0)::real order by i)::extensions.vector
    from generate_series(1, 1536) i $$;
`;

async function withStack(
  work: (stack: TestStack, sql: ReturnType<typeof postgres>) => Promise<void>,
): Promise<void> {
  const stack = await startStack();
  const sql = postgres(stack.dbUrl!, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(HELPERS);
    await work(stack, sql);
  } finally {
    await sql.end();
    await stack.close();
  }
}

const insertRows = (
  sql: ReturnType<typeof postgres>,
  user: string,
  from: number,
  to: number,
  vector = "v",
) =>
  sql`
    insert into behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
    select ${user}, 'row ' || k, 'success', pg_temp.${
    sql(vector)
  }(k), 'made-up' from generate_series(${from}::int, ${to}::int) k`;

/** Searches for a planted row as long as something goes on, and finds it each time; says how often. */
async function searchWhile(
  goesOn: () => boolean,
  user: TestUser,
  planted: Record<string, unknown>,
): Promise<number> {
  let searches = 0;
  for (; goesOn(); searches++) {
    const { data, error } = await user.client.rpc("find_similar_patterns", {
      query_embedding: planted["embedding"],
      match_threshold: 0.9,
    });
    equal(error, null);
    equal(data[0]?.id, planted["id"]);
  }
  return searches;
}

Deno.test({
  name: "64 at once record the same procedure: one row with 64 counted",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      const answers = await Promise.all(Array.from({ length: 64 }, async () => {
        const response = await stack.fetch(`${PATH}/record`, {
          as: user,
          json: {
            trigger: "Deploy the API to staging",
            actions: [{ tool: "Read" }, { tool: "Bash" }],
            final_outcome: "success",
          },
        });
        return { status: response.status, body: await response.json() };
      }));
      deepEqual([...new Set(answers.map((answer) => answer.status))], [201]);
      equal(answers.filter((answer) => !answer.body.merged).length, 1);
      const rows = await sql`
        select use_count, success_count from behavior_patterns where user_id = ${user.id}`;
      deepEqual([...rows], [{ use_count: 64, success_count: 64 }]);
    }),
});

Deno.test({
  name: "searches during a bulk insert always find what was there before",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      await insertRows(sql, user.id, 1, 200);
      const [planted] = await sql`
        select id, trigger_embedding::text as embedding from behavior_patterns where trigger = 'row 77'`;
      let loading = true;
      const load = (async () => {
        for (let at = 1000; at < 4000; at += 500) await insertRows(sql, user.id, at, at + 499);
        loading = false;
      })();
      const searches = await searchWhile(() => loading, user, planted!);
      await load;
      ok(searches >= 5, `${searches} searches`);
      const facts = (await stack.service.rpc("mira_check_recall", { p_user_id: user.id })).data;
      ok(facts.every((fact: { is_good: boolean }) => fact.is_good), JSON.stringify(facts));
    }),
});

Deno.test({
  name:
    "searches while a model is replaced are never empty, and two jobs do not disturb each other",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      await insertRows(sql, user.id, 1, 300);
      const [planted] = await sql`
        select id, trigger_embedding::text as embedding from behavior_patterns where trigger = 'row 77'`;
      let moving = true;
      const job = async () => {
        for (let turn = 0; turn < 500; turn++) {
          const { data: work } = await stack.service.rpc("mira_embedding_work", {
            p_model: "made-up-2",
            p_limit: 20,
            p_lease_seconds: 5,
          });
          if (work.state === "idle") return;
          if (work.items.length === 0) continue;
          // the same vectors under another name: what is found must not change
          const vectors = await stack.sql(
            "select id, trigger_embedding::text as embedding from behavior_patterns where id = any($1)",
            [`{${work.items.map((item: { id: string }) => item.id).join(",")}}`],
          );
          const of = new Map(vectors.map((row) => [row.id, row.embedding]));
          const { error } = await stack.service.rpc("mira_put_embeddings", {
            p_model: "made-up-2",
            p_items: work.items.map((item: { id: string }) => ({
              ...item,
              embedding: of.get(item.id),
            })),
          });
          equal(error, null);
        }
        ok(false, "the move did not end");
      };
      const jobs = Promise.all([job(), job()]).then(() => moving = false);
      let searches = 0;
      while (moving) {
        const { data, error } = await user.client.rpc("find_similar_patterns", {
          query_embedding: planted!["embedding"],
          match_threshold: 0.9,
        });
        equal(error, null);
        equal(data[0]?.id, planted!["id"]);
        searches++;
      }
      await jobs;
      ok(searches >= 5, `${searches} searches`);
      equal((await stack.service.rpc("mira_answering_model")).data, "made-up-2");
      const left = await sql`
        select count(*) filter (where embedding_model <> 'made-up-2')::int as old, count(*)::int as rows
        from behavior_patterns where user_id = ${user.id}`;
      deepEqual([...left], [{ old: 0, rows: 300 }]);
    }),
});

Deno.test({
  name:
    "searches while a large user's rows are filed in cells, changed and added find what is there",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      await insertRows(sql, user.id, 1, 1200, "themed");
      const [planted] = await sql`
        select id, trigger_embedding::text as embedding from behavior_patterns where trigger = 'row 77'`;
      let writing = true;
      const tender = async () => {
        const job = postgres(stack.dbUrl!, { max: 1, onnotice: () => {} });
        let worked = 0;
        while (writing) {
          // two at a time: one of them must find the work taken
          const [row] = await job`select private.tend_recall_cells(100, 500) as worked`;
          worked += row!["worked"];
        }
        await job.end();
        return worked;
      };
      const jobs = Promise.all([tender(), tender()]);
      const writer = (async () => {
        for (let round = 1; round <= 12; round++) {
          await sql`update behavior_patterns set trigger_embedding = pg_temp.themed(${
            round * 10_000
          }::int + right(trigger, 3)::int) where trigger ~ ${`[0-9]${round % 10}[0-9]$`}
            and trigger <> 'row 77'`;
          await insertRows(sql, user.id, 1200 + round * 150, 1349 + round * 150, "themed");
        }
        writing = false;
      })();
      const searches = await searchWhile(() => writing, user, planted!);
      await writer;
      const worked = (await jobs).reduce((sum, n) => sum + n, 0);
      ok(searches >= 5 && worked >= 1200, `${searches} searches, ${worked} rows worked on`);
      const [filed] = await sql`
        select count(*)::int as rows from private.recall_vectors where user_id = ${user.id} and cell <> 0`;
      ok(filed!["rows"] > 500, `${filed!["rows"]} rows filed`);
      const facts = (await stack.service.rpc("mira_check_recall", { p_user_id: user.id })).data;
      ok(facts.every((fact: { is_good: boolean }) => fact.is_good), JSON.stringify(facts));
    }),
});

Deno.test({
  name: "churn that was never vacuumed changes nothing about what is found",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      await sql.unsafe(`
        alter table private.recall_vectors set (autovacuum_enabled = off);
        alter table behavior_patterns set (autovacuum_enabled = off)`);
      await insertRows(sql, user.id, 1, 500);
      for (let round = 1; round <= 3; round++) {
        await sql`update behavior_patterns set trigger_embedding = pg_temp.v(${
          round * 1000
        }::int + length(trigger) * 37 + use_count),
          use_count = use_count + 1 where hashtext(id::text) % 3 = ${round - 1}`;
        await sql`delete from behavior_patterns where hashtext(id::text) % 11 = ${round}`;
        await insertRows(sql, user.id, round * 10_000, round * 10_000 + 99);
      }
      const facts = (await stack.service.rpc("mira_check_recall", {
        p_user_id: user.id,
        p_sample: 100,
      })).data;
      for (const fact of facts) ok(fact.is_good, JSON.stringify(fact));
      ok(facts.find((fact: { fact: string }) => fact.fact === "recall_at_10").value >= 0.998);
    }),
});

Deno.test({
  name: "a search the database cancels, as a statement time-out does, is a 503 that may be retried",
  ignore,
  fn: () =>
    withStack(async (stack, sql) => {
      const user = await stack.newUser();
      const ask = () =>
        stack.fetch(PATH, { as: user, json: { embedding: [1, 2, 3], threshold: 0 } });
      equal((await ask()).status, 200);
      const killer = postgres(stack.dbUrl!, { max: 1, onnotice: () => {} });
      const response = await sql.begin(async (tx) => {
        await tx`lock table private.recall_vectors in access exclusive mode`;
        const asked = ask();
        let cancelled = 0;
        while (cancelled === 0) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          const rows = await killer`
            select pg_cancel_backend(pid) from pg_stat_activity
            where wait_event_type = 'Lock' and datname = current_database()`;
          cancelled = rows.length;
        }
        return await asked;
      });
      await killer.end();
      equal(response.status, 503);
      const problem = await response.json();
      equal(problem.code, "database_timeout");
      ok(response.headers.get("retry-after"));
      ok(response.headers.get("content-type")?.includes("problem+json"));
      equal((await ask()).status, 200);
    }),
});
