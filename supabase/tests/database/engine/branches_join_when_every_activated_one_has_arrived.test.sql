begin;
\ir setup.psql
select plan(30);

insert into run select 'fan', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"c":["tool",{"tool":"echo"}],"j":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>a start>b start>c a>j b>j c>j j>end')) x;
select is(pg_temp.names(reply), 'a,b,c', 'a fan-out hands out every branch at once') from run;
select is(pg_temp.names(pg_temp.done(id, 2)), '', 'the join waits') from run;
select is(pg_temp.names(pg_temp.done(id, 1)), '', 'for all') from run;
select is(pg_temp.names(pg_temp.done(id, 3)), 'j', 'and fires once') from run;
select is(pg_temp.done(id, 4) ->> 'status', 'completed', 'to the end') from run;

-- a branch the router did not take blocks nobody
delete from run;
insert into run select 'skip', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"r":["router",{"conditions":[{"label":"yes","when":"$.go == true"}],"default":"no"}],
    "b":["tool",{"tool":"echo"}],"j":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>a start>r r>b:yes r>j:no a>j b>j j>end'), '{"go": false}') x;
select is(pg_temp.names(reply), 'a', 'only the activated branch runs') from run;
select is(pg_temp.names(pg_temp.done(id, (reply #>> '{tasks,0,seq}')::int)), 'j', 'the join does not wait for the skipped one') from run;
delete from run;
insert into run select 'take', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"r":["router",{"conditions":[{"label":"yes","when":"$.go == true"}],"default":"no"}],
    "b":["tool",{"tool":"echo"}],"j":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>a start>r r>b:yes r>j:no a>j b>j j>end'), '{"go": true}') x;
select is(pg_temp.names(reply), 'a,b', 'both branches run when the router says so') from run;
select is(pg_temp.names(pg_temp.done(id, (select (t ->> 'seq')::int from jsonb_array_elements(reply -> 'tasks') t where t #>> '{node,name}' = 'a'))), '', 'then the join waits') from run;
select is(pg_temp.names(pg_temp.done(id, (select (t ->> 'seq')::int from jsonb_array_elements(reply -> 'tasks') t where t #>> '{node,name}' = 'b'))), 'j', 'for the second') from run;

-- loops
delete from run;
insert into run select 'loop', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"work":["tool",{"tool":"echo","output_key":"total"}],"again":["router",{"conditions":[{"label":"more","when":"$.total < 3"}],"default":"stop"}],"end":["end",{"output":"$.total"}]}',
  'start>work work>again again>work:more again>end:stop', '{"reducers":{"total":"add"}}')) x;
select is(pg_temp.names(pg_temp.done(id, 1)), 'work', 'a loop comes round') from run;
select is(pg_temp.names(pg_temp.done(id, 3)), 'work', 'and round') from run;
select is(pg_temp.done(id, 5) -> 'output', '3', 'and ends when its condition says so') from run;
delete from run;
insert into run select 'endless', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"work":["tool",{"tool":"echo"}]}', 'start>work work>work'), '{}', '{"budget":{"steps":5}}') x;
do $$ begin for i in 1..9 loop perform pg_temp.done(id, i) from run; end loop; end $$;
select is((select (status, error ->> 'code', steps_used)::text from public.mira_workflow_state s where s.id = run.id), '(failed,step_limit,5)', 'a loop that never ends stops at its cap') from run;
select is(pg_temp.start(pg_temp.graph('{"start":["start"],"r":["router",{"default":"on"}],"q":["router",{"default":"on"}]}', 'start>r r>q:on q>r:on')) #>> '{error,code}',
  'loop_without_work', 'routers alone cannot spin');

-- two joins that could feed one another: somebody goes first
delete from run;
insert into run select 'knot', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"end":["end"],
    "r":["router",{"conditions":[{"label":"back","when":"$.n < 1"}],"default":"out"}],"s":["router",{"conditions":[{"label":"back","when":"$.n < 1"}],"default":"out"}]}',
  'start>a start>b a>r b>s r>b:back s>a:back r>end:out s>end:out'), '{"n": 1}') x;
select is(pg_temp.names(reply), 'a', 'of two joins in one knot the first goes') from run;
select is(pg_temp.names(pg_temp.done(id, 1)), 'b', 'then the second') from run;
select is(pg_temp.done(id, (select max(key::int) from public.mira_workflow_state s, jsonb_object_keys(cursor -> 'o') key where s.id = run.id)) ->> 'status', 'completed', 'and the run ends') from run;

-- any: each arrival fires
delete from run;
insert into run select 'any', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"j":["tool",{"tool":"echo","join":"any"}],"end":["end"]}', 'start>a start>b a>j b>j j>end')) x;
select is(pg_temp.names(pg_temp.done(id, 1)), 'j', 'join any fires at the first arrival') from run;
select is(pg_temp.names(pg_temp.done(id, 2)), 'j', 'and again at the second') from run;

-- a model chooses among the labels
delete from run;
insert into run select 'llm', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"r":["router",{"mode":"llm","prompt":"which?","default":"b"}],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>r r>a:a r>b:b a>end b>end')) x;
select is(reply #>> '{tasks,0,node,type}', 'router', 'a model''s decision is a task') from run;
select is(pg_temp.names(pg_temp.done(id, 1, '"neither"')), 'b', 'a label without an edge is the default') from run;

-- reducers
select is(private.reduce('{"k":[1]}', 'k', 'append', '[2,3]'), '{"k":[1,2,3]}', 'append joins lists');
select is(private.reduce('{}', 'k', 'append', '2'), '{"k":[2]}', 'append starts one');
select is(private.reduce('{"k":1}', 'k', 'append', '2'), null, 'append needs a list');
select is(private.reduce('{"k":1.5}', 'k', 'add', '2'), '{"k":3.5}', 'add adds');
select is(private.reduce('{"k":{"a":1,"b":1}}', 'k', 'merge', '{"b":2}'), '{"k":{"a":1,"b":2}}', 'merge merges');
select is(private.reduce('{"k":[{"id":1,"t":"x"},{"t":"y"}]}', 'k', 'messages', '[{"id":1,"t":"z"},{"t":"w"}]'),
  '{"k":[{"id":1,"t":"z"},{"t":"y"},{"t":"w"}]}', 'messages replaces by id and appends the rest');
select is(pg_temp.done((x ->> 'run_id')::uuid, 1, '{"a":1,"n":2}') -> 'output', '{"n": 5, "a": 1}', 'an output may be spread over the state, each key by its reducer')
  from pg_temp.start(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo","output_key":"."}],"end":["end"]}', 'start>a a>end', '{"reducers":{"n":"add"}}'), '{"n":3}') x;

select is(pg_temp.start(pg_temp.graph('{"start":["start"],"r":["router",{"conditions":[{"label":"late","when":"$.due.datetime() < \"2026-06-01\".datetime()"}],"default":"early"}],"late":["end",{"output":"$.due"}],"early":["end"]}',
  'start>r r>late:late r>early:early'), '{"due":"2026-05-31T23:00:00+02:00"}') -> 'output', '"2026-05-31T23:00:00+02:00"', 'a router compares times with a zone');

select * from finish();
rollback;
