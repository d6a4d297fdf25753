begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(5);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
create temp table run as
select (r ->> 'run_id')::uuid as id from public.mira_start_run('a0000000-0000-4000-8000-000000000001',
  p_workflow => '{"name":"w","nodes":[{"name":"start","type":"start"},{"name":"a","type":"llm","config":{"prompt":"x"}},{"name":"end","type":"end"}],"edges":[{"source":"start","target":"a"},{"source":"a","target":"end"}]}',
  p_lease_ms => 60000) r;
grant select on run to authenticated, service_role;

set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;
select is((update_task_history_status(id, 'cancelled')).status, 'cancelled', 'a person may call their task cancelled while its run is at work') from run;
reset role;
select is(public.mira_advance(id, 1, 1, '{"output": "A"}')::jsonb ->> 'status', 'completed', 'and the run goes on to its end') from run;
select is((select status from task_history where id = run.id), 'completed', 'which the task then says') from run;

set local role service_role;
select throws_ok($$update task_history set status = 'running'$$, 'PT409', 'task_transition_refused', 'an end is an end for the secret key, too');
select throws_ok($$update task_history set updated_at = now()$$, '42501', null, 'and the stamp is the database''s');

select * from finish();
rollback;
