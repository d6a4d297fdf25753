begin;
\ir setup.psql
select plan(13);

insert into public.mira_workflows (id, user_id, name) values
  ('c0000000-0000-4000-8000-000000000006', 'a0000000-0000-4000-8000-000000000001', 'works'),
  ('c0000000-0000-4000-8000-000000000007', 'a0000000-0000-4000-8000-000000000001', 'has a child of its own');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000061', 'c0000000-0000-4000-8000-000000000006', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000062', 'c0000000-0000-4000-8000-000000000006', 'tool', 't', '{"tool":"echo"}'),
  ('d0000000-0000-4000-8000-000000000071', 'c0000000-0000-4000-8000-000000000007', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000072', 'c0000000-0000-4000-8000-000000000007', 'subworkflow', 's', '{"workflow_id":"c0000000-0000-4000-8000-000000000006"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000006', 'd0000000-0000-4000-8000-000000000061', 'd0000000-0000-4000-8000-000000000062'),
  ('c0000000-0000-4000-8000-000000000007', 'd0000000-0000-4000-8000-000000000071', 'd0000000-0000-4000-8000-000000000072');
update public.mira_workflows set is_active = true where name = 'works';
update public.mira_workflows set is_active = true where name <> 'works';

-- a tool beside a sub-workflow that has one of its own
create function pg_temp.begun(p_name text, p_options jsonb default '{}') returns void language sql as $$
  insert into run select p_name, (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
    '{"start":["start"],"a":["tool",{"tool":"echo"}],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000007"}],"end":["end"]}',
    'start>a start>s a>end s>end'), '{}', p_options) x $$;
create function pg_temp.below(p_name text) returns text language sql as $$
  select string_agg(s.status, ',' order by s.depth, s.status) from public.mira_workflow_state s
  where s.depth > 0 and (s.parent_run_id = (select id from run where name = p_name)
    or s.parent_run_id in (select c.id from public.mira_workflow_state c where c.parent_run_id = (select id from run where name = p_name))) $$;
create function pg_temp.seq(p_name text, p_node text) returns int language sql as $$
  select (t ->> 'seq')::int from run, jsonb_array_elements(reply -> 'tasks') t where name = p_name and t #>> '{node,name}' = p_node $$;

select pg_temp.begun('fails');
select is(pg_temp.below('fails'), 'running,running', 'a child and its child are at work');
insert into run select 'its grandchild', s.id, null from public.mira_workflow_state s where s.depth = 2;
do $$ begin perform pg_temp.failed(id, pg_temp.seq('fails', 'a'), '{"code":"no","message":"no","retryable":false}') from run where name = 'fails'; end $$;
select is((select status from public.mira_workflow_state where id = (select id from run where name = 'fails')), 'failed', 'their parent fails of another step');
select is(pg_temp.below('fails'), 'cancelled,cancelled', 'both are stopped');
select is((select error ->> 'message' from public.mira_workflow_state where id = (select id from run where name = 'its grandchild')), 'The run that it was part of needs it no longer.', 'and say why');
select is((select array_agg(distinct e.current_state) from public.workflow_executions e join public.mira_workflow_state s using (id) where s.depth > 0), '{cancelled}', 'the ledger agrees');
select is((select pg_temp.done(id, 1) ->> 'reason' from run where name = 'its grandchild'), 'run_finished', 'who was at work on one is told');
select is((select count(*)::int from public.mira_workflow_state where due_at is not null or leased_at is not null), 0, 'nothing is left to be done');

-- its time is up
select pg_temp.begun('late', '{"budget":{"time_ms":1000}}');
do $$ begin
  update public.mira_workflow_state set deadline_at = now() where id = (select id from run where name = 'late');
  perform pg_temp.lapse(id) from run where name = 'late';
  perform public.mira_claim_tasks(p_run_id => id) from run where name = 'late';
end $$;
select is((select error ->> 'code' from public.mira_workflow_state where id = (select id from run where name = 'late')), 'deadline_exceeded', 'a run that is out of time');
select is(pg_temp.below('late'), 'cancelled,cancelled', 'stops what is below it');

-- a fan-out that fails while its run goes on
insert into run select 'map', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"m":["map",{"items":"$.l","each":{"type":"subworkflow","config":{"workflow_id":"c0000000-0000-4000-8000-000000000006"}}}],"fix":["tool",{"tool":"echo"}]}',
  'start>m m>fix:error'), '{"l":[1,2,3]}') x;
do $$ begin perform pg_temp.failed(s.id, 1, '{"code":"no","message":"no","retryable":false}') from public.mira_workflow_state s
  where s.parent_run_id = (select id from run where name = 'map') and s.parent_item = 1; end $$;
select is((select status from public.mira_workflow_state where id = (select id from run where name = 'map')), 'running', 'a run that knows what to do when its fan-out fails goes on');
select is((select string_agg(s.status, ',' order by s.parent_item) from public.mira_workflow_state s where s.parent_run_id = (select id from run where name = 'map')), 'cancelled,failed,cancelled', 'the other elements do not');

-- taken up again
do $$ begin perform public.mira_redrive_runs(null, array(select id from run where name = 'fails')); perform public.mira_claim_tasks(p_run_id => id) from run where name = 'fails'; end $$;
select is((select status || ' ' || coalesce(pg_temp.below('fails'), '') from public.mira_workflow_state where id = (select id from run where name = 'fails')),
  'running cancelled,running,cancelled,running', 'a failed run that is taken up again begins them anew');
select is((select count(*)::int from public.mira_workflow_state where status = 'running' and depth = 2), 1, 'and only those');

select * from finish();
rollback;
