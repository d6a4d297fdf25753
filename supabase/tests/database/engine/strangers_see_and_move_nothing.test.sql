begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(24);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into public.mira_tool_definitions (name, schema, function_path) values
  ('echo', '{"type": "object"}', 'internal:echo') on conflict do nothing;
-- a graph in two lines: nodes as {name: [type, config]}, edges as 'a>b' or 'a>b:label'
create function pg_temp.graph(p_nodes jsonb, p_edges text, p_more jsonb default '{}') returns jsonb language sql as $$
  select p_more || jsonb_build_object(
    'nodes', (select jsonb_agg(jsonb_build_object('name', key, 'type', value ->> 0, 'config', coalesce(value -> 1, '{}'))) from jsonb_each(p_nodes)),
    'edges', (select jsonb_agg(jsonb_build_object('source', m[1], 'target', m[2], 'condition_label', m[3]))
      from regexp_matches(p_edges, '(\w+)>(\w+)(?::(\w+))?', 'g') m))
$$;
create function pg_temp.start(p_graph jsonb, p_input jsonb default '{}', p_options jsonb default '{}', p_lease int default 60000) returns jsonb
language sql as $$ select public.mira_start_run('a0000000-0000-4000-8000-000000000001', p_workflow => p_graph, p_input => p_input, p_options => p_options, p_lease_ms => p_lease) $$;
-- names of the tasks of a reply
create function pg_temp.names(p_reply jsonb) returns text language sql as $$
  select coalesce(string_agg(t #>> '{node,name}', ',' order by (t ->> 'seq')::int), '') from jsonb_array_elements(p_reply -> 'tasks') t $$;
create function pg_temp.done(p_run uuid, p_seq int, p_output jsonb default '1') returns jsonb language sql as $$
  select public.mira_advance(p_run, (select lease_epoch from public.mira_workflow_state where id = p_run), p_seq, jsonb_build_object('output', p_output)) $$;
create function pg_temp.failed(p_run uuid, p_seq int, p_error jsonb) returns jsonb language sql as $$
  select public.mira_advance(p_run, (select lease_epoch from public.mira_workflow_state where id = p_run), p_seq, jsonb_build_object('error', p_error)) $$;
-- the clock of this transaction stands still: let a run's lease lapse, or its timers come
create function pg_temp.lapse(p_run uuid) returns void language sql as $$
  update public.mira_workflow_state set due_at = now() - interval '1 second', cursor = (
    select jsonb_build_object('o', coalesce(jsonb_object_agg(key, case when value ? 'at' then value || '{"at": "2000-01-01"}' else value end), '{}'))
      || (cursor - 'o') from jsonb_each(cursor -> 'o')) where id = p_run $$;
create temp table run (name text primary key, id uuid, reply jsonb) on commit drop;

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
