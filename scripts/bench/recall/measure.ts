/** Timings inside the server, so that the client and the wire count for nobody. */

import { quantile } from "../quantile.ts";
import type { Sql } from "./database.ts";

/** One way to answer the search. */
export type Side = "mira" | "seed" | "exact" | "hnsw";

// A no-op through `bench.call` costs about 2 µs. The vector arrives as text, as the Data API sends it.
const BENCH = `
  drop schema if exists bench cascade;
  create schema bench;
  grant usage on schema bench to authenticated;
  create table bench.queries (
    id int primary key, class text not null, user_id uuid, embedding text not null, unique (class, id));
  alter table bench.queries alter embedding set storage external;
  create table bench.truth (query_id int, k int, ids uuid[], primary key (query_id, k));
  grant select on all tables in schema bench to authenticated;

  -- what nobody can beat on recall: every row of the user, full precision
  create function bench.exact(q extensions.vector, t float, k int, u uuid) returns table (id uuid, similarity float) security definer
  language plpgsql stable as $f$
  begin
    perform set_config('enable_indexscan', 'off', true);
    if u is null then
      return query select b.id, 1 - (b.trigger_embedding operator(extensions.<=>) q) from seed_001.behavior_patterns b
        where 1 - (b.trigger_embedding operator(extensions.<=>) q) >= t
        order by (b.trigger_embedding operator(extensions.<=>) q) + 0 limit k;
    else
      return query select b.id, 1 - (b.trigger_embedding operator(extensions.<=>) q) from seed_001.behavior_patterns b
        where b.user_id = u and 1 - (b.trigger_embedding operator(extensions.<=>) q) >= t
        order by (b.trigger_embedding operator(extensions.<=>) q) + 0 limit k;
    end if;
    perform set_config('enable_indexscan', 'on', true);
  end $f$;

  create function bench.call(side text, q text, t float, k int, u uuid, out ms float, out ids uuid[])
  language plpgsql as $f$
  declare
    started timestamptz := clock_timestamp();
  begin
    case side
      when 'mira' then ids := array(select f.id from public.find_similar_patterns(q::extensions.vector, t, k, u) f);
      when 'seed' then ids := array(select f.id from seed_001.find_similar_patterns(q::extensions.vector, t, k, u) f);
      when 'exact' then ids := array(select f.id from bench.exact(q::extensions.vector, t, k, u) f);
      when 'hnsw' then ids := array(select f.id from seed_hnsw.find_similar_patterns(q::extensions.vector, t, k, u) f);
    end case;
    ms := extract(epoch from clock_timestamp() - started) * 1000;
  end $f$;

  -- One busy client: n calls, 60 % small, 30 % mid, 8 % 5k, 2 % 30k; requests are fetched beforehand.
  -- Between calls it is away for .2 ms, as behind a wire, so that sessions take turns at the cores
  -- instead of holding one for a whole time slice; waiting for a core to begin is part of a call's time.
  create function bench.busy(side text, n int, seed float) returns float[]
  language plpgsql as $f$
  declare
    v float[] := '{}';
    users uuid[] := array(select user_id from bench.queries where user_id is not null order by id);
    texts text[] := array(select embedding from bench.queries where user_id is not null order by id);
    each int := cardinality(users) / 4;
    x float; i int; away timestamptz;
  begin
    perform setseed(seed);
    for turn in 1..n loop
      x := random();
      i := 1 + floor(random() * each)::int
        + each * case when x < .6 then 0 when x < .9 then 1 when x < .98 then 2 else 3 end;
      perform set_config('request.jwt.claim.sub', users[i]::text, true);
      away := clock_timestamp();
      perform pg_sleep(.0002);
      perform bench.call(side, texts[i], .7, 5, users[i]);
      v := v || extract(epoch from clock_timestamp() - away)::float * 1000 - .2;
    end loop;
    return v;
  end $f$;
  grant execute on all functions in schema bench to authenticated;
`;

/** Makes the measuring functions anew. */
export async function prepareMeasuring(sql: Sql): Promise<void> {
  await sql.unsafe(BENCH);
}

/** Latencies (ms) and recall of one side over a class of queries. */
export interface Timing {
  p50: number;
  p95: number;
  recall: number;
}

/**
 * Every side on every query of a class, interleaved, `repeats` times; a query's time is its best,
 * so that the machine's other work counts for nobody.
 */
export async function timeClass(
  sql: Sql,
  sides: Side[],
  query: { class: string; k: number; threshold: number; repeats: number },
): Promise<Map<Side, Timing>> {
  const rows = await sql<{ id: number; user_id: string | null }[]>`
    select id, user_id from bench.queries where class = ${query.class} order by id`;
  const best = new Map(sides.map((side) => [side, rows.map(() => Infinity)]));
  const found = new Map(sides.map((side) => [side, { hits: 0, wanted: 0 }]));
  for (const [at, row] of rows.entries()) {
    const [truth] = await sql<{ ids: string[] }[]>`
      select ids from bench.truth where query_id = ${row.id} and k = ${query.k}`;
    for (let r = 0; r < query.repeats; r++) {
      for (let s = 0; s < sides.length; s++) {
        const side = sides[(s + r + at) % sides.length]!;
        const [call] = await sql.begin(async (tx) => {
          await actAs(tx as unknown as Sql, row.user_id);
          return await tx<{ ms: number; ids: string[] }[]>`
            select c.ms, c.ids from bench.queries q
            cross join lateral bench.call(${side}, q.embedding, ${query.threshold}, ${query.k}, q.user_id) c
            where q.id = ${row.id}`;
        });
        const times = best.get(side)!;
        times[at] = Math.min(times[at]!, call!.ms);
        if (r === 0) {
          const hit = found.get(side)!;
          hit.wanted += truth!.ids.length;
          hit.hits += truth!.ids.filter((id) => call!.ids.includes(id)).length;
        }
      }
    }
  }
  return new Map(sides.map((side) => {
    const { hits, wanted } = found.get(side)!;
    const times = best.get(side)!;
    return [side, {
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      recall: wanted === 0 ? 1 : hits / wanted,
    }];
  }));
}

/** Pages touched by one call of a side, by the server's own count. */
export async function buffersPerCall(sql: Sql, side: Side, kind: string): Promise<number> {
  const rows = await sql<{ id: number; user_id: string | null; embedding: string }[]>`
    select id, user_id, embedding from bench.queries where class = ${kind} order by id limit 10`;
  let total = 0;
  for (const row of rows) {
    const [plan] = await sql.begin(async (tx) => {
      await actAs(tx as unknown as Sql, row.user_id);
      await tx`select bench.call(${side}, ${row.embedding}, .7, 5, ${row.user_id})`;
      return await tx<{ "QUERY PLAN": [{ Plan: Record<string, number> }] }[]>`
        explain (analyze, buffers, format json)
        select bench.call(${side}, ${row.embedding}, .7, 5, ${row.user_id})`;
    });
    const { Plan } = plan!["QUERY PLAN"][0];
    total += Plan["Shared Hit Blocks"]! + Plan["Shared Read Blocks"]!;
  }
  return total / rows.length;
}

/** `clients` busy sessions for one side: calls a second and latencies. */
export async function busyClients(
  open: () => Sql,
  side: Side,
  clients: number,
  calls: number,
): Promise<{ tps: number; p50: number; p95: number }> {
  const sessions = await Promise.all(Array.from({ length: clients }, async () => {
    const sql = open();
    await sql`set role authenticated`;
    await sql`select bench.busy(${side}, 20, 0.5)`; // warm: plans, relation caches
    return sql;
  }));
  const started = performance.now();
  const times = await Promise.all(sessions.map(async (sql, i) => {
    const [row] = await sql<{ busy: number[] }[]>`select bench.busy(${side}, ${calls}, ${
      (i + 1) / 100
    })`;
    return row!.busy;
  }));
  const elapsed = (performance.now() - started) / 1000;
  await Promise.all(sessions.map(async (sql) => {
    await sql`reset role`; // the embedded database has one session for everybody
    await sql.end();
  }));
  const all = times.flat();
  return { tps: all.length / elapsed, p50: quantile(all, 0.5), p95: quantile(all, 0.95) };
}

/** As the signed-in user, or as the owner for searches over everybody. */
async function actAs(sql: Sql, user: string | null): Promise<void> {
  if (user === null) return;
  await sql`select set_config('request.jwt.claim.sub', ${user}, true)`;
  await sql`set local role authenticated`;
}
