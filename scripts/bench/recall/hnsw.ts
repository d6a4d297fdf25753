/** The usual answer: one HNSW graph over everybody's vectors, filtered while it is walked. */

import { seconds, type Sql } from "./database.ts";

/** A copy of the corpus under pgvector's HNSW, iterative scans on; about a minute per 100,000 rows. */
export async function makeHnsw(sql: Sql, log: (msg: string) => void): Promise<void> {
  const started = performance.now();
  await sql.unsafe(`
    create schema seed_hnsw;
    grant usage on schema seed_hnsw to authenticated;
    create table seed_hnsw.behavior_patterns as select * from seed_001.behavior_patterns;
    create index on seed_hnsw.behavior_patterns (user_id);
    set maintenance_work_mem = '2GB';
    create index on seed_hnsw.behavior_patterns using hnsw (trigger_embedding extensions.vector_cosine_ops);
    analyze seed_hnsw.behavior_patterns;
    -- the distance filter stays outside, or the scan runs on to its limit (pgvector README, Filtering)
    create function seed_hnsw.find_similar_patterns(
      query_embedding extensions.vector, match_threshold float, match_count int, p_user_id uuid)
    returns table (id uuid, similarity float) language plpgsql security definer as $f$
    begin
      perform set_config('hnsw.ef_search', '100', true);
      perform set_config('hnsw.iterative_scan', 'relaxed_order', true);
      return query
        with near as materialized (
          select bp.id, bp.trigger_embedding operator(extensions.<=>) query_embedding as distance
          from seed_hnsw.behavior_patterns bp where p_user_id is null or bp.user_id = p_user_id
          order by 2 limit match_count)
        select n.id, 1 - n.distance from near n where 1 - n.distance >= match_threshold order by n.distance + 0;
    end $f$;
    grant execute on function seed_hnsw.find_similar_patterns to authenticated;`);
  log(`${seconds(started)} s for HNSW`);
}
