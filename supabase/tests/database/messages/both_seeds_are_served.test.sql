begin;
select plan(10);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bob@example.com');
insert into public.chat_sessions (id, user_id, title) values
  ('a0000000-0000-4000-8000-00000000000a', 'a0000000-0000-4000-8000-000000000001', 'Mine'),
  ('b0000000-0000-4000-8000-00000000000b', 'b0000000-0000-4000-8000-000000000002', 'Not mine');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);

select results_eq(
  $$insert into public.messages (session_id, role, content)
    values ('a0000000-0000-4000-8000-00000000000a', 'assistant', 'Hi') returning sender_type$$,
  $$values ('assistant')$$, 'seed 002 speaks of sessions and roles');
select results_eq(
  $$insert into public.messages (id, conversation_id, sender_type, sender_id, content)
    values ('a0000000-0000-4000-8000-0000000000aa', 'c-1', 'agent', 'planner', 'Step one')
    returning role, status, message_type$$,
  $$values ('assistant', 'sent', 'text')$$, 'seed 003 speaks of conversations and senders');
select is(
  (select count(*) from public.conversations where conversation_id = 'c-1'), 1::bigint,
  'a conversation that is not there yet is opened on the spot');
select lives_ok(
  $$insert into public.messages (conversation_id, parent_message_id, sender_type, content)
    values ('c-1', 'a0000000-0000-4000-8000-0000000000aa', 'user', 'Go on')$$,
  'a message answers another: threads');
select isnt(
  (select last_message_at from public.chat_sessions), null, 'the session knows when it was last used');
select throws_ok(
  $$insert into public.messages (content, role) values ('nowhere', 'user')$$,
  '23514', null, 'a message belongs to a session or a conversation');
select throws_ok(
  $$insert into public.messages (session_id, role, content)
    values ('b0000000-0000-4000-8000-00000000000b', 'user', 'let me in')$$,
  '23503', null, 'a message cannot hang in somebody else''s session');
select throws_ok(
  $$update public.chat_sessions set last_message_at = now()$$,
  '42501', null, 'what the server writes, its owner cannot');
select throws_ok(
  $$insert into public.messages (conversation_id, role, content, created_at) values ('c-1', 'user', 'x', '1999-01-01')$$,
  '42501', null, 'nobody writes the past');
delete from public.conversations;
select is(
  (select count(*) from public.messages where conversation_id is not null), 0::bigint,
  'messages go with their conversation');

select * from finish();
rollback;
