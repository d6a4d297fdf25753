/** What a write costs: time in the server and WAL, one statement each, both sides in turn. */

import { type Corpus, vectorText } from "./corpus.ts";
import type { Sql } from "./database.ts";

const WRITES = `
  create table bench.fresh (id int primary key, user_id uuid, embedding text);
  create procedure bench.insert_in_turn(n int, inout mira_ms float, inout seed_ms float, inout mira_wal float, inout seed_wal float)
  language plpgsql as $f$
  declare
    r record; started timestamptz; lsn pg_lsn; v extensions.vector; i int := 0;
  begin
    mira_ms := 0; seed_ms := 0; mira_wal := 0; seed_wal := 0;
    for r in select * from bench.fresh order by id limit n loop
      v := r.embedding::extensions.vector;
      for side in 0..1 loop
        started := clock_timestamp(); lsn := pg_current_wal_insert_lsn();
        if (side + i) % 2 = 0 then
          insert into public.behavior_patterns (user_id, trigger, trigger_embedding, embedding_model, context, actions, final_outcome)
          values (r.user_id, 'fresh thing ' || r.id, v, 'bench', '{"directory": "/home/dev/p", "branch": "main"}',
            '[{"tool": "Read", "outcome": "success"}, {"tool": "Edit", "outcome": "success"}]', 'success');
          mira_ms := mira_ms + extract(epoch from clock_timestamp() - started) * 1000;
          mira_wal := mira_wal + (pg_current_wal_insert_lsn() - lsn);
        else
          insert into seed_001.behavior_patterns (user_id, trigger, trigger_embedding, context, actions, final_outcome)
          values (r.user_id, 'fresh thing ' || r.id, v, '{"directory": "/home/dev/p", "branch": "main"}',
            '[{"tool": "Read", "outcome": "success"}, {"tool": "Edit", "outcome": "success"}]', 'success');
          seed_ms := seed_ms + extract(epoch from clock_timestamp() - started) * 1000;
          seed_wal := seed_wal + (pg_current_wal_insert_lsn() - lsn);
        end if;
        commit;
      end loop;
      i := i + 1;
    end loop;
  end $f$;
  create procedure bench.use_in_turn(n int, inout mira_ms float, inout seed_ms float, inout mira_wal float, inout seed_wal float)
  language plpgsql as $f$
  declare
    r record; started timestamptz; lsn pg_lsn;
  begin
    mira_ms := 0; seed_ms := 0; mira_wal := 0; seed_wal := 0;
    -- corpus rows carry the same id on both sides
    for r in select id from seed_001.behavior_patterns where trigger like 'do thing %' order by md5(id::text) limit n loop
      started := clock_timestamp(); lsn := pg_current_wal_insert_lsn();
      perform public.increment_pattern_use_count(r.id);
      mira_ms := mira_ms + extract(epoch from clock_timestamp() - started) * 1000;
      mira_wal := mira_wal + (pg_current_wal_insert_lsn() - lsn);
      commit;
      started := clock_timestamp(); lsn := pg_current_wal_insert_lsn();
      perform seed_001.increment_pattern_use_count(r.id);
      seed_ms := seed_ms + extract(epoch from clock_timestamp() - started) * 1000;
      seed_wal := seed_wal + (pg_current_wal_insert_lsn() - lsn);
      commit;
    end loop;
  end $f$;
`;

/** Milliseconds and WAL bytes a row, both sides. */
export interface WriteCost {
  mira_ms: number;
  seed_ms: number;
  mira_wal: number;
  seed_wal: number;
}

/** Cost of inserting and of counting a use, averaged over `n` statements in turn. */
export async function timeWrites(
  sql: Sql,
  corpus: Corpus,
  n: number,
): Promise<{ insert: WriteCost; use: WriteCost }> {
  await sql.unsafe(WRITES);
  const users = corpus.users;
  for (let at = 0; at < n; at += 100) {
    const rows = Array.from({ length: Math.min(100, n - at) }, (_, i) => {
      const user = users[(at + i) % users.length]!;
      return { id: at + i, user_id: user.id, embedding: vectorText(corpus.point(user)) };
    });
    await sql`insert into bench.fresh ${sql(rows)}`;
  }
  const per = (cost: WriteCost): WriteCost => ({
    mira_ms: cost.mira_ms / n,
    seed_ms: cost.seed_ms / n,
    mira_wal: cost.mira_wal / n,
    seed_wal: cost.seed_wal / n,
  });
  const [insert] = await sql<WriteCost[]>`call bench.insert_in_turn(${n}, 0, 0, 0, 0)`;
  const [use] = await sql<WriteCost[]>`call bench.use_in_turn(${n}, 0, 0, 0, 0)`;
  return { insert: per(insert!), use: per(use!) };
}
