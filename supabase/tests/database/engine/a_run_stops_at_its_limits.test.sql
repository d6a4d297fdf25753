begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(19);

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

create function pg_temp.talk() returns jsonb language sql as $$ select pg_temp.graph(
  '{"start":["start"],"m":["llm",{"prompt":"x"}],"n":["llm",{"prompt":"y"}],"end":["end"]}', 'start>m m>n n>end', '{"limits":{"budget":{"tokens":1000}}}') $$;
insert into run select 'b', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"tokens":100,"cost_micros":50}}') x;
select is(reply #> '{tasks,0,budget_left,tokens}', '100', 'a caller may tighten the budget') from run;
select is(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":60,"output_tokens":40,"cost_micros":10}}') #>> '{error,code}', 'budget_exceeded', 'with nothing left no model is called') from run;
delete from run;
insert into run select 'b', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"tokens":99999}}') x;
select is(reply #> '{tasks,0,budget_left,tokens}', '1000', 'but not widen it') from run;
select is(pg_temp.names(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":900,"output_tokens":0}}')), 'n', 'within it the run goes on') from run;
select is(public.mira_advance(id, 1, 2, '{"output":"a","usage":{"input_tokens":100,"output_tokens":0}}') ->> 'status', 'completed', 'a run may end exactly at its budget') from run;
delete from run;
insert into run select 'd', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"time_ms":60000}}') x;
select ok((reply #>> '{tasks,0,deadline_at}')::timestamptz = now() + interval '1 minute', 'a task knows the run''s deadline') from run;
update public.mira_workflow_state s set deadline_at = now() - interval '1 second' from run where s.id = run.id;
select is(public.mira_advance(id, 1, 1, '{"output":"a"}') #>> '{error,code}', 'deadline_exceeded', 'past it the run ends') from run;

-- per user
insert into private.user_limits (user_id, day_tokens, max_running) values ('a0000000-0000-4000-8000-000000000001', 1500, 2);
delete from run;
insert into run select 'u', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk()) x;
select is(reply #> '{tasks,0,budget_left,tokens}', '400', 'what the user has left today counts') from run;
select is(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":400}}') #>> '{error,code}', 'budget_exceeded', 'and stops the run') from run;
select throws_ok($$select pg_temp.start(pg_temp.talk())$$, 'PT402', 'user_budget_exceeded', 'a start over the day''s budget is refused');
update private.user_limits set day_tokens = null;
select is(pg_temp.names(pg_temp.start(pg_temp.talk())), 'm', 'one run at work');
select is(pg_temp.names(pg_temp.start(pg_temp.talk())), 'm', 'two');
select is(pg_temp.start(pg_temp.talk()) ->> 'status', 'pending', 'the third waits its turn');
select is(public.mira_claim_tasks() -> 'tasks', '[]', 'and is not claimed over the limit');
delete from private.user_limits;

-- per workflow
delete from public.workflow_executions;
select is(pg_temp.names(pg_temp.start(pg_temp.talk() || '{"limits":{"max_running":1}}')), 'm', 'a workflow may allow one run at a time');
select is(pg_temp.start(pg_temp.talk() || '{"limits":{"max_running":1}}') ->> 'status', 'pending', 'then the next waits');

-- size
select is(length(pg_temp.done((x ->> 'run_id')::uuid, 1, to_jsonb(repeat('x', 1000000))) #>> '{tasks,0,state,m}'), 1000000, 'a state of a megabyte travels')
  from pg_temp.start(pg_temp.talk()) x;
select is(pg_temp.done((x ->> 'run_id')::uuid, 1, (select jsonb_agg(md5(i::text)) from generate_series(1, 150000) i)) #>> '{error,code}', 'state_too_large', 'one of more than four does not')
  from pg_temp.start(pg_temp.talk()) x;
select throws_ok($$select pg_temp.start(pg_temp.talk() || '{"input_schema":{"required":["topic"]}}')$$, 'PT422', 'input_invalid', 'an input that lacks what it must have is refused');

select * from finish();
rollback;
