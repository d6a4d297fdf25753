begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(6);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is(
  insert_execution_log('10000000-0000-4000-8000-000000000001', 'first', p_id => 'c0000000-0000-4000-8000-000000000001'),
  'c0000000-0000-4000-8000-000000000001'::uuid, 'the chosen id is answered');
select is(
  insert_execution_log('10000000-0000-4000-8000-000000000001', 'again', p_id => 'c0000000-0000-4000-8000-000000000001'),
  'c0000000-0000-4000-8000-000000000001'::uuid, 'a retry answers the same id');
select is((select array_agg(message) from execution_logs), array['first'], 'and stores nothing');
select is(
  insert_execution_logs('[
    {"task_id":"10000000-0000-4000-8000-000000000001","message":"x","id":"c0000000-0000-4000-8000-000000000001"},
    {"task_id":"10000000-0000-4000-8000-000000000001","message":"y","id":"c0000000-0000-4000-8000-000000000002"},
    {"task_id":"10000000-0000-4000-8000-000000000001","message":"y","id":"c0000000-0000-4000-8000-000000000002"},
    {"task_id":"10000000-0000-4000-8000-000000000001","message":"z"}]') - 'logs',
  '{"accepted": 2, "duplicates": 2}'::jsonb, 'a batch counts what was new and what was not');
select is((select array_agg(message order by seq) from execution_logs), array['first', 'y', 'z'],
  'in the order of the batch');
select is(insert_execution_logs('[{"task_id":"10000000-0000-4000-8000-000000000001","message":"x","id":"c0000000-0000-4000-8000-000000000001"}]')
  #>> '{logs,0,seq}', (select seq::text from execution_logs where message = 'first'),
  'a repeated line answers the number of the first');

select * from finish();
rollback;
