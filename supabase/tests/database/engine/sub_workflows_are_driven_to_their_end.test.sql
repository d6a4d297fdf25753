begin;
\ir setup.psql
select plan(18);

-- two workflows to stand for elements: one with work in it, one that ends as soon as it starts
insert into public.mira_workflows (id, user_id, name) values
  ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'works'),
  ('c0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'ends at once'),
  ('c0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000001', 'a draft');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000011', 'c0000000-0000-4000-8000-000000000001', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000012', 'c0000000-0000-4000-8000-000000000001', 'tool', 't', '{"tool":"echo"}'),
  ('d0000000-0000-4000-8000-000000000013', 'c0000000-0000-4000-8000-000000000001', 'end', 'end', '{"output":"$.t"}'),
  ('d0000000-0000-4000-8000-000000000021', 'c0000000-0000-4000-8000-000000000002', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000022', 'c0000000-0000-4000-8000-000000000002', 'end', 'end', '{"output":"$.n"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000011', 'd0000000-0000-4000-8000-000000000012'),
  ('c0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000012', 'd0000000-0000-4000-8000-000000000013'),
  ('c0000000-0000-4000-8000-000000000002', 'd0000000-0000-4000-8000-000000000021', 'd0000000-0000-4000-8000-000000000022');
update public.mira_workflows set is_active = true where name <> 'a draft';
create function pg_temp.over(p_workflow text, p_before text default '') returns jsonb language sql as $$
  select pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'before', '["tool",{"tool":"echo"}]'::jsonb, 'm', jsonb_build_array('map', jsonb_build_object('items', '$.list',
      'each', jsonb_build_object('type', 'subworkflow', 'config', jsonb_build_object('workflow_id', p_workflow, 'input', '{"n":"$.item"}'::jsonb)))),
    'end', '["end",{"output":"$.m"}]'::jsonb) - case p_before when '' then 'before' else '' end,
    case p_before when '' then 'start>m m>end' else 'start>before before>m m>end' end)
$$;
create function pg_temp.numbers(p_n int) returns jsonb language sql as $$ select jsonb_build_object('list', jsonb_agg(n)) from generate_series(1, p_n) n $$;

insert into run select 'many', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.over('c0000000-0000-4000-8000-000000000001'), pg_temp.numbers(25)) x;
select is(jsonb_array_length(reply -> 'tasks'), 10, 'of many elements a worker gets ten to begin with') from run;
do $$
declare
  v_tasks jsonb := (select reply -> 'tasks' from run);
  t jsonb;
begin
  while v_tasks <> '[]' loop
    t := v_tasks -> 0;
    v_tasks := (v_tasks - 0) || (pg_temp.done((t ->> 'run_id')::uuid, 1, t #> '{input,n}') -> 'tasks');
  end loop;
end $$;
select is((select (status, jsonb_array_length(output))::text from public.mira_workflow_state s where s.id = run.id), '(completed,25)',
  'whoever ends one is handed the next, until the parent has them all') from run;

delete from run;
insert into run select 'idle', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.over('c0000000-0000-4000-8000-000000000002'), pg_temp.numbers(60)) x;
select is((select output -> 59 from public.mira_workflow_state s where s.id = run.id), '60', 'elements that have nothing to do are done in the start''s call') from run;

delete from run;
insert into run select 'left', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.over('c0000000-0000-4000-8000-000000000001'), pg_temp.numbers(15)) x;
select is((select count(distinct t ->> 'run_id') from jsonb_array_elements(public.mira_claim_tasks(p_run_id => run.id) -> 'tasks') t), 5::bigint,
  'who asks for more of a run gets what is due below it') from run;
select is(public.mira_claim_tasks(p_run_id => run.id), '{"tasks":[],"rests":false}', 'while they are at work the run does not rest') from run;

-- a sub-workflow that waits for a person
delete from run;
insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000001', 'asks');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000041', 'c0000000-0000-4000-8000-000000000004', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000042', 'c0000000-0000-4000-8000-000000000004', 'human', 'h', '{"prompt":"Well?"}'),
  ('d0000000-0000-4000-8000-000000000043', 'c0000000-0000-4000-8000-000000000004', 'end', 'end', '{}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000004', 'd0000000-0000-4000-8000-000000000041', 'd0000000-0000-4000-8000-000000000042'),
  ('c0000000-0000-4000-8000-000000000004', 'd0000000-0000-4000-8000-000000000042', 'd0000000-0000-4000-8000-000000000043');
update public.mira_workflows set is_active = true where name = 'asks';
insert into run select 'asks', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000004"}],"end":["end"]}', 'start>s s>end')) x;
select is(public.mira_claim_tasks(p_run_id => run.id), '{"tasks":[],"rests":true}', 'a run whose sub-workflow asks a person rests') from run;

-- a sub-workflow that cannot be started
delete from run;
insert into run select 'draft', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.over('c0000000-0000-4000-8000-000000000003', 'before'), pg_temp.numbers(2)) x;
select is(pg_temp.done(id, 1) #>> '{error,code}', 'workflow_not_active', 'a map over a draft fails as the map') from run;
select is((select jsonb_path_query_array(public.mira_read_run(null, run.id), '$.steps[*].node')), '["before", "m"]', 'and the step before it is recorded') from run;
select is((select count(*) from private.run_items i where i.run_id = run.id), 0::bigint, 'and nothing of it is left open') from run;

-- what a map goes over
create function pg_temp.items(p_path text, p_input jsonb) returns jsonb language sql as $$
  select jsonb_path_query_array(pg_temp.start(pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'm', jsonb_build_array('map',
    jsonb_build_object('items', p_path, 'each', '{"type":"tool","config":{"tool":"echo"}}'::jsonb)), 'end', '["end"]'::jsonb), 'start>m m>end'), p_input),
    '$.tasks[*].items[*].value') $$;
select is(pg_temp.items('$.people[*].name', '{"people":[{"name":"ann"},{"name":"ben"}]}'), '["ann", "ben"]', 'a path to many values goes over all of them');
select is(pg_temp.items('$.people[*].names', '{"people":[{"names":["ann","ben"]}]}'), '[["ann", "ben"]]', 'also when it leads to one only');
select is(pg_temp.items('$."a?b"', '{"a?b":[1,2]}'), '[1, 2]', 'a quoted name is no wildcard');

-- a workflow that fans out over itself, as deep as it may, with nothing to do on the way
insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000008', 'a0000000-0000-4000-8000-000000000001', 'itself');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000081', 'c0000000-0000-4000-8000-000000000008', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000082', 'c0000000-0000-4000-8000-000000000008', 'map', 'm', '{"items":"$.l","max_failures":9,"each":{"type":"subworkflow","config":{"workflow_id":"c0000000-0000-4000-8000-000000000008","input":{"l":"$input.l"}}}}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000008', 'd0000000-0000-4000-8000-000000000081', 'd0000000-0000-4000-8000-000000000082');
update public.mira_workflows set is_active = true where name = 'itself';
insert into run select 'itself', (x ->> 'run_id')::uuid, x from public.mira_start_run('a0000000-0000-4000-8000-000000000001',
  'c0000000-0000-4000-8000-000000000008', p_input => '{"l":[1,2,3,4,5]}', p_lease_ms => 60000) x;
select is((select count(*) between 100 and 1000 from public.mira_workflow_state where workflow_id = 'c0000000-0000-4000-8000-000000000008'), true,
  'one call begins so many of them and leaves the rest due: it never ends later than its caller waits');
do $$ begin perform public.mira_cancel_run(null, id) from run where name = 'itself'; end $$;
select is((select count(*)::int from public.mira_workflow_state where workflow_id = 'c0000000-0000-4000-8000-000000000008' and finished_at is null), 0,
  'and a cancel ends them all');

-- as many as somebody can wait for
select is(pg_temp.start(pg_temp.over('c0000000-0000-4000-8000-000000000002'), pg_temp.numbers(10001)) #>> '{error,message}',
  '$.list has 10001 elements; a map over sub-workflows takes 10000 at most.', 'a fan-out over more runs than one call can begin is refused by name');
create function pg_temp.given(p_input jsonb) returns jsonb language plpgsql as $$
declare
  v_run jsonb := pg_temp.start(pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'end', '["end"]'::jsonb,
    'm', jsonb_build_array('map', jsonb_build_object('items', '$.list', 'each', jsonb_build_object('type', 'subworkflow',
      'config', jsonb_build_object('workflow_id', 'c0000000-0000-4000-8000-000000000002', 'input', p_input))))), 'start>m m>end'), '{"list":[1,2],"more":"x"}');
begin
  return public.mira_read_run(null, (v_run ->> 'run_id')::uuid) #> '{output,m}';
end $$;
select is(pg_temp.given('{"n":"$input.more"}'), '["x","x"]', 'an element may look at what the run began with');
select is(pg_temp.given('{"n":"$\"\\u0069nput\".more"}'), '["x","x"]', 'however that is spelled');
select is(pg_temp.given('{"n":{"at":"$.index","is":"$.item"}}'), '[{"at":0,"is":1},{"at":1,"is":2}]', 'and at itself and its place');

select * from finish();
rollback;
