begin;
\ir setup.psql
select plan(30);

create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"c":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>b b>c c>end') $$;
insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain()) x;
select is(public.mira_cancel_run(null, id, 'enough') ->> 'status', 'cancelled', 'a run can be cancelled') from run;
select is(public.mira_cancel_run(null, id) ->> 'accepted', 'false', 'once') from run;
select is(public.mira_advance(id, 1, 1, '{"output":1}')::jsonb ->> 'reason', 'run_finished', 'its worker is told') from run;
select is(public.mira_renew_leases(jsonb_build_array(jsonb_build_object('run_id', id, 'epoch', 1))) -> 'lost', jsonb_build_array(id), 'also when it only asks for more time') from run;
select is((select current_state from public.workflow_executions e where e.id = run.id), 'cancelled', 'the ledger says so') from run;

-- children go with it
insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000009', 'a0000000-0000-4000-8000-000000000001', 'child');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000091', 'c0000000-0000-4000-8000-000000000009', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000092', 'c0000000-0000-4000-8000-000000000009', 'tool', 't', '{"tool":"echo"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000009', 'd0000000-0000-4000-8000-000000000091', 'd0000000-0000-4000-8000-000000000092');
update public.mira_workflows set is_active = true;
delete from run;
insert into run select 'p', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000009"}],"fix":["tool",{"tool":"echo"}],"end":["end"]}', 'start>s s>end s>fix:error fix>end')) x;
select public.mira_cancel_run(null, id) from run;
select is((select array_agg(distinct status) from public.mira_workflow_state s where s.parent_run_id = run.id or s.id = run.id), '{cancelled}'::text[], 'a cancelled parent takes its children along') from run;
delete from run;
insert into run select 'p', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000009"}],"fix":["tool",{"tool":"echo"}],"end":["end"]}', 'start>s s>end s>fix:error fix>end')) x;
select public.mira_cancel_run(null, (reply #>> '{tasks,0,run_id}')::uuid) from run;
select is(pg_temp.names(public.mira_claim_tasks()), 'fix', 'a child cancelled alone is an error its parent can handle');

-- fork
delete from run;
insert into run select 'o', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n":1}') x;
do $$ begin perform pg_temp.done(id, 1, '"A"') from run; perform pg_temp.done(id, 2, '"B"') from run; perform pg_temp.done(id, 3, '"C"') from run; end $$;
create temp table fork as select x as reply, (x ->> 'run_id')::uuid as id from run, public.mira_fork_run(null, run.id, 2, p_lease_ms => 60000) x;
select is(pg_temp.names(reply), 'b', 'a fork does the step again') from fork;
select is(reply #> '{tasks,0,state}', '{"n":1,"a":"A"}', 'with the state it had before') from fork;
select is((select jsonb_path_query_array(public.mira_read_run(null, id) -> 'steps', '$[*].node')), '["a"]', 'and the history up to there') from fork;
select is(pg_temp.names(pg_temp.done(id, (reply #>> '{tasks,0,seq}')::int, '"B2"')), 'c', 'from there it is a run like any other') from fork;
select is(public.mira_read_run(null, id) -> 'state', '{"n":1,"a":"A","b":"B","c":"C"}', 'the first run is untouched') from run;
select is(public.mira_fork_run(null, run.id, 3, '{"edited":true}', 60000) #> '{tasks,0,state}', '{"edited":true}', 'a fork may edit the state') from run;
select throws_ok($$select public.mira_fork_run(null, (select id from run), 77)$$, 'PT404', 'step_not_found', 'from a step that was');

-- fork in the middle of parallel branches
delete from run;
insert into run select 'par', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"j":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a start>b a>j b>j j>end')) x;
do $$ begin perform pg_temp.done(id, 1) from run; perform pg_temp.done(id, 2) from run; perform pg_temp.done(id, 3) from run; end $$;
select is(pg_temp.names(public.mira_fork_run(null, run.id, 1, p_lease_ms => 60000)), 'a,b', 'branches open at that moment are open again') from run;
select is(pg_temp.names(public.mira_fork_run(null, run.id, 2, p_lease_ms => 60000)), 'b', 'branches that had arrived have arrived') from run;

-- events
select is(jsonb_path_query_array(public.mira_run_events(null, id), '$.events[*].event'), '["run","step","step","step","end"]', 'a run can be followed from its start') from run;
select is(jsonb_path_query_array(public.mira_run_events(null, id, 3), '$.events[*].id'), '[4,5]', 'or from where one left off') from run;
select is(public.mira_run_events(null, id, 5) ->> 'finished', 'true', 'until nothing more will come') from run;
select is((select jsonb_object_agg(n ->> 'name', coalesce(g #> array['visited', n ->> 'id'], '0')) from run, public.mira_read_graph(null, p_run_id => id) g, jsonb_array_elements(g -> 'nodes') n),
  '{"start":0,"a":1,"b":1,"j":1,"end":0}', 'its graph shows the path');

-- release, renew
delete from run;
insert into run select 'l', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain()) x;
select is(public.mira_renew_leases(jsonb_build_array(jsonb_build_object('run_id', id, 'epoch', 1)), 300000) -> 'lost', '[]', 'a lease can be renewed') from run;
select is((select due_at from public.mira_workflow_state s where s.id = run.id), now() + interval '5 minutes', 'for as long as asked') from run;
select is(public.mira_release_runs(jsonb_build_array(jsonb_build_object('run_id', id, 'epoch', 1))) ->> 'released', '1', 'or given back') from run;
select is(pg_temp.names(public.mira_claim_tasks(p_run_id => id)), 'a', 'and is had at once by the next') from run;
select is((select stalls from public.mira_workflow_state s where s.id = run.id), 0::smallint, 'without counting as a crash') from run;

-- retention
update public.mira_workflow_state set finished_at = now() - interval '40 days' where status in ('completed', 'cancelled');
select cmp_ok(private.purge_runs(), '>=', 3, 'old runs are deleted');
select is_empty($$select from private.run_steps s where not exists (select from public.mira_workflow_state r where r.number = s.run)$$, 'and leave nothing behind');
select ok(exists (select from public.mira_workflow_state where id = (select id from run)), 'a run under way stays');
update private.workflow_versions set used_at = now() - interval '40 days';
delete from public.workflow_executions where id <> (select id from run);
select private.purge_runs();
select is((select count(*) from private.workflow_versions where workflow_id is null), 1::bigint, 'inline graphs go when no run needs them');
delete from auth.users;
select is((select count(*) from private.run_steps) + (select count(*) from public.mira_workflow_state) + (select count(*) from private.version_nodes), 0::bigint, 'a deleted user takes everything along');

select * from finish();
rollback;
