begin;
select plan(15);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000008');
set local role authenticated;
select set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000008', true);

create function pg_temp.store(p_trigger text, p_context jsonb, p_actions jsonb, p_outcome text) returns void language sql as $$
  insert into public.behavior_patterns (user_id, trigger, context, actions, final_outcome)
  values ('b0000000-0000-4000-8000-000000000008', p_trigger, p_context, p_actions, p_outcome) $$;
select lives_ok($$select pg_temp.store(repeat('é', 8000), '{}', '[]', 'partial')$$, 'a trigger has up to 8000 characters');
select throws_ok($$select pg_temp.store(repeat('é', 8001), '{}', '[]', 'partial')$$, 'PT422', 'trigger_invalid', 'and no more');
select throws_ok($$select pg_temp.store('', '{}', '[]', 'partial')$$, 'PT422', 'trigger_invalid', 'and is not empty');
select throws_ok($$select pg_temp.store('x', '[]', '[]', 'partial')$$, 'PT422', 'context_invalid', 'a context is an object');
select throws_ok($$select pg_temp.store('x', jsonb_build_object('a', (select string_agg(md5(i::text), '') from generate_series(1, 600) i)), '[]', 'partial')$$,
  'PT422', 'context_invalid', 'of at most 16 KiB');
select throws_ok($$select pg_temp.store('x', '{}', '{}', 'partial')$$, 'PT422', 'actions_invalid', 'actions are a list');
select throws_ok($$select pg_temp.store('x', '{}', '[]', 'great')$$, 'PT422', 'outcome_invalid', 'an outcome is one of three');
select throws_ok($$select pg_temp.store('x', '{}', '[]', null)$$, '23502', null, 'and is never missing');
select throws_ok($$update public.behavior_patterns set trigger = ''$$, 'PT422', 'trigger_invalid', 'a change keeps the limits too');
select throws_ok($$update public.behavior_patterns set context = '7'$$, 'PT422', 'context_invalid', 'of the context');
select throws_ok($$update public.behavior_patterns set final_outcome = 'Success'$$, 'PT422', 'outcome_invalid', 'and of the outcome');

reset role;
select throws_ok($$update public.behavior_patterns set confidence = 1.01$$, 'PT422', 'evidence_invalid', 'confidence is a probability, whoever writes it');
select throws_ok($$update public.behavior_patterns set success_count = -1$$, 'PT422', 'evidence_invalid', 'counts are not negative');
select throws_ok($$update public.behavior_patterns set use_count = -1$$, '23514', null, 'nor is the count of uses');
select throws_ok($$update public.behavior_patterns set aliases = array_fill('x'::text, array[21])$$, 'PT422', 'evidence_invalid', 'at most 20 other wordings');

select * from finish();
rollback;
