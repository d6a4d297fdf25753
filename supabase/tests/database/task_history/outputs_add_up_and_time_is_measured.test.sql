begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(7);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_task_history('Report', p_task_id => '10000000-0000-4000-8000-000000000001', p_services_used => '{gmail}');
select update_task_history_status('10000000-0000-4000-8000-000000000001', p_result => '{"a": 1, "access_token": "x"}', p_services_used => '{drive}');
select is((select status from task_history), 'running', 'no status given, none changed');
select update_task_history_status('10000000-0000-4000-8000-000000000001', 'completed', 'Done', p_output_links => '{https://example.com/1}');
select is((select result::jsonb from task_history), '{"a": 1, "access_token": "[redacted]"}'::jsonb, 'what was given stays, secrets do not');
select is((select services_used from task_history), array['drive', 'gmail'], 'services add up');
select is((select output_summary from task_history), 'Done', 'the summary is kept');
select isnt((select completed_at from task_history), null, 'the end is stamped');
select is((select duration_ms from task_history), 0::bigint, 'the database measures the duration');
select insert_task_history('Timed', p_task_id => 'd0000000-0000-4000-8000-000000000001');
select is((update_task_history_status('d0000000-0000-4000-8000-000000000001', 'failed', p_duration_ms => 1234)).duration_ms,
  1234::bigint, 'unless it is given');

select * from finish();
rollback;
