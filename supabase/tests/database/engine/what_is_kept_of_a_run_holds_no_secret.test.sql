begin;
\ir setup.psql
select plan(6);

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

-- each name of a secret alone, so that no other one betrays it; and names that only look alike
create temp table named on commit drop as
select distinct name, true as secret from unnest(private.secret_key_words()) word, ltrim(word, '_') plain,
  unnest(array[plain, upper(plain), replace(plain, '_', '-'), 'my_' || plain,
    'my' || replace(initcap(replace(plain, '_', ' ')), ' ', ''), case when word ^@ '_' then plain else 'my' || plain end]) name
union all select name, false from unnest('{spin,compass,tokens,monkey,pinned,order_number,secretary}'::text[]) name;
create function pg_temp.kept(p_value jsonb) returns jsonb language plpgsql as $$
declare
  v_run uuid := pg_temp.start(pg_temp.graph(
    '{"start":["start"],"t":["tool",{"tool":"echo"}],"end":["end"]}', 'start>t t>end')) ->> 'run_id';
begin
  perform pg_temp.done(v_run, 1, p_value);
  return (select t.result from tool_executions t where t.run_id = v_run);
end $$;
create temp table kept on commit drop as select n.*, pg_temp.kept(jsonb_build_object(name, 's3')) ->> name as value from named n;
select is((select array_agg(name) from kept where secret and value <> '[redacted]'), null, 'every key that names a secret loses its value');
select is((select array_agg(name) from kept where not secret and value <> 's3'), null, 'a key that only looks alike keeps it');

select * from finish();
rollback;
