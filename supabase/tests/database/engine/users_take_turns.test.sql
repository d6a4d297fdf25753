begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(8);

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

create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end') $$;
do $$ begin
  for i in 1..50 loop perform public.mira_start_run('a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.chain(), p_options => jsonb_build_object('priority', case when i = 50 then 9 else 5 end)); end loop;
  for i in 1..2 loop perform public.mira_start_run('b0000000-0000-4000-8000-000000000002', p_workflow => pg_temp.chain()); end loop;
end $$;
create temp table got as select t from jsonb_array_elements(public.mira_claim_tasks(4) -> 'tasks') t;
select is((select count(*) from got where t ->> 'user_id' like 'b%'), 2::bigint, 'a long queue of one user does not keep another waiting');
select is((select count(*) from got), 4::bigint, 'and no capacity is left unused');
select ok(exists (select from got join public.mira_workflow_state s on s.id = (t ->> 'run_id')::uuid where s.priority = 9), 'a user''s own urgent run goes first');
select is((select count(*) from jsonb_array_elements(public.mira_claim_tasks(10) -> 'tasks')), 10::bigint, 'alone, a user gets everything');
select is((select count(distinct t ->> 'user_id') from jsonb_array_elements(public.mira_claim_tasks(5, p_user_id => 'a0000000-0000-4000-8000-000000000001') -> 'tasks') t), 1::bigint, 'a claim may be for one user');
select is((select count(*) from public.mira_workflow_state where leased_at is not null), 19::bigint, 'nothing was handed out twice');
select is(public.mira_advance_batch((select jsonb_agg(jsonb_build_object('run_id', t -> 'run_id', 'epoch', t -> 'epoch', 'seq', t -> 'seq', 'outcome', '{"output":1}'::jsonb)) from got)) @? '$[*] ? (@.status <> "completed")',
  false, 'a batch reports many runs at once');
select is(public.mira_advance_batch((select jsonb_agg(jsonb_build_object('run_id', t -> 'run_id', 'epoch', t -> 'epoch', 'seq', t -> 'seq', 'outcome', '{"output":1}'::jsonb)) from got)) @? '$[*] ? (@.accepted == true)',
  false, 'and only once');

select * from finish();
rollback;
