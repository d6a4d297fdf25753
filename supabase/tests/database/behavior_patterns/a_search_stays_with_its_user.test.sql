begin;
select plan(16);

insert into auth.users (id) values
  ('b0000000-0000-4000-8000-000000000001'), ('b0000000-0000-4000-8000-000000000002');
-- axis k, leaning a little towards the next
create function pg_temp.v(k int, lean float8 default 0) returns extensions.vector language sql as $$
  select array_agg(case i when k then 1 when k + 1 then lean else 0 end::real order by i)::extensions.vector
  from generate_series(1, 1536) i $$;
grant execute on function pg_temp.v(int, float8) to public;
insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model) values
  ('b0000000-0000-4000-8000-000000000001', 'exactly', 'success', pg_temp.v(3), 'tap'),
  ('b0000000-0000-4000-8000-000000000001', 'nearly', 'success', pg_temp.v(3, 0.5), 'tap'),
  ('b0000000-0000-4000-8000-000000000001', 'otherwise', 'success', pg_temp.v(9), 'tap'),
  ('b0000000-0000-4000-8000-000000000001', 'another model', 'success', pg_temp.v(3), 'tap-2'),
  ('b0000000-0000-4000-8000-000000000002', 'of somebody else', 'success', pg_temp.v(3), 'tap');

select results_eq(
  $$select trigger, round(similarity::numeric, 5) from public.find_similar_patterns(pg_temp.v(3), 0.7, 5, 'b0000000-0000-4000-8000-000000000001')$$,
  $$values ('exactly', 1.00000), ('nearly', 0.89443)$$,
  'the service searches a user: best first, above the threshold, one model only');
select set_eq(
  $$select trigger from public.find_similar_patterns(pg_temp.v(3), 0.9)$$,
  $$values ('exactly'), ('of somebody else')$$, 'or everybody');
select results_eq(
  $$select trigger from public.find_similar_patterns(pg_temp.v(3), 0, 1, 'b0000000-0000-4000-8000-000000000001')$$,
  $$values ('exactly')$$, 'match_count is kept');
select is(
  (select count(*) from public.find_similar_patterns(pg_temp.v(3), null, null, 'b0000000-0000-4000-8000-000000000001')),
  2::bigint, 'nulls mean the defaults');
select is(
  (select count(*) from public.find_similar_patterns(pg_temp.v(3), -9, 100000, 'b0000000-0000-4000-8000-000000000001')),
  3::bigint, 'extreme arguments are clamped');
select is(
  (select count(*) from public.find_similar_patterns(pg_temp.v(3), 'nan', -3, 'b0000000-0000-4000-8000-000000000001')),
  1::bigint, 'NaN is no way past the threshold');
select throws_ok('select public.find_similar_patterns(null)', 'PT422', 'embedding_required');
select throws_ok($$select public.find_similar_patterns('[1,2]')$$, 'PT422', 'embedding_dimensions');
select throws_ok(
  'select public.find_similar_patterns(array_fill(0, array[1536])::extensions.vector)', 'PT422', 'embedding_is_zero');

set local request.jwt.claims = '{"sub": "b0000000-0000-4000-8000-000000000001", "role": "authenticated"}';
set local request.jwt.claim.sub = 'b0000000-0000-4000-8000-000000000001';
set local role authenticated;
select results_eq(
  $$select trigger from public.find_similar_patterns(pg_temp.v(3))$$, $$values ('exactly'), ('nearly')$$,
  'a person finds their own without naming themselves');
select throws_ok(
  $$select public.find_similar_patterns(pg_temp.v(3), 0.7, 5, 'b0000000-0000-4000-8000-000000000002')$$,
  'PT403', 'not_your_user', 'and nobody else''s by naming them');
select throws_ok(
  $$select public.increment_pattern_use_count(gen_random_uuid())$$, 'PT404', 'pattern_not_found',
  'what is not theirs does not exist');
select lives_ok(
  $$select public.increment_pattern_use_count(id) from public.behavior_patterns where trigger = 'exactly'$$,
  'their own is counted');
select throws_ok(
  $$update public.behavior_patterns set use_count = 99$$, '42501', null, 'but only one by one');
select throws_ok('select count(*) from private.recall_vectors', '42501', null, 'the index itself is out of reach');
reset role;
set local role anon;
select throws_ok($$select public.find_similar_patterns('[1]')$$, '42501', null, 'nobody signed in, nothing to find');

select * from finish();
rollback;
