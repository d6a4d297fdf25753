begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(8);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into execution_logs (user_id, task_id, message, created_at)
select 'a0000000-0000-4000-8000-000000000001'::uuid, gen_random_uuid(), 'ann old', now() - interval '91 days' from generate_series(1, 3)
union all select 'b0000000-0000-4000-8000-000000000002', gen_random_uuid(), 'ben old', now() - interval '92 days' from generate_series(1, 2);
insert into execution_logs (user_id, task_id, message) values
  ('a0000000-0000-4000-8000-000000000001', gen_random_uuid(), 'ann new'),
  ('b0000000-0000-4000-8000-000000000002', gen_random_uuid(), 'ben new');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select throws_ok($$select delete_old_execution_logs(0)$$, 'PT422', 'invalid_days', 'zero days is a mistake');
select is(delete_old_execution_logs(90), 3, 'a person deletes their own old lines');
set local role service_role;
select is((select count(*) from execution_logs where message = 'ben old'), 2::bigint, 'and nobody else''s');
select is(delete_old_execution_logs(90, 1), 1, 'the service deletes everybody''s, as many as asked');
select is(delete_old_execution_logs(90), 1, 'and the rest with the next call');
select is(delete_old_execution_logs(90), 0, 'until there is nothing to delete');
select is((select array_agg(message order by seq) from execution_logs), array['ann new', 'ben new'], 'young lines stay');
reset role;
insert into execution_logs (user_id, task_id, message, created_at)
  values ('b0000000-0000-4000-8000-000000000002', gen_random_uuid(), 'imported', now() - interval '1 year');
set local role service_role;
select is(delete_old_execution_logs(90, 1), 1, 'an old line behind young ones is found through its owner');

select * from finish();
rollback;
