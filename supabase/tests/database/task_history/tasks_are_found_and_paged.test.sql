begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(6);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into task_history (user_id, description, status, services_used, created_at)
select 'a0000000-0000-4000-8000-000000000001', 'task ' || n, case when n % 3 = 0 and n < 9 then 'failed' else 'completed' end,
  case when n % 2 = 0 then '{gmail}' else '{}' end::text[], now() - (10 - n) * interval '1 hour'
from generate_series(1, 9) n;
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is((select array_agg(description) from get_recent_task_history(2)), array['task 9', 'task 8'], 'the newest tasks');
select is((select array_agg(description) from get_task_history_filtered(p_status => 'failed')), array['task 6', 'task 3'], 'by status');
select is((select array_agg(description) from get_task_history_filtered(p_service => 'gmail', p_limit => 2)), array['task 8', 'task 6'], 'by service');
select is((select array_agg(description) from get_task_history_filtered(p_search => 'TASK 7')), array['task 7'], 'by words');
select is((select array_agg(description) from get_task_history_filtered(p_limit => 3,
    p_before_id => (select id from task_history where description = 'task 4'))), array['task 3', 'task 2', 'task 1'],
  'the next page lies before the last row');
select is((select count(*) from get_task_history_filtered(p_from => now() - interval '4 hours' - interval '30 minutes')), 4::bigint, 'by time');

select * from finish();
rollback;
