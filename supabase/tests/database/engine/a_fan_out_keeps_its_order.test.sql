begin;
\ir setup.psql
select plan(32);

create function pg_temp.mapper(p_more jsonb default '{}') returns jsonb language sql as $$ select pg_temp.graph(
  jsonb_build_object('start', '["start"]'::jsonb, 'm', jsonb_build_array('map', '{"items":"$.list","each":{"type":"tool","config":{"tool":"echo"}},"batch":10}'::jsonb || p_more),
    'after', '["tool",{"tool":"echo"}]'::jsonb, 'end', '["end",{"output":"$.m"}]'::jsonb), 'start>m m>after after>end') $$;
create function pg_temp.results(p_task jsonb) returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('idx', i -> 'idx', 'attempt', i -> 'attempt', 'output', (i ->> 'value')::int * 2)) from jsonb_array_elements(p_task -> 'items') i $$;

insert into run select 'empty', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapper(), '{"list":[]}') x;
select is(pg_temp.names(reply), 'after', 'an empty list is done at once') from run;
select is((select state_data -> 'm' from public.mira_workflow_state s where s.id = run.id), '[]', 'with an empty result') from run;

delete from run;
insert into run select 'm', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapper(), jsonb_build_object('list', (select jsonb_agg(i) from generate_series(1, 25) i))) x;
select is(jsonb_array_length(reply #> '{tasks,0,items}'), 10, 'the first batch comes with the reply') from run;
select is(reply #>> '{tasks,0,node,type}', 'tool', 'each item is what the map says') from run;
create temp table second as select public.mira_claim_tasks() -> 'tasks' -> 0 as task;
select is((select task #>> '{items,0,idx}' from second), '10', 'another worker takes the next batch');
create temp table third as select public.mira_advance_items(run.id, 1, pg_temp.results(task)) as r from run, second;
select is((select jsonb_array_length(r #> '{tasks,0,items}') from third), 5, 'who returns a batch gets the rest');
select is(public.mira_advance_items(run.id, 1, pg_temp.results(r #> '{tasks,0}')) -> 'tasks', '[]', 'then nothing is left to take') from run, third;
select is(public.mira_advance_items(run.id, 1, pg_temp.results(task)) ->> 'status', 'running', 'a batch reported twice counts once') from run, second;
select is(public.mira_read_run(null, id) #> '{waiting,0,remaining}', '10', 'ten are still out') from run;
select is(pg_temp.names(public.mira_advance_items(id, 1, pg_temp.results(reply #> '{tasks,0}'))), 'after', 'the last batch joins') from run;
select is(pg_temp.done(id, 2) -> 'output', (select jsonb_agg(i * 2) from generate_series(1, 25) i), 'results stand in the order of the items') from run;

-- one poisoned item in a thousand
delete from run;
insert into run select 'p', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapper('{"max_failures":1,"batch":1000,"retry":{"max_attempts":2,"base_ms":0}}'),
  jsonb_build_object('list', (select jsonb_agg(i) from generate_series(1, 1000) i))) x;
create function pg_temp.poisoned(p_items jsonb) returns jsonb language sql as $$
  select jsonb_agg(case when i ->> 'value' = '500' then (i - 'value') || '{"error":{"code":"poison","message":"bad"}}'
    else (i - 'value') || jsonb_build_object('output', (i ->> 'value')::int) end) from jsonb_array_elements(p_items) i $$;
select is(jsonb_array_length(reply #> '{tasks,0,items}'), 1000, 'a map may hand out all its items at once') from run;
create temp table rest as select public.mira_advance_items(id, 1, pg_temp.poisoned(reply #> '{tasks,0,items}')) as reply from run;
select is((select jsonb_path_query_array(reply, '$.tasks[*].items[*].idx') from rest), '[499]', 'only the poisoned item is tried again');
select is((select pg_temp.names(public.mira_advance_items(run.id, 1, pg_temp.poisoned(rest.reply #> '{tasks,0,items}'))) from run, rest), 'after', 'and given up');
select is((select state_data #> '{m,499}' from public.mira_workflow_state s where s.id = run.id), 'null', 'it is null in the result') from run;
select is((select jsonb_array_length(state_data -> 'm') from public.mira_workflow_state s where s.id = run.id), 1000, 'and the other 999 are there') from run;

-- failures beyond what is allowed
delete from run;
insert into run select 'f', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.mapper(), '{"list":[1,2,3]}') x;
select is(public.mira_advance_items(id, 1, '[{"idx":1,"attempt":1,"error":{"code":"bad","message":"no","retryable":false}}]') #>> '{error,code}', 'bad', 'one failure too many fails the step') from run;
select is(public.mira_advance_items(id, 1, '[{"idx":0,"attempt":1,"output":1}]') ->> 'accepted', 'false', 'and late items change nothing') from run;
select is(public.mira_redrive_runs(null, array[id]) ->> 'redriven', '1', 'driven again') from run;
select is(jsonb_array_length(public.mira_claim_tasks(p_run_id => id) #> '{tasks,0,items}'), 3, 'the unfinished items come back') from run;
select is(pg_temp.start(pg_temp.mapper(), '{"list":5}') #>> '{error,code}', 'map_items_not_array', 'a list that is none fails by name');

-- each item a workflow of its own
insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000009', 'a0000000-0000-4000-8000-000000000001', 'child');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000091', 'c0000000-0000-4000-8000-000000000009', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000092', 'c0000000-0000-4000-8000-000000000009', 'tool', 't', '{"tool":"echo"}'),
  ('d0000000-0000-4000-8000-000000000093', 'c0000000-0000-4000-8000-000000000009', 'end', 'end', '{"output":"$.t"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000009', 'd0000000-0000-4000-8000-000000000091', 'd0000000-0000-4000-8000-000000000092'),
  ('c0000000-0000-4000-8000-000000000009', 'd0000000-0000-4000-8000-000000000092', 'd0000000-0000-4000-8000-000000000093');
update public.mira_workflows set is_active = true;
delete from run;
insert into run select 'sub', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000009","input":{"n":"$.n"}}],"end":["end"]}', 'start>s s>end'), '{"n":4}') x;
select is(reply #> '{tasks,0,input}', '{"n":4}', 'a sub-workflow starts in its parent''s call') from run;
select isnt(reply #>> '{tasks,0,run_id}', id::text, 'as a run of its own') from run;
select is(pg_temp.done((reply #>> '{tasks,0,run_id}')::uuid, 1, '"child"') ->> 'status', 'completed', 'when it ends') from run;
select is(public.mira_read_run(null, id) -> 'output', '{"n":4,"s":"child"}', 'its parent goes on') from run;
select is((select results from public.workflow_executions e where e.id = run.id), '{"n":4,"s":"child"}', 'and gives back its state where its end says nothing else') from run;
delete from run;
insert into run select 'subs', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"m":["map",{"items":"$.list","each":{"type":"subworkflow","config":{"workflow_id":"c0000000-0000-4000-8000-000000000009","input":{"n":"$.item"}}}}],"end":["end",{"output":"$.m"}]}', 'start>m m>end'), '{"list":[7,8]}') x;
select is(jsonb_path_query_array(reply -> 'tasks', '$[*].input.n'), '[7,8]', 'a map of sub-workflows starts one per item') from run;
do $$ declare t jsonb; begin for t in select jsonb_array_elements(reply -> 'tasks') from run loop perform pg_temp.done((t ->> 'run_id')::uuid, 1, t #> '{input,n}'); end loop; end $$;
select is((select output from public.mira_workflow_state s where s.id = run.id), '[7,8]', 'and joins them in order') from run;

-- and driven again when one of them failed
delete from run;
insert into run select 'again', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"m":["map",{"items":"$.list","each":{"type":"subworkflow","config":{"workflow_id":"c0000000-0000-4000-8000-000000000009","input":{"n":"$.item"}}}}],"end":["end",{"output":"$.m"}]}', 'start>m m>end'), '{"list":[7,8]}') x;
do $$ declare t jsonb; begin
  select jsonb_path_query_first(reply, '$.tasks[*] ? (@.input.n == 7)') into t from run;
  perform pg_temp.done((t ->> 'run_id')::uuid, 1, '7');
  select jsonb_path_query_first(reply, '$.tasks[*] ? (@.input.n == 8)') into t from run;
  perform pg_temp.failed((t ->> 'run_id')::uuid, 1, '{"code":"bad","message":"no","retryable":false}');
end $$;
select is((select status from public.mira_workflow_state s where s.id = run.id), 'failed', 'one that fails beyond what is allowed fails the map') from run;
select is(public.mira_redrive_runs(null, array[id]) ->> 'redriven', '1', 'driven again') from run;
create temp table redriven as select public.mira_claim_tasks() as reply;
select is((select jsonb_path_query_array(reply, '$.tasks[*].input.n') from redriven), '[8]', 'only the one that failed runs again, as a run of its own');
do $$ begin perform pg_temp.done((reply #>> '{tasks,0,run_id}')::uuid, 1, '80') from redriven; end $$;
select is((select output from public.mira_workflow_state s where s.id = run.id), '[7,80]', 'and its outcome joins the others') from run;

select * from finish();
rollback;
