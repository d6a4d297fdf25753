begin;
\ir setup.psql
select plan(42);

create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>b b>end') $$;
insert into run select 'x', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n": 1}') x;
select is(pg_temp.names(reply), 'a', 'a start with a lease hands out the first task') from run;
select is(reply #>> '{tasks,0,key}', id || ':1', 'with the key its side effects carry') from run;
select is(pg_temp.names(public.mira_advance(id, 1, 1, '{"output": "A"}')::jsonb), 'b', 'a report brings the next task') from run;
select is(public.mira_advance(id, 1, 1, '{"output": "again"}')::jsonb ->> 'reason', 'already_recorded', 'the same report again changes nothing') from run;
select is(pg_temp.names(public.mira_advance(id, 1, 1, '{"output": "again"}')::jsonb), 'b', 'and repeats the task whose answer was lost') from run;
select is(public.mira_advance(id, 1, 9, '{"output": 1}')::jsonb ->> 'reason', 'stale_step', 'a step nobody opened is refused') from run;

-- the worker falls silent; another takes over
select pg_temp.lapse(id) from run;
select is(jsonb_path_query_array(public.mira_claim_tasks() -> 'tasks', '$[*].epoch'), '[2]', 'a lapsed lease is claimed under a new epoch');
select is(public.mira_advance(id, 1, 2, '{"output": "late"}')::jsonb ->> 'reason', 'stale_epoch', 'the first worker''s result is refused') from run;
select is(public.mira_advance(id, 2, 2, '{"output": "B"}')::jsonb -> 'output', '{"n": 1, "a": "A", "b": "B"}', 'the owner''s is kept') from run;
select is(public.mira_advance(id, 2, 2, '{"output": "B"}')::jsonb -> 'output', '{"n": 1, "a": "A", "b": "B"}', 'a lost last answer can be had again') from run;
select is(public.mira_advance(id, 2, 2, '{"error": {"code": "x", "message": "late"}}')::jsonb ->> 'reason', 'run_finished', 'nothing moves a finished run') from run;
select is((select count(*) from private.run_steps s join public.mira_workflow_state r on r.number = s.run where r.id = run.id), 2::bigint, 'two steps were recorded') from run;
select is((select array_agg(event order by event) from private.run_steps s join public.mira_workflow_state r on r.number = s.run where r.id = run.id), '{2,3}'::int[], 'their events have no gaps') from run;
select is((select (e.current_state, e.results)::text from public.workflow_executions e where e.id = run.id), '(completed,"{""a"": ""A"", ""b"": ""B"", ""n"": 1}")', 'the ledger knows the end') from run;
select is((select t.status from public.task_history t where t.id = run.id), 'completed', 'so does the history') from run;
select is((select array_agg(message order by seq) from public.execution_logs l where l.task_id = run.id), '{"a done.","b done.","Run completed."}'::text[], 'the commentary tells it in order') from run;
select is((select count(*) from public.tool_executions t where t.run_id = run.id and status = 'completed'), 2::bigint, 'each tool call has its row') from run;

-- retries, the error edge, the dead end
delete from run;
insert into run select 'r', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo","retry":{"max_attempts":2,"base_ms":0}}],"rescue":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end a>rescue:error rescue>end')) x;
select is(pg_temp.failed(id, 1, '{"code":"busy","message":"try later"}') #>> '{tasks,0,attempt}', '2', 'a failure is tried again') from run;
select is(pg_temp.names(pg_temp.failed(id, 1, '{"code":"busy","message":"token sk-abcdefghijklmnopqrstuvwx"}')), 'rescue', 'attempts spent: the error edge') from run;
select is((select state_data #>> '{error,code}' from public.mira_workflow_state s where s.id = run.id), 'busy', 'the state says what happened') from run;
select ok(not exists (select from public.execution_logs where message like '%sk-abc%'), 'no secret reaches the commentary');
select is(pg_temp.failed(id, 2, '{"code":"broken","message":"no","retryable":false}') #>> '{error,code}', 'broken', 'a final error without an edge fails the run') from run;
select is(public.mira_redrive_runs(null, array[id]) ->> 'redriven', '1', 'a dead letter can be driven again') from run;
select is(pg_temp.names(public.mira_claim_tasks()), 'rescue', 'from the step that failed');
select is(pg_temp.done(id, 2) ->> 'status', 'completed', 'to the end') from run;

-- abandoned again and again
delete from run;
insert into run select 'c', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain()) x;
do $$ begin for i in 1..4 loop perform pg_temp.lapse(id) from run; perform public.mira_claim_tasks(); end loop; end $$;
select is((select status from public.mira_workflow_state s where s.id = run.id), 'running', 'four lapses are borne') from run;
select pg_temp.lapse(id) from run;
select is(public.mira_claim_tasks() -> 'tasks', '[]', 'the fifth claim hands out nothing');
select is((select error ->> 'code' from public.mira_workflow_state s where s.id = run.id), 'crash_loop', 'it is a dead letter') from run;

-- calls inside a step are replayed, not repeated
delete from run;
insert into run select 'l', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph('{"start":["start"],"m":["llm",{"prompt":"x"}],"end":["end"]}', 'start>m m>end')) x;
select is(public.mira_advance(id, 1, 1, '{"call":{"index":0,"kind":"model","name":"m","output":"hello"},"usage":{"input_tokens":5,"output_tokens":2,"cost_micros":9}}')::jsonb ->> 'status', 'running', 'a call is recorded inside its step') from run;
select is(public.mira_advance(id, 1, 1, '{"call":{"index":0,"kind":"model","name":"m","output":"other"}}')::jsonb #>> '{call,output}', 'hello', 'once; the recorded one comes back') from run;
select pg_temp.lapse(id) from run;
select is(jsonb_path_query_array(public.mira_claim_tasks() -> 'tasks', '$[*].calls[*].output'), '["hello"]', 'whoever takes over gets the calls already paid for');
select is((select (tokens_used, cost_micros)::text from public.mira_workflow_state s where s.id = run.id), '(7,9)', 'spend is counted once') from run;
select is((select (tokens, cost_micros)::text from private.user_spend), '(7,9)', 'for the user''s day, too');

select public.mira_advance(id, s.lease_epoch, 1, '{"call":{"index":1,"kind":"model","name":"m","output":"again"},"usage":{"input_tokens":-5,"output_tokens":-2,"cost_micros":-9}}')
  from run join public.mira_workflow_state s using (id);
select is((select (tokens, cost_micros)::text from private.user_spend), '(7,9)', 'and no report gives any of it back');

-- idempotent start
select is(public.mira_start_run('a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.chain(), p_idempotency_key => 'k')::jsonb ->> 'created', 'true', 'a key starts one run');
select is(public.mira_start_run('a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.chain(), p_idempotency_key => 'k')::jsonb ->> 'created', 'false', 'and only one');
select is(public.mira_start_run('b0000000-0000-4000-8000-000000000002', p_workflow => pg_temp.chain(), p_idempotency_key => 'k')::jsonb ->> 'created', 'true', 'keys are each person''s own');

-- an output that does not fit
create function pg_temp.fit(p_reducer text, p_value jsonb, p_input jsonb default '{}') returns text language sql as $$
  select x ->> 'status' || coalesce(': ' || (x #>> '{error,code}') || ': ' || (x #>> '{error,message}'), '') from pg_temp.start(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo","output_key":"."}],"end":["end"]}', 'start>a a>end',
    jsonb_build_object('reducers', jsonb_build_object('v', p_reducer))), p_input) t, lateral (select pg_temp.done((t ->> 'run_id')::uuid, 1, p_value) as x) d $$;
select is(pg_temp.fit('add', '{"u":1,"v":"x"}'), 'failed: reducer_type: The output does not fit the state key "v" (add).', 'of an object that is spread over the state the key that does not fit is named');
select is(pg_temp.fit('merge', '{"v":1}', '{"v":{}}'), 'failed: reducer_type: The output does not fit the state key "v" (merge).', 'by its own reducer');
select is(pg_temp.fit('add', '5'), 'failed: output_not_object: The output is to be spread over the state and is no object.', 'what is no object cannot be spread');
select is(pg_temp.fit('add', '{"v":9e307}', '{"v":1.7e308}'), 'failed: reducer_type: The output does not fit the state key "v" (add).', 'a sum that no reader of JSON could hold is refused, not lost');
select is(pg_temp.fit('add', '{"v":-1e307}', '{"v":1.7e308}'), 'completed', 'large ones are summed');

select * from finish();
rollback;
