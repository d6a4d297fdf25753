begin;
select plan(7);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bob@example.com');
set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);

insert into public.shared_memory (conversation_id, memory_key, memory_value, scope)
values ('c-1', 'plan', '{"step": 1}', 'workflow'), (null, 'tone', '"formal"', 'global');
select lives_ok(
  $$insert into public.shared_memory (conversation_id, memory_key, memory_value, scope)
    values ('c-1', 'plan', '{"step": 2}', 'workflow'), (null, 'tone', '"brief"', 'global')
    on conflict (user_id, conversation_id, memory_key, scope) do update set memory_value = excluded.memory_value$$,
  'a key is kept once per conversation and scope, global ones included');
select is((select count(*) from public.shared_memory), 2::bigint, 'so there are two');
select is(public.get_shared_memory('c-1', 'plan', 'workflow'), '{"step": 2}'::jsonb, 'it is read by its key');
select is(public.get_shared_memory(null, 'tone', 'global'), '"brief"'::jsonb, 'also without a conversation');
select results_eq(
  $$select access_count, last_accessed_at is not null from public.shared_memory where memory_key = 'plan'$$,
  $$values (1, true)$$, 'reading is counted');
select throws_ok(
  $$update public.shared_memory set access_count = 100$$, '42501', null, 'and only the server counts');

select set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-000000000002"}', true),
  set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000002', true);
select is(
  public.get_shared_memory(null, 'tone', 'global'), null, 'global means all of its owner''s, and nobody else''s');

select * from finish();
rollback;
