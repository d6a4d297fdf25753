begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(8);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is(start_tool_execution('search', p_id => '10000000-0000-4000-8000-000000000001', p_arguments => '{"q": "x", "api_key": "k"}'), '10000000-0000-4000-8000-000000000001'::uuid, 'a call begins');
select is(start_tool_execution('search', p_id => '10000000-0000-4000-8000-000000000001'), '10000000-0000-4000-8000-000000000001'::uuid, 'once per id');
select is((select arguments from tool_executions), '{"q": "x", "api_key": "[redacted]"}'::jsonb, 'its arguments without secrets');
select is((finish_tool_execution('10000000-0000-4000-8000-000000000001', 'failed', p_error_message => 'timeout')).status, 'failed', 'it ends');
select cmp_ok((select duration_ms from tool_executions), '>=', 0::bigint, 'its duration is measured');
select throws_ok($$select finish_tool_execution('10000000-0000-4000-8000-000000000001', 'completed')$$, 'PT409', 'tool_execution_transition_refused', 'an end is an end');
select throws_ok($$select finish_tool_execution('10000000-0000-4000-8000-000000000001', 'running')$$, 'PT422', 'invalid_status', 'running is no end');
select is((select (tool_name, total, completed, failed)::text from get_tool_statistics(p_to => now() + interval '1 minute')),
  '(search,1,0,1)', 'calls are counted by tool');

select * from finish();
rollback;
