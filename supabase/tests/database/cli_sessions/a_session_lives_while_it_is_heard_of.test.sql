begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

insert into cli_sessions (name, platform, ttl_seconds) values ('laptop', 'linux', 600);
select is((select status from cli_sessions), 'active', 'a session opens active');
select is((select expires_at from cli_sessions), now() + interval '10 minutes', 'and lives as long as asked');
select throws_ok($$update cli_sessions set status = 'closed'$$, '42501', null, 'it changes through its functions');
reset role;
update cli_sessions set last_seen_at = now() - interval '1 hour', expires_at = now() + interval '1 second' where name = 'laptop';
set local role authenticated;
select is((update_cli_session_last_seen((select id from cli_sessions where name = 'laptop'))).expires_at,
  now() + interval '10 minutes', 'a sign of life moves its end');
select is((close_cli_session((select id from cli_sessions where name = 'laptop'))).status, 'closed', 'it is closed');
select throws_ok($$select update_cli_session_last_seen((select id from cli_sessions where name = 'laptop'))$$,
  'PT409', 'cli_session_closed', 'and stays closed');
insert into cli_sessions (name) values ('forgotten');
reset role;
update cli_sessions set expires_at = now() - interval '1 second' where name = 'forgotten';
set local role authenticated;
select throws_ok($$select update_cli_session_last_seen((select id from cli_sessions where name = 'forgotten'))$$,
  'PT409', 'cli_session_expired', 'past its end it cannot be revived');
select throws_ok($$select update_cli_session_last_seen(gen_random_uuid())$$, 'PT404', 'cli_session_not_found', 'what is not there is not found');
reset role;
select private.expire_cli_sessions();
select is((select status from cli_sessions where name = 'forgotten'), 'expired', 'the sweeper marks it');

select * from finish();
rollback;
