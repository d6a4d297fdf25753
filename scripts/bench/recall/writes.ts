/** What a write costs: time in the server and WAL, one statement each, both sides in turn. */

import { type Corpus, vectorText } from "./corpus.ts";
import type { Sql } from "./database.ts";

const WRITES = `
  create table bench.fresh (id int primary key, user_id uuid, embedding text);
  -- CPU time of this session in ms where the server lets us read it, else time by the clock
  create function bench.cpu_ms() returns float language plpgsql as $f$
  begin
    perform pg_sleep(.0001); -- the kernel books a process's time when it leaves the core, or at the next tick
    return split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::float / 1e6;
  exception when others then
    return extract(epoch from clock_timestamp()) * 1000;
  end $f$;
  create procedure bench.insert_one(side text, row_id int, u uuid, v extensions.vector) language plpgsql as $f$
  begin
    if side = 'mira' then
      insert into public.behavior_patterns (user_id, trigger, trigger_embedding, embedding_model, context, actions, final_outcome)
      values (u, 'fresh thing ' || row_id, v, 'bench', '{"directory": "/home/dev/p", "branch": "main"}',
        '[{"tool": "Read", "outcome": "success"}, {"tool": "Edit", "outcome": "success"}]', 'success');
    elsif side = 'seed' then
      insert into seed_001.behavior_patterns (user_id, trigger, trigger_embedding, context, actions, final_outcome)
      values (u, 'fresh thing ' || row_id, v, '{"directory": "/home/dev/p", "branch": "main"}',
        '[{"tool": "Read", "outcome": "success"}, {"tool": "Edit", "outcome": "success"}]', 'success');
    end if;
  end $f$;
  create procedure bench.write(kind text, side text, first_row int, row_count int, inout ms float, inout wal float)
  language plpgsql as $f$
  declare
    r record; started float; lsn pg_lsn;
  begin
    started := bench.cpu_ms(); lsn := pg_current_wal_insert_lsn();
    if kind = 'insert' then
      for r in select f.id, f.user_id, f.embedding::extensions.vector as v from bench.fresh f where f.id >= first_row and f.id < first_row + row_count loop
        call bench.insert_one(side, r.id, r.user_id, r.v);
        commit;
      end loop;
    else
      -- corpus rows carry the same id on both sides
      for r in select u.id from bench.used u where u.n >= first_row and u.n < first_row + row_count loop
        if side = 'mira' then perform public.increment_pattern_use_count(r.id);
        elsif side = 'seed' then perform seed_001.increment_pattern_use_count(r.id);
        end if;
        commit;
      end loop;
    end if;
    ms := bench.cpu_ms() - started;
    wal := pg_current_wal_insert_lsn() - lsn;
  end $f$;
  create table bench.used as
    select row_number() over (order by md5(id::text))::int - 1 as n, id from seed_001.behavior_patterns
    where trigger like 'do thing %';
  create unique index on bench.used (n);
  analyze bench.used;
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
  // waiting for the disk is the machine's cost, and the same on every side
  await sql`set synchronous_commit = off`;
  const costs: WriteCost[] = [];
  for (const kind of ["insert", "use"]) {
    // The first change of a page after a checkpoint writes the whole page to the log. When that
    // happens is chance, so it is taken out of the figures: a checkpoint, a pass over the same rows
    // that is not counted, and then the pass that is.
    await sql`checkpoint`;
    await inTurn(sql, kind, n);
    costs.push(await inTurn(sql, kind, n));
  }
  return { insert: costs[0]!, use: costs[1]! };
}

/** Batches of 50, the sides in turn; the loop itself ("none") is measured too and taken off. */
async function inTurn(sql: Sql, kind: string, n: number): Promise<WriteCost> {
  const cost = { mira: { ms: 0, wal: 0 }, seed: { ms: 0, wal: 0 }, none: { ms: 0, wal: 0 } };
  const sides = ["mira", "seed", "none"] as const;
  for (let at = 0; at < n; at += 50) {
    for (let s = 0; s < sides.length; s++) {
      const side = sides[(s + at / 50) % sides.length]!;
      const [batch] = await sql<{ ms: number; wal: number }[]>`
        call bench.write(${kind}, ${side}, ${at}, 50, 0, 0)`;
      cost[side].ms += batch!.ms;
      cost[side].wal += batch!.wal;
    }
  }
  return {
    mira_ms: (cost.mira.ms - cost.none.ms) / n,
    seed_ms: (cost.seed.ms - cost.none.ms) / n,
    mira_wal: (cost.mira.wal - cost.none.wal) / n,
    seed_wal: (cost.seed.wal - cost.none.wal) / n,
  };
}
