begin;
\ir setup.psql
select plan(25);

insert into run select 'h', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"p":["human",{"prompt":"ok?"}],"q":["human",{"prompt":"sure?"}],"j":["tool",{"tool":"echo"}],"end":["end"]}', 'start>p start>q p>j q>j j>end')) x;
select is(reply ->> 'status', 'waiting', 'a run waits for people') from run;
select is(jsonb_path_query_array(reply -> 'waiting', '$[*].prompt'), '["ok?","sure?"]', 'and says what it asks') from run;
select is((select due_at from public.mira_workflow_state s where s.id = run.id), null, 'without costing anybody a look') from run;
select throws_ok($$select public.mira_resume_run(null, (select id from run), 'true')$$, 'PT409', 'ambiguous_step', 'with two questions an answer must say which');
select is(public.mira_resume_run(null, id, '"second"', 2) ->> 'status', 'waiting', 'the second may be answered first') from run;
select throws_ok($$select public.mira_resume_run(null, (select id from run), 'true', 2)$$, 'PT409', 'run_not_waiting', 'an answer counts once');
select is(pg_temp.names(public.mira_resume_run(null, id, '"first"', p_lease_ms => 60000)), 'j', 'then the first, and on it goes') from run;
select is(pg_temp.done(id, 3) -> 'output', '{"p":"first","q":"second","j":1}', 'each answer in its place') from run;

-- nobody answers
delete from run;
insert into run select 't', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"p":["human",{"prompt":"ok?","timeout_ms":1000}],"late":["tool",{"tool":"echo"}],"end":["end"]}', 'start>p p>end p>late:timeout late>end')) x;
select pg_temp.lapse(id) from run;
select is(pg_temp.names(public.mira_claim_tasks()), 'late', 'after its time-out a question takes the timeout edge');
select throws_ok($$select public.mira_resume_run(null, (select id from run), 'true')$$, 'PT409', 'run_not_waiting', 'a late answer is refused');

-- signals
delete from run;
create function pg_temp.listener() returns jsonb language sql as $$ select pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"w":["wait",{"signal":"paid","timeout_ms":5000}],"end":["end"]}', 'start>a a>w w>end') $$;
insert into run select 's', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.listener()) x;
select is(public.mira_signal_run(null, id, 'paid', '{"eur":5}', 'd1') ->> 'delivered', 'false', 'a signal before its wait is kept') from run;
select is(public.mira_signal_run(null, id, 'paid', '{"eur":6}', 'd1') ->> 'duplicate', 'true', 'the same one twice is one') from run;
select is(pg_temp.done(id, 1) -> 'output', '{"a":1,"w":{"eur":5}}', 'and is found when the wait begins') from run;
select is(public.mira_signal_run(null, id, 'paid', '{}', 'd2') ->> 'delivered', 'false', 'a signal after the end changes nothing') from run;
delete from run;
insert into run select 's', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.listener()) x;
select is(pg_temp.done(id, 1) ->> 'status', 'waiting', 'without a signal the run waits') from run;
select is(public.mira_signal_run(null, id, 'other') ->> 'delivered', 'false', 'another name does not wake it') from run;
select is(public.mira_signal_run(null, id, 'paid', '1') ->> 'status', 'completed', 'the right one does') from run;
delete from run;
insert into run select 's', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.listener()) x;
select pg_temp.done(id, 1) from run;
select pg_temp.lapse(id) from run;
select public.mira_claim_tasks();
select is((select error ->> 'code' from public.mira_workflow_state s where s.id = run.id), 'timed_out', 'a wait nobody ended times out') from run;
select is(public.mira_signal_run(null, id, 'paid') ->> 'status', 'failed', 'a signal after the time-out is too late') from run;

-- timers
delete from run;
insert into run select 'w', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"w":["wait",{"seconds":3600}],"a":["tool",{"tool":"echo"}],"end":["end"]}', 'start>w w>a a>end')) x;
select is((reply ->> 'wake_at')::timestamptz, now() + interval '1 hour', 'a timer says when') from run;
select is(public.mira_claim_tasks() -> 'tasks', '[]', 'nobody is woken before');
select pg_temp.lapse(id) from run;
select is(pg_temp.names(public.mira_claim_tasks()), 'a', 'and comes when it is due');
select is(pg_temp.start(pg_temp.graph('{"start":["start"],"w":["wait",{"until":"$.at"}],"end":["end"]}', 'start>w w>end'), '{"at":"soon"}') #>> '{error,code}', 'bad_wait_time', 'a time that is none fails by name');
select is((select x #>> '{error,code}' || ': ' || (x #>> '{error,message}') from pg_temp.start(pg_temp.graph('{"start":["start"],"w":["wait",{"until":"$.at"}],"end":["end"]}', 'start>w w>end'), '{"at":"33715-01-01"}') x),
  'bad_wait_time: A wait lasts ten years at most.', 'so does one that nobody alive will see');
select is(pg_temp.start(pg_temp.graph('{"start":["start"],"w":["wait",{"until":"$.at"}],"end":["end"]}', 'start>w w>end'), '{"at":"infinity"}') #>> '{error,code}', 'bad_wait_time', 'or nobody at all');

select * from finish();
rollback;
