begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(7);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into execution_logs (user_id, task_id, message)
  values ('b0000000-0000-4000-8000-000000000002', gen_random_uuid(), 'ben''s');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_execution_log('10000000-0000-4000-8000-000000000001', 'mine');
select throws_ok($$insert into execution_logs (user_id, task_id, message)
  values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'x')$$, '42501', null, 'no insert past the functions');
select throws_ok($$update execution_logs set message = 'x'$$, '42501', null, 'no update');
select throws_ok($$delete from execution_logs$$, '42501', null, 'no delete');
select throws_ok($$select insert_execution_log('10000000-0000-4000-8000-000000000001', 'x', p_user_id => 'b0000000-0000-4000-8000-000000000002')$$,
  'PT403', 'not_your_user', 'nobody writes in another''s name');
select throws_ok($$select mira_follow_execution_logs('[]')$$, '42501', null, 'the server''s reader is the server''s');
select is_empty($$select * from execution_logs where user_id <> 'a0000000-0000-4000-8000-000000000001'$$,
  'nobody reads another''s lines');
set local role service_role;
select throws_ok($$update execution_logs set message = 'x'$$, '42501', null, 'not even the secret key edits a line');

select * from finish();
rollback;
