begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_execution_logs((select jsonb_agg(jsonb_build_object('task_id', '10000000-0000-4000-8000-000000000001', 'message', 'line ' || n,
  'level', case when n % 3 = 0 then 'error' else 'info' end, 'step', 's' || n % 2) order by n)
  from generate_series(1, 9) n));
select is((select array_agg(message) from get_execution_logs_by_task('10000000-0000-4000-8000-000000000001', p_limit => 4)),
  array['line 1', 'line 2', 'line 3', 'line 4'], 'a page is the oldest lines, in order');
select is((select array_agg(message) from get_execution_logs_by_task('10000000-0000-4000-8000-000000000001',
    p_after_seq => (select seq from execution_logs where message = 'line 7'))),
  array['line 8', 'line 9'], 'the next page starts after the last number');
select is((select array_agg(message) from get_execution_logs_filtered(p_level => 'error')),
  array['line 9', 'line 6', 'line 3'], 'filtered lines come newest first');
select is((select array_agg(message) from get_execution_logs_filtered(p_task_id => '10000000-0000-4000-8000-000000000001', p_search => 'LINE 9')),
  array['line 9'], 'words are found in any case');
select is((select array_agg(message) from get_execution_logs_filtered(p_level => 'error',
    p_before_seq => (select seq from execution_logs where message = 'line 6'))),
  array['line 3'], 'the next page lies before the last number');
select is((select array_agg(message) from get_execution_logs_filtered(p_step => 's0', p_limit => 2,
    p_after_seq => (select seq from execution_logs where message = 'line 2'))),
  array['line 4', 'line 6'], 'p_after_seq turns the order round');
-- imported: its number is the newest, its time the oldest
reset role;
insert into execution_logs (user_id, task_id, message, created_at)
  values ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'imported', now() - interval '1 year');
set local role authenticated;
select is((select array_agg(found.message) from execution_logs cursor cross join lateral get_execution_logs_filtered(
    p_before_seq => cursor.seq, p_cursor_at => cursor.created_at) found where cursor.message = 'line 2'),
  array['line 1', 'imported'], 'a person''s lines go by time, whatever their numbers');
select is((select array_agg(found.message) from execution_logs cursor cross join lateral get_execution_logs_filtered(
    p_after_seq => cursor.seq, p_cursor_at => cursor.created_at, p_limit => 2) found where cursor.message = 'imported'),
  array['line 1', 'line 2'], 'in both directions');
select is((select count(*) from get_execution_logs_filtered(p_search => '%')), 0::bigint,
  'a percent sign is a percent sign');

select * from finish();
rollback;
