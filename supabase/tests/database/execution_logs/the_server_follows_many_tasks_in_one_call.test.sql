begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(4);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_task_history('watched', p_task_id => '10000000-0000-4000-8000-000000000001');
select insert_execution_log('10000000-0000-4000-8000-000000000001', 'one');
select insert_execution_log('10000000-0000-4000-8000-000000000001', 'two');
set local role service_role;
select is(jsonb_path_query_array(mira_follow_execution_logs(jsonb_build_array(
    jsonb_build_object('user_id', 'a0000000-0000-4000-8000-000000000001', 'task_id', '10000000-0000-4000-8000-000000000001', 'after', 0),
    jsonb_build_object('user_id', 'b0000000-0000-4000-8000-000000000002', 'task_id', '10000000-0000-4000-8000-000000000001', 'after', 0))),
    '$[*].logs[*].message'), '["one", "two"]'::jsonb, 'each watch sees its owner''s lines');
select is(mira_follow_execution_logs(jsonb_build_array(jsonb_build_object('user_id',
    'a0000000-0000-4000-8000-000000000001', 'task_id', '10000000-0000-4000-8000-000000000001', 'after', 0)), 1) #>> '{0,logs,0,message}', 'one',
  'a page is as long as asked');
select is(mira_follow_execution_logs(jsonb_build_array(jsonb_build_object('user_id',
    'a0000000-0000-4000-8000-000000000001', 'task_id', '10000000-0000-4000-8000-000000000001', 'after',
    (select max(seq) from execution_logs)))) -> 0 -> 'logs', '[]'::jsonb, 'nothing after the last line');
select is(mira_follow_execution_logs(jsonb_build_array(jsonb_build_object('user_id',
    'a0000000-0000-4000-8000-000000000001', 'task_id', '10000000-0000-4000-8000-000000000001'))) #>> '{0,status}', 'running', 'the task''s status comes along');

select * from finish();
rollback;
