begin;
\ir setup.psql
select plan(19);

create function pg_temp.fork(p_run text, p_seq int, p_state jsonb default null) returns jsonb language sql as $$
  select public.mira_fork_run(null, (select id from run where name = p_run), p_seq, p_state, 60000) $$;
create function pg_temp.seq(p_run text, p_node text) returns int language sql as $$
  select (s ->> 'seq')::int from jsonb_array_elements(public.mira_read_run(null, (select id from run where name = p_run)) -> 'steps') s
  where s ->> 'node' = p_node order by 1 limit 1 $$;
create function pg_temp.nodes(p_id uuid) returns text language sql as $$
  select string_agg(s ->> 'node', ',' order by (s ->> 'event')::int) from jsonb_array_elements(public.mira_read_run(null, p_id) -> 'steps') s $$;

-- a fork of a fork
create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"c":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>b b>c c>end') $$;
insert into run select 'first', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain(), '{"n":1}') x;
do $$ begin perform pg_temp.done(id, i, to_jsonb(i)) from run, generate_series(1, 3) i; end $$;
insert into run select 'edited', (x ->> 'run_id')::uuid, x from pg_temp.fork('first', 2, '{"n":2,"a":"mine"}') x;
do $$ begin perform pg_temp.done(id, 4, '"B"'), pg_temp.done(id, 5, '"C"') from run where name = 'edited'; end $$;
select is((select public.mira_read_run(null, id) -> 'state' from run where name = 'edited'), '{"n":2,"a":"mine","b":"B","c":"C"}', 'a fork goes on from the state it was given');
select is(pg_temp.fork('edited', 5) #> '{tasks,0,state}', '{"n":2,"a":"mine","b":"B"}', 'and so does a fork of it');
insert into run select 'twice', (x ->> 'run_id')::uuid, x from pg_temp.fork('edited', 5, '{"n":3}') x;
do $$ begin perform pg_temp.done(id, 6, '"C3"') from run where name = 'twice'; end $$;
select is(pg_temp.fork('twice', 6) #> '{tasks,0,state}', '{"n":3}', 'of two edits the later one counts');
select is(pg_temp.fork('twice', 4) #> '{tasks,0,state}', '{"n":2,"a":"mine"}', 'and before it the earlier one');
select is(pg_temp.fork('twice', 1) #> '{tasks,0,state}', '{"n":1}', 'and before both the input');
select is((select count(*)::int from private.run_edits), 7, 'what was edited is kept with each run');
do $$ begin delete from public.mira_workflow_state where id = (select id from run where name = 'twice'); end $$;
select is((select count(*)::int from private.run_edits), 5, 'and goes with it');

-- a join that had been reached
insert into run select 'joins', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"fast":["tool",{"tool":"echo"}],"slow":["tool",{"tool":"echo"}],"pick":["router",{"conditions":[{"label":"j","when":"$.slow == 1"}],"default":"k"}],
    "join":["tool",{"tool":"echo"}],"other":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>fast start>slow slow>pick pick>join:j pick>other:k fast>join join>end other>end')) x;
do $$ begin perform pg_temp.done(id, 1, '0') from run where name = 'joins'; end $$;
insert into run select 'forked', (x ->> 'run_id')::uuid, x from pg_temp.fork('joins', 2) x;
select is((select pg_temp.names(reply) from run where name = 'forked'), 'slow', 'the open step is open again');
select is((select pg_temp.names(pg_temp.done(id, (reply #>> '{tasks,0,seq}')::int, '2')) from run where name = 'forked'), 'other,join',
  'when no step can reach it any more, the join that had been reached fires');
do $$ begin perform pg_temp.done(id, 2, '1') from run where name = 'joins'; end $$;
insert into run select 'again', (x ->> 'run_id')::uuid, x from pg_temp.fork('joins', 2) x;
select is((select pg_temp.names(pg_temp.done(id, (reply #>> '{tasks,0,seq}')::int, '1')) from run where name = 'again'), 'join',
  'and once, when the fork reaches it as well');

-- a router before a join
insert into run select 'router', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"slow":["human",{"prompt":"?"}],"pick":["router",{"conditions":[{"label":"j","when":"$.go == true"}],"default":"k"}],
    "join":["tool",{"tool":"echo"}],"other":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>slow start>pick pick>join:j pick>other:k slow>join join>end other>end'), '{"go":false}') x;
insert into run select 'rerouted', (x ->> 'run_id')::uuid, x from pg_temp.fork('router', pg_temp.seq('router', 'pick'), '{"go":true}') x;
select is((select reply ->> 'status' from run where name = 'rerouted'), 'waiting', 'a join behind the step waits for its other branches');
select is((select pg_temp.nodes(id) from run where name = 'rerouted'), 'pick', 'and has not fired');
select is((select pg_temp.names(public.mira_resume_run(null, id, '7', p_lease_ms => 60000)) from run where name = 'rerouted'), 'join', 'it fires when they have come');
do $$ begin perform pg_temp.done(id, (select max(key::int) from jsonb_each(private.cursor_of(s) -> 'o'))) from run r join public.mira_workflow_state s using (id) where r.name = 'rerouted'; end $$;
select is((select pg_temp.nodes(id) from run where name = 'rerouted'), 'pick,slow,join', 'once');

-- branches that had been reached and not been entered yet: the router is done before its sibling is begun
insert into run select 'wide', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["router",{"default":"k"}],"b":["tool",{"tool":"echo"}],"c":["tool",{"tool":"echo"}],"d":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>a start>b start>c a>d:k b>end c>end d>end')) x;
select is(pg_temp.seq('wide', 'a'), 1, 'the router comes first');
select is(pg_temp.names(pg_temp.fork('wide', 1)), 'b,c,d', 'its siblings are begun in the fork, too');

-- an end that had been reached
insert into run select 'ended', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"b":["tool",{"tool":"echo"}],"end":["end",{"output":"$.a"}]}',
  'start>a start>b a>end')) x;
do $$ begin perform pg_temp.done(id, 1, '"A"') from run where name = 'ended'; end $$;
select is((select pg_temp.done(id, 2, '"B"') -> 'output' from run where name = 'ended'), '"A"', 'its output is the run''s');
insert into run select 'ending', (x ->> 'run_id')::uuid, x from pg_temp.fork('ended', 2) x;
select is((select pg_temp.done(id, (reply #>> '{tasks,0,seq}')::int, '"B2"') -> 'output' from run where name = 'ending'), '"A"', 'and the fork''s');

-- a step that failed, went on when the run was driven again, and left no error behind
insert into run select 'mended', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.chain()) x;
do $$ begin
  perform pg_temp.failed(id, 1, '{"code":"no","message":"no","retryable":false}'), public.mira_redrive_runs(null, array[id]), public.mira_claim_tasks(p_run_id => id) from run where name = 'mended';
  perform pg_temp.done(id, 1, '1') from run where name = 'mended';
  perform pg_temp.done(id, 2, '2') from run where name = 'mended';
end $$;
select is(pg_temp.fork('mended', 2) #> '{tasks,0,state}', '{"a":1}', 'a failure that was mended is not in the state');

select * from finish();
rollback;
