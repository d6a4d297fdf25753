begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(8);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_execution_log('10000000-0000-4000-8000-000000000001', 'Bearer abcdefghijklmnop0123 and AKIAIOSFODNN7EXAMPLE and postgres://me:pw@host/db',
  p_metadata => '{"password": "p", "list": [{"apiKey": "k", "ok": 1}], "text": "sk-abcdefghijklmnopqrstuv", "tokens": 7}');
select is((select message from execution_logs),
  '[redacted] and [redacted] and postgres://[redacted]@host/db', 'shapes of secrets leave the message');
select is((select metadata::jsonb from execution_logs),
  '{"password": "[redacted]", "list": [{"apiKey": "[redacted]", "ok": 1}], "text": "[redacted]", "tokens": 7}'::jsonb,
  'secret keys and shapes leave the metadata, counts stay');
select insert_execution_log('10000000-0000-4000-8000-000000000001', repeat('é', 4000));
select cmp_ok((select octet_length(message) from execution_logs where message like 'é%'), '<=', 4096, 'at most 4 KiB');
select cmp_ok((select octet_length(message) from execution_logs where message like 'é%'), '>', 4090, 'and not much less');
select ok((select message like '%é …[truncated]' from execution_logs where message like 'é%'), 'cut between characters, and marked');
select insert_execution_log('10000000-0000-4000-8000-000000000001', 'big', p_metadata => jsonb_build_object('x', repeat('y', 9000)));
select is((select metadata ->> 'truncated' from execution_logs where message = 'big'), 'true', 'large metadata is replaced');
select throws_ok($$select insert_execution_log('10000000-0000-4000-8000-000000000001', '')$$, 'PT422', 'invalid_message', 'an empty line is none');
select throws_ok($$select insert_execution_log('10000000-0000-4000-8000-000000000001', 'x', p_level => 'loud')$$, 'PT422', 'invalid_level', 'levels are four');

select * from finish();
rollback;
