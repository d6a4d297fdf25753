begin;
select plan(20);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000005'), ('b0000000-0000-4000-8000-000000000006');
create function pg_temp.v(lean float8) returns extensions.vector language sql as $$
  select array_agg(case i when 5 then 1 when 6 then lean else 0 end::real order by i)::extensions.vector
  from generate_series(1, 1536) i $$;
create function pg_temp.steps(variadic p_tools text[]) returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('tool', t)) from unnest(p_tools) t $$;
create function pg_temp.record(p_trigger text, p_steps jsonb, p_outcome text, p_lean float8) returns boolean language sql as $$
  select merged from public.mira_record_pattern('b0000000-0000-4000-8000-000000000005', p_trigger, '{}', p_steps,
    p_outcome, case when p_lean is not null then pg_temp.v(p_lean) end, 'tap') $$;

select is(pg_temp.record('ship it', pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'success', 0), false, 'the first is new');
select is(pg_temp.record('release it', pg_temp.steps('a', 'b', 'c', 'd', 'f'), 'success', 0.3), true,
  'near in meaning (cosine .96) and steps (4 of 5): merged');
select is(pg_temp.record('release it slowly', pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'success', 1.5), false,
  'far in meaning (cosine .55): not merged');
select is(pg_temp.record('release it', pg_temp.steps('x', 'b', 'c'), 'success', 0.3), false, 'other steps: not merged');
select is(pg_temp.record('SHIP   it', pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'success', null), true,
  'the same text merges before it is embedded');
select is(
  (select array[use_count, success_count] from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'), array[3, 3],
  'every record is counted');
select is((select aliases from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'), array['release it'],
  'another wording is kept, another spelling is not');
select is((select confidence from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'), 0.88::float8,
  'the posterior of three successes on the prior (1.4 + 3) / (2 + 3)');
select is(pg_temp.record('ship it', pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'failed', 0), true, 'a failure merges too');
select is((select final_outcome from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'), 'success',
  'and does not outvote three successes');
select is(
  (select merged from public.mira_record_pattern('b0000000-0000-4000-8000-000000000006', 'ship it', '{}',
    pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'success', pg_temp.v(0), 'tap')), false, 'nobody merges into another user''s');
select throws_ok($$select public.mira_record_pattern('b0000000-0000-4000-8000-000000000005', ' ')$$, 'PT422', 'trigger_invalid');
select throws_ok(
  $$select public.mira_record_pattern('b0000000-0000-4000-8000-000000000005', 'x', '{}', '[]', 'great')$$, 'PT422', 'outcome_invalid');
select throws_ok(
  $$select public.mira_record_pattern('b0000000-0000-4000-8000-000000000005', 'x', '[]', '[]', 'failed')$$, 'PT422', 'context_invalid');
select throws_ok($$select public.mira_record_pattern(null, 'x')$$, 'PT422', 'user_id_required');

-- receipts: however often the same recall is handed in, it counts once
select count(public.mira_recall_patterns('b0000000-0000-4000-8000-000000000005', 'c0000000-0000-4000-8000-000000000001',
  array(select id from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'))) from generate_series(1, 3);
select public.mira_count_recalls(), public.mira_count_recalls();
select is((select use_count from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'), 5, 'a recall is one use');
select is(
  jsonb_array_length(public.mira_recall_patterns('b0000000-0000-4000-8000-000000000006', null,
    array(select id from public.behavior_patterns where user_id = 'b0000000-0000-4000-8000-000000000005'))),
  0, 'ids of somebody else fetch nothing');

-- requests: a step that is done again records once
create function pg_temp.again(p_request uuid, p_user uuid default 'b0000000-0000-4000-8000-000000000005') returns boolean language sql as $$
  select merged from public.mira_record_pattern(p_user, 'ship it', '{}', pg_temp.steps('a', 'b', 'c', 'd', 'e'), 'success',
    p_request_id => p_request) $$;
select is(
  (select array_agg(pg_temp.again('c0000000-0000-4000-8000-000000000002')) from generate_series(1, 3)), '{t,t,t}',
  'a request made again answers as the first time');
select is((select array[use_count, success_count] from public.behavior_patterns where trigger = 'ship it' and user_id = 'b0000000-0000-4000-8000-000000000005'),
  array[6, 4], 'and counts once');
select is(pg_temp.again('c0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000006'), true,
  'somebody else''s request of the same id is another');

select * from finish();
rollback;
