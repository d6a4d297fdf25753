begin;
\ir setup.psql
select plan(19);

insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000009', 'a0000000-0000-4000-8000-000000000001', 'child');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000091', 'c0000000-0000-4000-8000-000000000009', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000092', 'c0000000-0000-4000-8000-000000000009', 'tool', 't', '{"tool":"echo"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000009', 'd0000000-0000-4000-8000-000000000091', 'd0000000-0000-4000-8000-000000000092');
update public.mira_workflows set is_active = true;

create function pg_temp.parent(p_config jsonb) returns jsonb language sql as $$
  select pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'fix', '["tool",{"tool":"echo"}]'::jsonb, 'end', '["end"]'::jsonb,
    's', jsonb_build_array('subworkflow', '{"workflow_id":"c0000000-0000-4000-8000-000000000009"}' || p_config)), 'start>s s>end s>fix:error fix>end') $$;
create function pg_temp.mapped(p_config jsonb) returns jsonb language sql as $$
  select pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'end', '["end"]'::jsonb,
    'm', jsonb_build_array('map', jsonb_build_object('items', '$.l', 'max_failures', 1, 'each', jsonb_build_object('type', 'subworkflow',
      'config', '{"workflow_id":"c0000000-0000-4000-8000-000000000009"}' || p_config)))), 'start>m m>end') $$;
create function pg_temp.children(p_run text) returns table (id uuid, status text, due_in int, item int) language sql as $$
  select s.id, s.status, extract(epoch from s.due_at - now())::int, s.parent_item from public.mira_workflow_state s
  where s.parent_run_id = (select run.id from run where name = p_run) order by s.parent_item, s.id $$;
create function pg_temp.newest(p_run text, p_item int default null) returns uuid language sql as $$
  select c.id from pg_temp.children(p_run) c where c.item is not distinct from p_item order by c.id desc limit 1 $$;
create function pg_temp.break(p_run uuid) returns jsonb language sql as $$
  select pg_temp.failed(p_run, 1, '{"code":"no","message":"no","retryable":false}') $$;
create function pg_temp.begin(p_run uuid) returns jsonb language plpgsql as $$
begin
  update public.mira_workflow_state set due_at = now() where id = p_run;
  return public.mira_claim_tasks(p_run_id => p_run);
end $$;

-- time
insert into run select 'slow', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"timeout_ms":5000}')) x;
select is((select extract(epoch from deadline_at - now())::int from public.mira_workflow_state where id = pg_temp.newest('slow')), 5, 'a sub-workflow has the time its node gives it');
do $$ begin update public.mira_workflow_state set deadline_at = now() where id = pg_temp.newest('slow'); perform pg_temp.begin(pg_temp.newest('slow')); end $$;
select is((select status from pg_temp.children('slow')), 'failed', 'then it is over');
select is((select public.mira_read_run(null, id) #>> '{state,error,message}' from run where name = 'slow'), 'The sub-workflow failed: The run''s time is up.', 'and its parent is told why');
insert into run select 'slow map', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapped('{"timeout_ms":7000}'), '{"l":[1]}') x;
select is((select extract(epoch from deadline_at - now())::int from public.mira_workflow_state where id = pg_temp.newest('slow map', 0)), 7, 'one for an element as well');

-- attempts
insert into run select 'once', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{}')) x;
do $$ begin perform pg_temp.break(pg_temp.newest('once')); end $$;
select is((select count(*)::int from pg_temp.children('once')), 1, 'by default a sub-workflow that failed is not begun anew: its steps have had their attempts');

insert into run select 'thrice', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"retry":{"max_attempts":3,"base_ms":60000,"max_ms":60000,"jitter":0}}')) x;
do $$ begin perform pg_temp.break(pg_temp.newest('thrice')); end $$;
select is((select array_agg(status || ' ' || coalesce(due_in, 0)) from pg_temp.children('thrice')), '{"failed 0","pending 60"}', 'a retry begins it anew, after its wait');
select is((select public.mira_read_run(null, id) #>> '{waiting,0,child_run_id}' from run where name = 'thrice'), pg_temp.newest('thrice')::text, 'who looks is shown the newest');
do $$ begin perform pg_temp.begin(pg_temp.newest('thrice')); perform pg_temp.break(pg_temp.newest('thrice')); end $$;
select is((select count(*)::int from pg_temp.children('thrice')), 3, 'up to its number of attempts');
do $$ begin perform pg_temp.begin(pg_temp.newest('thrice')); end $$;
select is(pg_temp.names(pg_temp.break(pg_temp.newest('thrice'))), 'fix', 'then the step has failed');
select is((select jsonb_path_query_array(public.mira_run_events(null, id), '$.events[*].event') from run where name = 'thrice'), '["run","retry","retry","step"]', 'and all of it is on record');

insert into run select 'mended', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"retry":{"max_attempts":2}}')) x;
do $$ begin perform pg_temp.break(pg_temp.newest('mended')); perform pg_temp.begin(pg_temp.newest('mended')); perform pg_temp.done(pg_temp.newest('mended'), 1, '"fine"'); end $$;
select is((select public.mira_read_run(null, id) #>> '{state,s,t}' from run where name = 'mended'), 'fine', 'an attempt that succeeds is the step''s output');

insert into run select 'stopped', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"retry":{"max_attempts":3}}')) x;
do $$ begin perform public.mira_cancel_run(null, pg_temp.newest('stopped')); end $$;
select is((select count(*)::int from pg_temp.children('stopped')), 1, 'what a person cancelled is not begun anew');
insert into run select 'both', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"retry":{"max_attempts":3}}')) x;
do $$ begin perform pg_temp.break(pg_temp.newest('both')); perform public.mira_cancel_run(null, id) from run where name = 'both'; end $$;
select is((select array_agg(status) from pg_temp.children('both')), '{failed,cancelled}', 'a cancelled parent takes along the attempt that waits');

insert into run select 'gone', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.parent('{"retry":{"max_attempts":3}}')) x;
do $$ begin
  update public.mira_workflows set is_active = false;
  perform pg_temp.break(pg_temp.newest('gone'));
  update public.mira_workflows set is_active = true;
end $$;
select is((select status from public.mira_workflow_state where id = (select id from run where name = 'gone')), 'running', 'a workflow that is no longer to be had ends the attempts');
select is((select count(*)::int from pg_temp.children('gone')), 1, 'without another one');

-- elements of a map
insert into run select 'map', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapped('{"retry":{"max_attempts":2}}'), '{"l":[1,2]}') x;
do $$ begin perform pg_temp.break(pg_temp.newest('map', 0)); perform pg_temp.done(pg_temp.newest('map', 1), 1, '"two"'); end $$;
select is((select string_agg(item || ' ' || status, ',' order by item, status) from pg_temp.children('map')), '0 failed,0 pending,1 completed', 'an element has attempts, too');
do $$ begin perform pg_temp.begin(pg_temp.newest('map', 0)); perform pg_temp.done(pg_temp.newest('map', 0), 1, '"one"'); end $$;
select is((select jsonb_path_query_array(public.mira_read_run(null, id) -> 'state', '$.m[*].t') from run where name = 'map'), '["one","two"]', 'and counts once, whichever succeeds');
insert into run select 'lost', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapped('{"retry":{"max_attempts":2}}'), '{"l":[1]}') x;
do $$ begin perform pg_temp.break(pg_temp.newest('lost', 0)); perform pg_temp.begin(pg_temp.newest('lost', 0)); perform pg_temp.break(pg_temp.newest('lost', 0)); end $$;
select is((select public.mira_read_run(null, id) #> '{state,m}' from run where name = 'lost'), '[null]', 'or fails once');
select is((select failed from private.run_maps where run_id = (select id from run where name = 'lost')), 1, 'and is one failure');

select * from finish();
rollback;
