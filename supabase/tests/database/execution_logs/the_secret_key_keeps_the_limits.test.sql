begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(12);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
insert into workflow_executions (id, user_id) values ('e0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
set local role service_role;

-- there is no foreign key and no check constraint that the engine would pay for at every step
select throws_ok($$insert into execution_logs (user_id, task_id, message) values (gen_random_uuid(), gen_random_uuid(), 'x')$$,
  '23503', 'user_not_found', 'a line belongs to an account');
select throws_ok($$insert into execution_logs (user_id, task_id, message, level) values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'x', 'loud')$$,
  '23514', 'execution_logs_fits', 'of a known level');
select throws_ok($$insert into execution_logs (user_id, task_id, message) values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), '')$$,
  '23514', 'execution_logs_fits', 'and says something');
select lives_ok($$insert into execution_logs (user_id, task_id, message) values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'x')$$, 'such a one is kept');
select throws_ok($$insert into tool_executions (user_id, tool_name) values (gen_random_uuid(), 't')$$, '23503', 'user_not_found', 'a tool call belongs to an account');
select throws_ok($$insert into tool_executions (user_id, run_id, tool_name) values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 't')$$,
  '23503', null, 'and to a run, if to any');
select throws_ok($$insert into tool_executions (user_id, tool_name, result) values ('a0000000-0000-4000-8000-000000000001', 't', (select jsonb_agg(gen_random_uuid()) from generate_series(1, 3000)))$$,
  '23514', 'tool_executions_fits', 'its result is no larger than 64 KiB');
select lives_ok($$insert into tool_executions (user_id, run_id, tool_name) values ('a0000000-0000-4000-8000-000000000001', 'e0000000-0000-4000-8000-000000000001', 't')$$, 'such a one is kept');
select throws_ok($$update tool_executions set status = 'lost'$$, null, null, 'and keeps to its statuses');
select throws_ok($$insert into task_history (user_id, description, status) values ('a0000000-0000-4000-8000-000000000001', 't', 'lost')$$,
  '23514', 'task_history_fits', 'a task has a known status');
select throws_ok($$insert into task_history (user_id, description, execution_id) values ('a0000000-0000-4000-8000-000000000001', 't', gen_random_uuid())$$,
  '23503', null, 'and a run that exists, if any');
reset role;
delete from workflow_executions;
select is((select count(*) from tool_executions), 0::bigint, 'a deleted run takes its tool calls along');

select * from finish();
rollback;
