begin;
select plan(4);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000009'), ('b0000000-0000-4000-8000-00000000000a');
create function pg_temp.v(k int) returns extensions.vector language sql as $$
  select array_agg((hashint8extended((k::bigint << 20) + i, 7) % 2001) / 1000.0)::extensions.vector from generate_series(1, 1536) i $$;
insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
select ('b0000000-0000-4000-8000-00000000000' || case when k % 2 = 0 then '9' else 'a' end)::uuid, 'row ' || k, 'success', pg_temp.v(k), 'graph'
from generate_series(1, 200) k;

select is(
  (select count(*) from pg_indexes where schemaname = 'private' and indexdef like '%hnsw%'), 0::bigint, 'nobody pays for a graph unasked');
select lives_ok($$select private.build_recall_graph('graph')$$, 'an owner may build one');
select results_eq($$select trigger from public.find_similar_patterns(pg_temp.v(77), 0.9)$$, $$values ('row 77')$$,
  'a search over everybody finds through it');
select results_eq(
  $$select trigger from public.find_similar_patterns(pg_temp.v(78), 0.9, 5, 'b0000000-0000-4000-8000-000000000009')$$,
  $$values ('row 78')$$, 'a search of one user does not need it');

select * from finish();
rollback;
