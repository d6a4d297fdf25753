begin;
select plan(5);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bob@example.com');
insert into public.workflow_executions (user_id, workflow_type, current_state, created_at, started_at, completed_at) values
  ('a0000000-0000-4000-8000-000000000001', 'report', 'completed', '2026-11-20 23:30+00', '2026-11-20 23:30+00', '2026-11-20 23:30:02+00'),
  ('a0000000-0000-4000-8000-000000000001', 'report', 'failed', '2026-11-20 10:00+00', '2026-11-20 10:00+00', '2026-11-20 10:00:04+00'),
  ('b0000000-0000-4000-8000-000000000002', 'report', 'running', '2026-11-20 10:00+00', '2026-11-20 10:00+00', null);
insert into public.agent_logs (user_id, agent_name, status, duration_ms) values
  ('a0000000-0000-4000-8000-000000000001', 'planner', 'completed', 100),
  ('a0000000-0000-4000-8000-000000000001', 'planner', 'failed', 300),
  ('b0000000-0000-4000-8000-000000000002', 'planner', 'completed', 9000);
insert into public.conversations (user_id, conversation_id, channel, status, created_at) values
  ('a0000000-0000-4000-8000-000000000001', 'c-1', 'web', 'completed', '2026-11-20 12:00+00'),
  ('b0000000-0000-4000-8000-000000000002', 'c-1', 'web', 'active', '2026-11-20 12:00+00');
insert into public.messages (user_id, conversation_id, role, content) values
  ('a0000000-0000-4000-8000-000000000001', 'c-1', 'user', 'one'),
  ('a0000000-0000-4000-8000-000000000001', 'c-1', 'assistant', 'two');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select results_eq(
  $$select day, workflow, runs, completed, failed, open, median_ms, p95_ms from public.run_outcomes$$,
  $$values ('2026-11-20'::date, 'report', 2::bigint, 1::bigint, 1::bigint, 0::bigint, 3000::bigint, 3900::bigint)$$,
  'run outcomes: one''s own runs by UTC day');
select results_eq(
  $$select kind, name, calls, failed, median_ms, p95_ms from public.agent_latency$$,
  $$values ('agent', 'planner', 2::bigint, 1::bigint, 200::bigint, 290::bigint)$$,
  'agent latency: one''s own agents');
select results_eq(
  $$select day, channel, conversations, completed, messages from public.conversation_volume$$,
  $$values ('2026-11-20'::date, 'web', 1::bigint, 1::bigint, 2::bigint)$$,
  'conversation volume: one''s own conversations with their messages');

set local role service_role;
select is((select runs from public.run_outcomes), 3::bigint, 'the server counts everybody''s');
set local role anon;
select throws_ok($$select * from public.run_outcomes$$, '42501', null, 'a visitor counts nothing');

select * from finish();
rollback;
