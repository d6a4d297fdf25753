begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(6);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into task_history (user_id, description, status, duration_ms, services_used, created_at) values
  ('a0000000-0000-4000-8000-000000000001', '1', 'completed', 100, '{gmail}', now()),
  ('a0000000-0000-4000-8000-000000000001', '2', 'completed', 300, '{gmail,drive}', now()),
  ('a0000000-0000-4000-8000-000000000001', '3', 'failed', 50, '{}', now()),
  ('a0000000-0000-4000-8000-000000000001', '4', 'running', null, '{}', now()),
  ('a0000000-0000-4000-8000-000000000001', '5', 'cancelled', null, '{}', now() - interval '3 days'),
  ('b0000000-0000-4000-8000-000000000002', '6', 'completed', 1, '{gmail}', now());
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is((select (total, completed, failed, cancelled, active)::text from get_task_statistics(p_to => now() + interval '1 minute')),
  '(5,2,1,1,1)', 'one row for the whole range');
select is((select success_rate from get_task_statistics(p_to => now() + interval '1 minute')), 0.6667, 'success is completed of ended by themselves');
select is((select services from get_task_statistics(p_to => now() + interval '1 minute')), '{"gmail": 2, "drive": 1}'::jsonb, 'tasks per service');
select is((select array_agg(total order by period_start) from get_task_statistics(p_period => 'day', p_to => now() + interval '1 minute')),
  array[1, 4]::bigint[], 'one row per day');
select throws_ok($$select * from get_task_statistics(p_period => 'eon')$$, 'PT422', 'invalid_period', 'periods are five');
select throws_ok($$select * from get_task_statistics(p_from => now() - interval '2 years')$$, 'PT422', 'invalid_range', 'at most 366 days');

select * from finish();
rollback;
