begin;
select plan(15);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000003');
create function pg_temp.v(k int) returns extensions.vector language sql as $$
  select array_agg(case i when k then 1 else 0 end::real order by i)::extensions.vector from generate_series(1, 1536) i $$;
create function pg_temp.entries() returns bigint language sql as $$
  select count(*) from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-000000000003' $$;
create function pg_temp.found(k int) returns setof text language sql as $$
  select trigger from public.find_similar_patterns(pg_temp.v(k), 0.99, 50, 'b0000000-0000-4000-8000-000000000003') order by 1 $$;

insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
select 'b0000000-0000-4000-8000-000000000003', 'row ' || k, 'success', pg_temp.v(k), 'tap' from generate_series(1, 20) k;
insert into public.behavior_patterns (user_id, trigger, final_outcome)
values ('b0000000-0000-4000-8000-000000000003', 'not embedded yet', 'success');
select is(pg_temp.entries(), 20::bigint, 'a bulk insert is indexed, rows without a vector are not');
select results_eq('select pg_temp.found(7)', $$values ('row 7')$$, 'and found');

update public.behavior_patterns set trigger_embedding = pg_temp.v(100) where trigger = 'row 7';
select is_empty('select pg_temp.found(7)', 'a new vector replaces the old one');
select results_eq('select pg_temp.found(100)', $$values ('row 7')$$, 'and is found instead');

update public.behavior_patterns set trigger = 'row 7 reworded' where trigger = 'row 7';
select is(
  (select trigger_embedding is null and embedding_model is null from public.behavior_patterns where trigger = 'row 7 reworded'),
  true, 'a changed text loses its vector');
select is(pg_temp.entries(), 19::bigint, 'and its entry');
select ok(
  (public.mira_embedding_work('tap', 1536, 500, null) -> 'items') @> '[{"text": "row 7 reworded"}]', 'the job is told');

update public.behavior_patterns set use_count = use_count + 1, confidence = 0.1;
select is(pg_temp.entries(), 19::bigint, 'counters leave the index alone');

update private.recall_vectors set code = ~code where source_id = (select id from public.behavior_patterns where trigger = 'row 3');
delete from private.recall_vectors where source_id = (select id from public.behavior_patterns where trigger = 'row 4');
insert into private.recall_vectors (user_id, model_id, source, source_id, code, facets, words, e)
select user_id, model_id, 1, gen_random_uuid(), code, 0, '{}', e from private.recall_vectors limit 1;
select results_eq(
  $$select fact, value from public.mira_check_recall('b0000000-0000-4000-8000-000000000003') where not is_good and fact like 'entries%'$$,
  $$values ('entries_missing', 1::float8), ('entries_orphaned', 1), ('entries_drifted', 1)$$,
  'the self-check sees what is missing, orphaned and drifted');
select is_empty(
  $$select * from public.mira_check_recall('b0000000-0000-4000-8000-000000000003', 50, true) where not is_good$$,
  'and mends it');
select results_eq('select pg_temp.found(3) union all select pg_temp.found(4)', $$values ('row 3'), ('row 4')$$, 'so that they are found again');

delete from public.behavior_patterns where trigger in ('row 1', 'row 2');
select is(pg_temp.entries(), 17::bigint, 'deleted rows leave the index');
select throws_ok(
  $$update public.behavior_patterns set trigger_embedding = array_fill(0, array[1536])::extensions.vector where trigger = 'row 5'$$,
  'PT422', 'embedding_is_zero', 'a vector without direction is not stored');
select throws_ok(
  $$insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
    values ('b0000000-0000-4000-8000-000000000003', 'zero', 'success', array_fill(0, array[1536])::extensions.vector, 'tap')$$,
  'PT422', 'embedding_is_zero', 'nor inserted');
delete from auth.users where id = 'b0000000-0000-4000-8000-000000000003';
select is(pg_temp.entries(), 0::bigint, 'a deleted account leaves nothing');

select * from finish();
rollback;
