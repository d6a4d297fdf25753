begin;
\ir setup.psql
select plan(19);

create function pg_temp.talk() returns jsonb language sql as $$ select pg_temp.graph(
  '{"start":["start"],"m":["llm",{"prompt":"x"}],"n":["llm",{"prompt":"y"}],"end":["end"]}', 'start>m m>n n>end', '{"limits":{"budget":{"tokens":1000}}}') $$;
insert into run select 'b', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"tokens":100,"cost_micros":50}}') x;
select is(reply #> '{tasks,0,budget_left,tokens}', '100', 'a caller may tighten the budget') from run;
select is(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":60,"output_tokens":40,"cost_micros":10}}')::jsonb #>> '{error,code}', 'budget_exceeded', 'with nothing left no model is called') from run;
delete from run;
insert into run select 'b', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"tokens":99999}}') x;
select is(reply #> '{tasks,0,budget_left,tokens}', '1000', 'but not widen it') from run;
select is(pg_temp.names(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":900,"output_tokens":0}}')::jsonb), 'n', 'within it the run goes on') from run;
select is(public.mira_advance(id, 1, 2, '{"output":"a","usage":{"input_tokens":100,"output_tokens":0}}')::jsonb ->> 'status', 'completed', 'a run may end exactly at its budget') from run;
delete from run;
insert into run select 'd', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk(), '{}', '{"budget":{"time_ms":60000}}') x;
select ok((reply #>> '{tasks,0,deadline_at}')::timestamptz = now() + interval '1 minute', 'a task knows the run''s deadline') from run;
update public.mira_workflow_state s set deadline_at = now() - interval '1 second' from run where s.id = run.id;
select is(public.mira_advance(id, 1, 1, '{"output":"a"}')::jsonb #>> '{error,code}', 'deadline_exceeded', 'past it the run ends') from run;

-- per user
insert into private.user_limits (user_id, day_tokens, max_running) values ('a0000000-0000-4000-8000-000000000001', 1500, 2);
delete from run;
insert into run select 'u', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.talk()) x;
select is(reply #> '{tasks,0,budget_left,tokens}', '400', 'what the user has left today counts') from run;
select is(public.mira_advance(id, 1, 1, '{"output":"a","usage":{"input_tokens":400}}')::jsonb #>> '{error,code}', 'budget_exceeded', 'and stops the run') from run;
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
