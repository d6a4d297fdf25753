begin;
\ir setup.psql
select plan(2);

-- everybody has a workflow of their own, and runs that wait
insert into auth.users (id, email) select md5('waiting' || i)::uuid, 'waiting' || i || '@example.com' from generate_series(1, 100) i;
select count(public.mira_start_run(md5('waiting' || i)::uuid, p_workflow => pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end')))
  from generate_series(1, 100) i, generate_series(1, 2);
analyze public.mira_workflow_state, private.workflow_versions, private.version_nodes;

create temp table looks as select sum(seq_tup_read + idx_tup_fetch) as before
  from pg_stat_xact_all_tables where relid = 'private.workflow_versions'::regclass;
select is(jsonb_array_length(public.mira_claim_tasks(10) -> 'tasks'), 10, 'ten of two hundred waiting runs are claimed');
select cmp_ok((select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_all_tables where relid = 'private.workflow_versions'::regclass)
  - (select before from looks), '<=', 40::numeric, 'and no other workflows than theirs are looked at');

select * from finish();
rollback;
