begin;
\ir setup.psql
select plan(10);

create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["llm",{"prompt":"x"}],"b":["llm",{"prompt":"x"}],"c":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>b b>c c>end') $$;
-- what a worker makes of a lean task: what the run's last task said, and the key
create function pg_temp.whole(p_known jsonb, p_lean jsonb) returns jsonb language sql as $$
  select p_known || '{"attempt": 1}' || p_lean || jsonb_build_object('key', concat(p_known ->> 'run_id', ':', p_lean ->> 'seq'))
$$;
create function pg_temp.timeless(p_task jsonb) returns jsonb language sql as $$ select p_task - '{lease_until,deadline_at}'::text[] $$;

insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n": 1, "long": "input"}') x;
create temp table told as select reply #> '{tasks,0}' as task from run;
create temp table lean as select public.mira_advance(id, 1, 1, '{"output": "A"}', p_lean => true)::jsonb #> '{tasks,0}' as task from run;
select ok(not task ?| '{run_id,epoch,key,user_id,workflow_id,thread_id,input}', 'whose the next task is, its key and the run''s input are not said again') from lean;
select ok(task ?& '{seq,node,state,budget_left,lease_until,deadline_at}', 'what is new is') from lean;
-- the same report again has the same task, in full
select is(pg_temp.timeless(pg_temp.whole(told.task, lean.task)),
    pg_temp.timeless(public.mira_advance(id, 1, 1, '{"output": "A"}', p_lean => true)::jsonb #> '{tasks,0}'),
    'the last task and a lean one make the whole one') from run, told, lean;
create temp table batch as select public.mira_advance_batch(jsonb_build_array(jsonb_build_object('run_id', id, 'epoch', 1, 'seq', 2,
  'outcome', '{"output": "B"}'::jsonb)), p_lean => true)::jsonb #> '{0,tasks,0}' as task from run;
select ok(not task ?| '{run_id,epoch,key,user_id,workflow_id,thread_id,input}', 'so in a batch') from batch;
select is(pg_temp.timeless(pg_temp.whole(told.task, batch.task)),
    pg_temp.timeless(public.mira_advance(id, 1, 2, '{"output": "B"}')::jsonb #> '{tasks,0}'), 'and it makes the whole one') from run, told, batch;
select is(public.mira_advance(id, 1, 3, '{"output": "C"}', p_lean => true)::jsonb -> 'output', '{"n": 1, "long": "input", "a": "A", "b": "B", "c": "C"}', 'an end has nothing to leave out') from run;

-- who does not ask is told everything
delete from run;
insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n": 1}') x;
select is(task - '{seq,node,state,budget_left,key,lease_until,deadline_at}'::text[],
    (reply #> '{tasks,0}') - '{seq,node,state,budget_left,key,lease_until,deadline_at}'::text[], 'who does not ask is told everything')
  from run, lateral (select public.mira_advance(id, 1, 1, '{"output": "A"}')::jsonb #> '{tasks,0}' as task) a;
select is(r #>> '{tasks,0,key}', id || ':3', 'with the key')
  from run, lateral (select public.mira_advance(id, 1, 2, '{"output": "B"}')::jsonb as r) a;

-- the long road answers in full, which is more than lean
delete from run;
insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n": 1}') x;
select is(r #>> '{tasks,0,key}', id || ':2', 'a step with something to add is answered in full')
  from run, lateral (select public.mira_advance(id, 1, 1, '{"output": "A", "logs": [{"message": "hm"}]}', p_lean => true)::jsonb as r) a;
select is(r #> '{tasks,0,input}', '{"n": 1}', 'with the input')
  from run, lateral (select public.mira_advance(id, 1, 2, '{"output": "B", "logs": [{"message": "hm"}]}', p_lean => true)::jsonb as r) a;

select * from finish();
rollback;
