begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

insert into projects (name, prompt) values ('site', 'Build me a site');
select is((select status || progress from projects), 'draft0', 'a project begins as a draft');
select throws_ok($$update projects set status = 'completed'$$, 'PT409', 'project_transition_refused', 'a draft is not done');
select lives_ok($$update projects set status = 'running', progress = 40, current_agent = 'Planner'$$, 'it runs');
select lives_ok($$update projects set status = 'completed'$$, 'it completes');
select is((select progress from projects), 100::smallint, 'and is at 100');
insert into agent_logs (project_id, agent_name, agent_index, input) select id, 'Planner', 0, '{"prompt": "x", "secret": "y"}' from projects;
select is((select input from agent_logs), '{"prompt": "x", "secret": "[redacted]"}'::jsonb, 'an agent''s input is kept without secrets');
select lives_ok($$update agent_logs set status = 'completed', output = '{"plan": []}'$$, 'the agent completes');
select throws_ok($$update agent_logs set status = 'running'$$, 'PT409', 'agent_log_transition_refused', 'and stays so');
delete from projects;
select is_empty($$select * from agent_logs$$, 'with its project go its agents'' logs');

select * from finish();
rollback;
