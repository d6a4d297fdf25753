begin;
\ir setup.psql
select plan(24);

insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'ann''s');
insert into public.mira_workflow_nodes (id, workflow_id, type, name) values ('d0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'start', 'start');
insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph('{"start":["start"],"h":["human",{"prompt":"?"}],"end":["end"]}', 'start>h h>end')) x;
select throws_ok($$select public.mira_read_run('b0000000-0000-4000-8000-000000000002', (select id from run))$$, 'PT404', 'run_not_found', 'another tenant cannot read a run');
select throws_ok($$select public.mira_run_events('b0000000-0000-4000-8000-000000000002', (select id from run))$$, 'PT404', 'run_not_found', 'nor follow it');
select throws_ok($$select public.mira_resume_run('b0000000-0000-4000-8000-000000000002', (select id from run), '1')$$, 'PT404', 'run_not_found', 'nor answer');
select throws_ok($$select public.mira_signal_run('b0000000-0000-4000-8000-000000000002', (select id from run), 's')$$, 'PT404', 'run_not_found', 'nor signal');
select throws_ok($$select public.mira_cancel_run('b0000000-0000-4000-8000-000000000002', (select id from run))$$, 'PT404', 'run_not_found', 'nor cancel');
select throws_ok($$select public.mira_fork_run('b0000000-0000-4000-8000-000000000002', (select id from run), 1)$$, 'PT404', 'run_not_found', 'nor fork');
select throws_ok($$select public.mira_read_graph('b0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001')$$, 'PT404', 'workflow_not_found', 'nor see a graph');
select throws_ok($$select public.mira_start_run('b0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001')$$, 'PT404', 'workflow_not_found', 'nor start one');
select throws_ok($$select public.mira_activate_workflow('b0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001')$$, 'PT404', 'workflow_not_found', 'nor activate one');

set local request.jwt.claims = '{"sub":"b0000000-0000-4000-8000-000000000002","role":"authenticated"}';
set local request.jwt.claim.sub = 'b0000000-0000-4000-8000-000000000002';
set local role authenticated;
select is_empty($$select from public.mira_workflows$$, 'a stranger sees no workflow');
select is_empty($$select from public.workflows$$, 'not in the view');
select is_empty($$select from public.mira_workflow_state$$, 'no run');
select is_empty($$select from public.workflow_history$$, 'no history');
select throws_ok($$insert into public.mira_workflow_nodes (workflow_id, type, name) values ('c0000000-0000-4000-8000-000000000001', 'end', 'x')$$, '42501', null, 'cannot add to another''s graph');
select throws_ok($$insert into public.mira_workflows (user_id, name) values ('a0000000-0000-4000-8000-000000000001', 'x')$$, '42501', null, 'cannot author in another''s name');
select throws_ok($$select public.mira_read_run(null, 'c0000000-0000-4000-8000-000000000001')$$, '42501', null, 'and no person calls the engine');
select throws_ok($$update public.mira_workflow_state set status = 'completed'$$, '42501', null, 'or writes run state');
select throws_ok($$insert into public.mira_tool_definitions (name, schema, function_path) values ('mine', '{}', 'https://x.example')$$, '42501', null, 'or adds tools');

reset role;
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;
select is((select count(*) from public.mira_workflow_state), 1::bigint, 'the owner reads their run');
select lives_ok($$insert into public.mira_workflows (name) values ('mine')$$, 'and authors drafts');
select lives_ok($$insert into public.mira_workflow_nodes (workflow_id, type, name) select id, 'start', 'start' from public.mira_workflows where name = 'mine'$$, 'with nodes');
select throws_ok($$update public.mira_workflows set version = 7$$, '42501', null, 'but does not number versions');
select throws_ok($$insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id)
  select w.id, n.id, 'd0000000-0000-4000-8000-000000000001' from public.mira_workflows w join public.mira_workflow_nodes n on n.workflow_id = w.id where w.name = 'mine'$$, '23503', null, 'an edge cannot leave its workflow');
select is((select definition #>> '{nodes,0,type}' from public.workflows where name = 'mine'), 'start', 'the view shows the graph as one document');

select * from finish();
rollback;
