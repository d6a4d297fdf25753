begin;
\ir setup.psql
select plan(4);

-- whatever short cut spares harmless values the search, each of these must be found
create temp table said (name text, value text);
insert into said values
  ('a bearer token in short pieces', 'Bearer abc.def.ghi.jkl~m'),
  ('a short pass phrase in an address', 'https://ada:pw@example.com/'),
  ('a key of its own', 'sk-abcdefghijklmnop');

insert into run select 'r', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"t":["tool",{"tool":"echo"}],"end":["end"]}', 'start>t t>end')) x;
select pg_temp.done(id, 1, (select jsonb_object_agg(name, value) from said)
  || '{"password":"short","note":"nothing to hide"}') is not null from run;
select is((select count(*)::int from said, tool_executions t, run where t.run_id = run.id and t.result::text like '%' || value || '%'), 0,
  'no secret is in the record of the tool call');
select is((select t.result ->> 'password' from tool_executions t, run where t.run_id = run.id), '[redacted]', 'nor what a telling key holds');
select is((select t.result ->> 'note' from tool_executions t, run where t.run_id = run.id), 'nothing to hide', 'the rest is kept');

-- alone, in a value as small as it gets
delete from run;
insert into run select 's', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"t":["tool",{"tool":"echo"}],"end":["end"]}', 'start>t t>end')) x;
select pg_temp.done(id, 1, '"Bearer abc.def.ghi.jkl~m"') is not null from run;
select is((select t.result from tool_executions t, run where t.run_id = run.id), '"[redacted]"', 'a small value is searched as well');

select * from finish();
rollback;
