begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is(insert_task_history('Report', p_task_id => '10000000-0000-4000-8000-000000000001', p_status => 'pending'), '10000000-0000-4000-8000-000000000001'::uuid, 'a task is recorded');
select is(insert_task_history('Other words', p_task_id => '10000000-0000-4000-8000-000000000001'), '10000000-0000-4000-8000-000000000001'::uuid, 'the same id again');
select is((select description from task_history), 'Report', 'changes nothing');
select is((update_task_history_status('10000000-0000-4000-8000-000000000001', 'running')).status, 'running', 'pending to running');
select is((update_task_history_status('10000000-0000-4000-8000-000000000001', 'completed')).status, 'completed', 'running to completed');
select is((update_task_history_status('10000000-0000-4000-8000-000000000001', 'completed')).status, 'completed', 'the same again is no change');
select throws_ok($$select update_task_history_status('10000000-0000-4000-8000-000000000001', 'running')$$, 'PT409', 'task_transition_refused', 'an end is an end');
select throws_ok($$select update_task_history_status('10000000-0000-4000-8000-000000000001', 'asleep')$$, 'PT422', 'invalid_status', 'statuses are six');
select throws_ok($$select update_task_history_status(gen_random_uuid(), 'running')$$, 'PT404', 'task_not_found', 'what is not there is not found');

select * from finish();
rollback;
