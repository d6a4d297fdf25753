/** The benchmark's database: Mira's schema and, beside it, the seed's own SQL, with the same rows. */

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import { applyMigrations } from "../../db/apply_migrations.ts";
import { postgresExecutor } from "../../db/executor.ts";
import { type Corpus, vectorText } from "./corpus.ts";

/** A client of the benchmark's database. */
export type Sql = ReturnType<typeof postgres>;

// what a Supabase project has before the first migration, as far as these tables need it
const PLATFORM = `
  do $$ begin
    if to_regrole('anon') is null then create role anon nologin; end if;
    if to_regrole('authenticated') is null then create role authenticated nologin; end if;
    if to_regrole('service_role') is null then create role service_role nologin bypassrls; end if;
  end $$;
  create schema if not exists auth;
  create table if not exists auth.users (id uuid primary key default gen_random_uuid(), email text, raw_user_meta_data jsonb, created_at timestamptz default now());
  create or replace function auth.uid() returns uuid language sql stable as $f$
    select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $f$;
  create or replace function auth.role() returns text language sql stable as $f$
    select nullif(current_setting('request.jwt.claim.role', true), '') $f$;
  create or replace function auth.jwt() returns jsonb language sql stable as $f$
    select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $f$;
  grant usage on schema auth, public to anon, authenticated, service_role;
`;

/** Seed 001 as written, in a schema of its own; only the caller's schema name is put in. */
export function seedSql(schema: string): string {
  return `
  create schema ${schema};
  grant usage on schema ${schema} to authenticated, service_role;
  create table ${schema}.behavior_patterns (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users(id) on delete cascade,
    trigger text not null,
    trigger_embedding extensions.vector(1536),
    context jsonb not null default '{}'::jsonb,
    actions jsonb not null default '[]'::jsonb,
    final_outcome text not null check (final_outcome in ('success', 'partial', 'failed')),
    confidence float not null default 0.7 check (confidence >= 0 and confidence <= 1),
    use_count int not null default 1 check (use_count >= 0),
    last_used_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now());
  create index on ${schema}.behavior_patterns(user_id);
  create index on ${schema}.behavior_patterns(final_outcome);
  create index on ${schema}.behavior_patterns(confidence desc);
  create index on ${schema}.behavior_patterns(use_count desc);
  create index on ${schema}.behavior_patterns using gin (context);
  create index on ${schema}.behavior_patterns using gin (actions);
  create function ${schema}.update_behavior_pattern_timestamp() returns trigger as $$
  begin new.updated_at = now(); return new; end; $$ language plpgsql;
  create trigger behavior_patterns_updated_at before update on ${schema}.behavior_patterns
    for each row execute function ${schema}.update_behavior_pattern_timestamp();
  create function ${schema}.increment_pattern_use_count(pattern_id uuid) returns void as $$
  begin
    update ${schema}.behavior_patterns set use_count = use_count + 1, last_used_at = now() where id = pattern_id;
  end; $$ language plpgsql security definer;
  create function ${schema}.find_similar_patterns(
    query_embedding extensions.vector(1536), match_threshold float default 0.7, match_count int default 5, p_user_id uuid default null)
  returns table (id uuid, trigger text, context jsonb, actions jsonb, final_outcome text, confidence float, use_count int, similarity float) as $$
  begin
    return query
    select bp.id, bp.trigger, bp.context, bp.actions, bp.final_outcome, bp.confidence, bp.use_count,
      1 - (bp.trigger_embedding operator(extensions.<=>) query_embedding) as similarity
    from ${schema}.behavior_patterns bp
    where (p_user_id is null or bp.user_id = p_user_id)
      and bp.trigger_embedding is not null
      and 1 - (bp.trigger_embedding operator(extensions.<=>) query_embedding) >= match_threshold
    order by bp.trigger_embedding operator(extensions.<=>) query_embedding
    limit match_count;
  end; $$ language plpgsql security definer;
  grant execute on all functions in schema ${schema} to authenticated, service_role;`;
}

/** Makes the database anew: platform, migrations, the seed's schema. */
export async function prepare(admin: Sql, sql: Sql): Promise<void> {
  const name = sql.options.database;
  await admin.unsafe(`drop database if exists "${name}" with (force)`);
  await admin.unsafe(`create database "${name}"`);
  await sql.unsafe(PLATFORM);
  await applyMigrations(postgresExecutor(sql));
}

/**
 * Loads the corpus into the seed's table, and from there into Mira's.
 *
 * @param embedded the wire of the embedded database has no COPY.
 */
export async function load(
  sql: Sql,
  corpus: Corpus,
  embedded: boolean,
  log: (msg: string) => void,
): Promise<void> {
  await sql.unsafe(seedSql("seed_001"));
  await sql`insert into auth.users (id) select unnest(${corpus.users.map((u) => u.id)}::uuid[])`;
  const columns = "user_id, trigger, trigger_embedding, context, actions, final_outcome";
  let started = performance.now();
  if (embedded) {
    for (const batch of batches(corpus, 20)) {
      const rows = batch.map((row) => `('${row.join("','")}')`).join(",");
      await sql.unsafe(`insert into seed_001.behavior_patterns (${columns}) values ${rows}`);
    }
  } else {
    const copy = await sql.unsafe(`copy seed_001.behavior_patterns (${columns}) from stdin`)
      .writable();
    await pipeline(Readable.from(lines(corpus)), copy);
  }
  log(`${seconds(started)} s to make and load the rows`);
  started = performance.now();
  await sql`select private.embedding_model_id('bench')`;
  await sql.unsafe(`
    insert into public.behavior_patterns (id, user_id, trigger, trigger_embedding, embedding_model, context, actions, final_outcome)
    select id, user_id, trigger, trigger_embedding, 'bench', context, actions, final_outcome from seed_001.behavior_patterns`);
  log(`${seconds(started)} s into Mira's table and search index`);
  started = performance.now();
  // the seed's index is made after the rows are in, which is kinder to it than its own migration
  await sql.unsafe(`set maintenance_work_mem = '256MB';
    create index behavior_patterns_embedding_idx on seed_001.behavior_patterns
      using ivfflat (trigger_embedding extensions.vector_cosine_ops) with (lists = 100)`);
  log(`${seconds(started)} s for the seed's ivfflat`);
  await vacuum(sql);
  started = performance.now();
  await tendCells(sql);
  log(`${seconds(started)} s for Mira's cells`);
  await vacuum(sql);
}

/** As the job of every minute would have left the cells of large users, and autovacuum between. */
async function tendCells(sql: Sql): Promise<void> {
  let worked = 1;
  while (worked > 0) {
    [{ worked }] = await sql<[{ worked: number }]>`
      select private.tend_recall_cells(1000, 2000) as worked`;
    await sql.unsafe("vacuum private.recall_vectors");
  }
}

/** As autovacuum would have left the tables. */
export async function vacuum(sql: Sql): Promise<void> {
  for (
    const table of [
      "seed_001.behavior_patterns",
      "public.behavior_patterns",
      "private.recall_vectors",
    ]
  ) {
    await sql.unsafe(`vacuum (analyze) ${table}`);
  }
}

/** Seconds since `started`, one digit. */
export function seconds(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}

function* lines(corpus: Corpus): Generator<string> {
  for (const batch of batches(corpus, 20)) {
    yield batch.map((row) => row.join("\t") + "\n").join("");
  }
}

function* batches(corpus: Corpus, size: number): Generator<string[][]> {
  let n = 0;
  let batch: string[][] = [];
  for (const user of corpus.arrivals()) {
    const files = [`src/file${n % 997}.ts`, `src/file${n % 89}.ts`];
    batch.push([
      user.id,
      `do thing ${n} in project ${n % 50}`,
      vectorText(corpus.point(user)),
      JSON.stringify({
        directory: `/home/dev/project${n % 50}`,
        branch: "main",
        files_touched: files,
      }),
      JSON.stringify([
        { tool: "Read", parameters: { path: files[0] }, outcome: "success", duration_ms: n % 400 },
        { tool: "Edit", parameters: { path: files[1] }, outcome: "success", duration_ms: 200 },
      ]),
      n % 9 === 0 ? "failed" : "success",
    ]);
    if (++n % size === 0) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
