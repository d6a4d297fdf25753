begin;
select plan(7);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bob@example.com');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select lives_ok(
  $$insert into public.conversations (conversation_id, session_id, role, content, channel)
    values ('support-1', 's-1', 'user', 'Hello', 'mobile')$$,
  'a conversation is opened with seed 003''s columns');
select results_eq(
  $$select status, channel, metadata from public.conversations$$,
  $$values ('active', 'mobile', '{}'::jsonb)$$, 'and has the defaults that seed promises');
select throws_ok(
  $$insert into public.conversations (conversation_id) values ('support-1')$$,
  '23505', null, 'a name stands for one conversation of its owner');
select throws_ok(
  $$insert into public.conversations (conversation_id, channel) values ('x', 'fax')$$,
  '23514', null, 'a channel is web, mobile or api');

select set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-000000000002"}', true),
  set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000002', true);
select lives_ok(
  $$insert into public.conversations (conversation_id) values ('support-1')$$,
  'somebody else may use the same name, and learns nothing by it');
select is((select count(*) from public.conversations), 1::bigint, 'each sees their own');
select throws_ok(
  $$insert into public.conversations (user_id, conversation_id) values ('a0000000-0000-4000-8000-000000000001', 'x')$$,
  '42501', null, 'nobody opens one for another');

select * from finish();
rollback;
