begin;
\ir setup.psql
select plan(27);

create function pg_temp.wide(p_options jsonb) returns uuid language sql as $$
  select (pg_temp.start(pg_temp.graph('{"start":["start"],"a":["llm",{"prompt":"x"}],"b":["llm",{"prompt":"y"}],"end":["end"]}',
    'start>a start>b a>end b>end'), '{}', p_options) ->> 'run_id')::uuid $$;
-- a prompt of 50 tokens and an answer of up to 100, a token a millionth of a dollar
create function pg_temp.ask(p_run uuid, p_seq int, p_holder int default 1, p_item int default -1, p_price numeric default 1) returns jsonb
language sql as $$ select public.mira_reserve_spend(p_run, p_seq, p_item, p_holder, 50, 100, p_price, p_price) $$;
create function pg_temp.report(p_run uuid, p_seq int, p_tokens int, p_epoch int default 1) returns jsonb language sql as $$
  select public.mira_advance(p_run, p_epoch, p_seq, jsonb_build_object('output', 'x', 'usage',
    jsonb_build_object('input_tokens', 50, 'output_tokens', p_tokens, 'cost_micros', 50 + p_tokens))) $$;

-- one run
insert into run (name, id) select 'w', pg_temp.wide('{"budget":{"tokens":260}}');
select is(pg_temp.ask(id, 1), '{"most": 100}', 'a call that the budget covers may answer in full') from run;
select is(pg_temp.ask(id, 1), '{"most": 100}', 'asking again is the same reservation') from run;
select is(pg_temp.ask(id, 2), '{"wait": true}', 'a sibling that does not fit beside it waits') from run;
select is(pg_temp.report(id, 1, 40) ->> 'status', 'running', 'the first call cost less than it might have') from run;
select is(pg_temp.ask(id, 2), '{"most": 100}', 'so the sibling may go') from run;
select is(pg_temp.ask(id, 2, 7), '{"refused": "lease_lost"}', 'nobody but the holder of the step reserves for it') from run;
select is(pg_temp.report(id, 2, 90) ->> 'status', 'completed', 'both were paid for') from run;
select is((select tokens_used from public.mira_workflow_state s where s.id = run.id), 230::bigint, 'within the budget') from run;
select is((select count(*) from private.run_reserves), 0::bigint, 'nothing stays set aside');
select is(pg_temp.ask(id, 2), '{"refused": "lease_lost"}', 'a run that has ended spends no more') from run;

delete from run;
insert into run (name, id) select 'w', pg_temp.wide('{"budget":{"tokens":170}}');
select is(pg_temp.ask(id, 1), '{"most": 100}', 'one fits') from run;
select is(pg_temp.report(id, 1, 60) ->> 'status', 'running', 'and leaves 60') from run;
select is(pg_temp.ask(id, 2), '{"refused": "budget_exceeded"}', 'too little for a prompt of 50 and an answer worth having') from run;

delete from run;
insert into run (name, id) select 'w', pg_temp.wide('{"budget":{"cost_micros":200}}');
select is(pg_temp.ask(id, 1), '{"most": 100}', 'money counts like tokens') from run;
select is(pg_temp.ask(id, 2), '{"wait": true}', 'for siblings too') from run;
select is(pg_temp.ask(id, 1, p_price => null), '{"refused": "llm_price_unknown"}', 'a call without a price cannot be weighed against money') from run;

-- the worker dies
select pg_temp.ask(id, 1) from run;
update public.mira_workflow_state s set due_at = now() - interval '1 second' from run where s.id = run.id;
select is(jsonb_array_length(public.mira_claim_tasks(p_run_id => id) -> 'tasks'), 2, 'another worker takes over') from run;
select is(pg_temp.ask(id, 2, 2), '{"most": 100}', 'and finds what the dead one had set aside free again') from run;
select is(pg_temp.ask(id, 1, 1), '{"refused": "lease_lost"}', 'while the dead one reserves nothing more') from run;

-- one user
insert into private.user_limits (user_id, day_tokens) values ('a0000000-0000-4000-8000-000000000001',
  (select tokens + 200 from private.user_spend where user_id = 'a0000000-0000-4000-8000-000000000001'));
delete from public.workflow_executions;
create temp table two as select pg_temp.wide('{}') as one, pg_temp.wide('{}') as other;
select is(pg_temp.ask(one, 1), '{"most": 100}', 'a run without a budget spends from its user''s day') from two;
select is(pg_temp.ask(other, 1), '{"wait": true}', 'and so does the other') from two;
select is(public.mira_cancel_run(null, one) ->> 'status', 'cancelled', 'one ends') from two;
select is(pg_temp.ask(other, 1), '{"most": 100}', 'and gives back what it had not spent') from two;
delete from private.user_limits;

-- elements of a map
delete from run;
insert into run (name, id) select 'm', (pg_temp.start(pg_temp.graph(
  '{"start":["start"],"m":["map",{"items":"$.n","each":{"type":"llm","config":{"prompt":"x"}}}],"end":["end"]}', 'start>m m>end'),
  '{"n":[1,2]}', '{"budget":{"tokens":200}}') ->> 'run_id')::uuid;
select is(pg_temp.ask(id, 1, 1, 0), '{"most": 100}', 'an element reserves for itself') from run;
select is(pg_temp.ask(id, 1, 1, 1), '{"wait": true}', 'and its neighbour waits') from run;
select public.mira_record_item_call(id, 1, 0, 1, '{"call":{"index":0,"kind":"model","name":"m","output":{}},"usage":{"input_tokens":10,"output_tokens":10}}') from run;
select is(pg_temp.ask(id, 1, 1, 1), '{"most": 100}', 'until the call is recorded') from run;
select is(public.mira_record_item_call(id, 1, 0, 1, '{"call":{"index":0,"kind":"model","name":"other"}}') #>> '{call,name}', 'm',
  'a call that is recorded again is answered with the first') from run;

select * from finish();
rollback;
