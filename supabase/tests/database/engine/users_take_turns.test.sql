begin;
\ir setup.psql
select plan(8);

create function pg_temp.chain() returns jsonb language sql as $$
  select pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end') $$;
do $$ begin
  for i in 1..50 loop perform public.mira_start_run('a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.chain(), p_options => jsonb_build_object('priority', case when i = 50 then 9 else 5 end))::jsonb; end loop;
  for i in 1..2 loop perform public.mira_start_run('b0000000-0000-4000-8000-000000000002', p_workflow => pg_temp.chain())::jsonb; end loop;
end $$;
create temp table got as select t from jsonb_array_elements(public.mira_claim_tasks(4) -> 'tasks') t;
select is((select count(*) from got where t ->> 'user_id' like 'b%'), 2::bigint, 'a long queue of one user does not keep another waiting');
select is((select count(*) from got), 4::bigint, 'and no capacity is left unused');
select ok(exists (select from got join public.mira_workflow_state s on s.id = (t ->> 'run_id')::uuid where s.priority = 9), 'a user''s own urgent run goes first');
select is((select count(*) from jsonb_array_elements(public.mira_claim_tasks(10) -> 'tasks')), 10::bigint, 'alone, a user gets everything');
select is((select count(distinct t ->> 'user_id') from jsonb_array_elements(public.mira_claim_tasks(5, p_user_id => 'a0000000-0000-4000-8000-000000000001') -> 'tasks') t), 1::bigint, 'a claim may be for one user');
select is((select count(*) from public.mira_workflow_state where leased_at is not null), 19::bigint, 'nothing was handed out twice');
select is(public.mira_advance_batch((select jsonb_agg(jsonb_build_object('run_id', t -> 'run_id', 'epoch', t -> 'epoch', 'seq', t -> 'seq', 'outcome', '{"output":1}'::jsonb)) from got))::jsonb @? '$[*] ? (@.status <> "completed")',
  false, 'a batch reports many runs at once');
select is(public.mira_advance_batch((select jsonb_agg(jsonb_build_object('run_id', t -> 'run_id', 'epoch', t -> 'epoch', 'seq', t -> 'seq', 'outcome', '{"output":1}'::jsonb)) from got))::jsonb @? '$[*] ? (@.accepted == true)',
  false, 'and only once');

select * from finish();
rollback;
