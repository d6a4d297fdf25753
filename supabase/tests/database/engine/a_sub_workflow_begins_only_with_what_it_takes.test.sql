begin;
\ir setup.psql
select plan(18);

insert into public.mira_workflows (id, user_id, name, input_schema) values
  ('c0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000001', 'picky',
    '{"type":"object","required":["n"],"properties":{"n":{"type":"integer"},"note":{"type":["string","null"]},"any":true}}');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000051', 'c0000000-0000-4000-8000-000000000005', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000052', 'c0000000-0000-4000-8000-000000000005', 'tool', 't', '{"tool":"echo"}'),
  ('d0000000-0000-4000-8000-000000000053', 'c0000000-0000-4000-8000-000000000005', 'end', 'end', '{"output":"$.t"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000005', 'd0000000-0000-4000-8000-000000000051', 'd0000000-0000-4000-8000-000000000052'),
  ('c0000000-0000-4000-8000-000000000005', 'd0000000-0000-4000-8000-000000000052', 'd0000000-0000-4000-8000-000000000053');
update public.mira_workflows set is_active = true;

create function pg_temp.parent(p_input jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'end', '["end"]'::jsonb,
    's', jsonb_build_array('subworkflow', jsonb_build_object('workflow_id', 'c0000000-0000-4000-8000-000000000005', 'input', p_input) || p_more)), 'start>s s>end') $$;
create function pg_temp.says(p_input jsonb) returns text language sql as $$
  select x ->> 'status' || coalesce(': ' || (x #>> '{error,code}') || ': ' || (x #>> '{error,message}'), '') from pg_temp.start(pg_temp.parent(p_input)) x $$;

select is(pg_temp.says('{"m":1}'), 'failed: input_invalid: The sub-workflow could not be started. The input lacks "n".', 'a key that is wanted and missing fails the parent''s step and is named');
select is(pg_temp.says('{"n":"three"}'), 'failed: input_invalid: The sub-workflow could not be started. The input "n" is string, and integer is wanted.', 'so does a key of another type');
select is(pg_temp.says('{"n":1.5}'), 'failed: input_invalid: The sub-workflow could not be started. The input "n" is number, and integer is wanted.', 'a broken number is no whole one');
select is(pg_temp.says('{"n":1,"note":[]}'), 'failed: input_invalid: The sub-workflow could not be started. The input "note" is array, and string, null is wanted.', 'of several types one must be it');
select is(pg_temp.says('"n"'), 'failed: input_invalid: The sub-workflow could not be started. The input lacks "n".', 'a text that is the name of the key is no object that has it');
select is(pg_temp.says('{"n":2.0,"note":null,"any":[1]}'), 'running', 'what fits begins');
select is((select count(*)::int from public.mira_workflow_state where parent_run_id is not null), 1, 'and nothing else did');
select is(pg_temp.start(pg_temp.parent('{}', '{"retry":{"max_attempts":5,"base_ms":0}}')) ->> 'status', 'failed', 'no attempt would change it: it is not tried again');
select is(pg_temp.names(pg_temp.start(pg_temp.graph('{"start":["start"],"fix":["tool",{"tool":"echo"}],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000005","input":{}}]}',
  'start>s s>fix:error'))), 'fix', 'the node''s error edge is taken');

-- after a step: the report that leads there is recorded all the same
insert into run select 'later', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"s":["subworkflow",{"workflow_id":"c0000000-0000-4000-8000-000000000005","input":{"n":"$.a"}}]}', 'start>a a>s')) x;
select is((select pg_temp.done(id, 1, '"word"') #>> '{error,code}' from run where name = 'later'), 'input_invalid', 'a step that leads to it is recorded, and the run ends');

-- elements
create function pg_temp.over(p_failures int, p_list jsonb) returns jsonb language sql as $$
  select pg_temp.start(pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'end', '["end"]'::jsonb,
    'm', jsonb_build_array('map', jsonb_build_object('items', '$.l', 'max_failures', p_failures, 'each', jsonb_build_object('type', 'subworkflow',
      'config', '{"workflow_id":"c0000000-0000-4000-8000-000000000005","input":{"n":"$.item"}}'::jsonb)))), 'start>m m>end'), jsonb_build_object('l', p_list)) $$;
insert into run select 'strict', (x ->> 'run_id')::uuid, x from pg_temp.over(0, '[1,"two",3]') x;
select is((select reply #>> '{error,code}' || ' ' || (reply #>> '{error,message}') from run where name = 'strict'),
  'input_invalid 1 of 3 items failed; item 1: The sub-workflow could not be started. The input "n" is string, and integer is wanted.', 'an element that does not fit is a failed element');
select is((select array_agg(distinct status) from public.mira_workflow_state where parent_run_id = (select id from run where name = 'strict')), '{cancelled}', 'those that did begin are stopped');
insert into run select 'lenient', (x ->> 'run_id')::uuid, x from pg_temp.over(1, '[1,"two",3]') x;
do $$ begin perform pg_temp.done(s.id, 1, s.input -> 'n') from public.mira_workflow_state s where s.parent_run_id = (select id from run where name = 'lenient') order by s.id; end $$;
select is((select public.mira_read_run(null, id) #> '{state,m}' from run where name = 'lenient'), '[1,null,3]', 'as many as the map forgives are forgiven');
select is(pg_temp.over(3, '["one","two"]') #> '{output,m}', '[null,null]', 'also all of them, and the map ends at once');

-- taken up again when it fits
insert into run select 'again', (x ->> 'run_id')::uuid, x from pg_temp.over(0, '["one"]') x;
do $$ begin perform public.mira_redrive_runs(null, array(select id from run where name = 'again')); end $$;
select is((select status || ' ' || (error ->> 'code') from public.mira_workflow_state where id = (select id from run where name = 'again')), 'failed input_invalid', 'a failed run that is taken up again fails again while it does not fit');
update public.mira_workflows set input_schema = null;
update public.mira_workflows set is_active = true;
do $$ begin perform public.mira_redrive_runs(null, array(select id from run where name = 'again')); end $$;
select is((select count(*)::int from public.mira_workflow_state where parent_run_id = (select id from run where name = 'again')), 1, 'and goes on when it does');
do $$ begin perform pg_temp.lapse(s.id), public.mira_claim_tasks(p_run_id => s.id), pg_temp.done(s.id, 1, '"fine"') from public.mira_workflow_state s where s.parent_run_id = (select id from run where name = 'again'); end $$;
select is((select public.mira_read_run(null, id) #> '{state,m}' from run where name = 'again'), '["fine"]', 'to its end');

-- the words of a sub-workflow that is not to be had
update public.mira_workflows set is_active = false;
select is((select x #>> '{error,message}' from pg_temp.start(pg_temp.parent('{"n":1}')) x), 'The sub-workflow could not be started. The workflow is a draft: activate it first.', 'whatever keeps it from starting is said');

select * from finish();
rollback;
