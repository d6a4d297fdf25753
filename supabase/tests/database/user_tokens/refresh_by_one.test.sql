begin;
select plan(24);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
insert into private.vault_data_keys (id, user_id, wrapped_key) values
  ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001',
   'w1.k1.AAAAAAAA.' || repeat('i', 16) || '.' || repeat('c', 107));
create function pg_temp.sealed() returns text language sql as $$
  select 'v1.d0000000-0000-4000-8000-000000000001.' || repeat('i', 16) || '.' || repeat('c', 30) || '.0123abcd'
$$;
create function pg_temp.lease(p_holder int) returns jsonb language sql as $$
  select public.mira_lease_token_refresh('a0000000-0000-4000-8000-000000000001', 'google',
    ('e0000000-0000-4000-8000-00000000000' || p_holder)::uuid, 5000)
$$;
create function pg_temp.token() returns public.user_tokens language sql as $$ select * from public.user_tokens $$;
create function pg_temp.counted(p_action text) returns bigint language sql as $$
  select count(*) from private.vault_audit where action = p_action
$$;

select is(pg_temp.lease(1) ->> 'outcome', 'missing', 'nothing to refresh without a token');
select public.upsert_user_tokens('a0000000-0000-4000-8000-000000000001', 'google', pg_temp.sealed(), p_expires_in => 3600);
select is(pg_temp.lease(1) ->> 'outcome', 'no_refresh_token', 'nor without a refresh token');
select public.upsert_user_tokens('a0000000-0000-4000-8000-000000000001', 'google', pg_temp.sealed(), pg_temp.sealed(), p_expires_in => 3600);
select is(pg_temp.lease(1) ->> 'outcome', 'fresh', 'nor while it is far from its end');
select ok((select refresh_due_at between expires_at - interval '6 minutes' and expires_at - interval '5 minutes' from public.user_tokens),
  'a refresh is due five to six minutes ahead');
select ok((select private.next_refresh_at(clock_timestamp() + interval '60 s') > clock_timestamp() + interval '29 s'),
  'and at half of the life of a short-lived token');

update public.user_tokens set refresh_due_at = now();
select is_empty($$select * from public.mira_list_due_refreshes('{github}')$$, 'only the named providers are listed as due');
select isnt_empty($$select * from public.mira_list_due_refreshes('{google}')$$, 'a due token is listed');
select is(pg_temp.lease(1) ->> 'outcome', 'granted', 'the first caller gets the lease');
select is(pg_temp.lease(2) ->> 'outcome', 'busy', 'the second has to wait');
select is_empty($$select * from public.mira_list_due_refreshes('{google}')$$, 'a leased token is not listed');
select is(pg_temp.counted('refresh'), 1::bigint, 'one read of the refresh token is audited');

update private.token_refresh_leases set expires_at = clock_timestamp();
select is(pg_temp.lease(2) ->> 'outcome', 'granted', 'a lease that ran out goes to the next');
select is(public.mira_fail_token_refresh((pg_temp.token()).id, 'e0000000-0000-4000-8000-000000000001', (pg_temp.token()).generation, false, 'x'),
  'backoff', 'the former holder may report a failure');
select is(pg_temp.lease(1) -> 'is_backing_off', 'false', 'which does not end the lease of the present one');
select is(public.mira_fail_token_refresh((pg_temp.token()).id, 'e0000000-0000-4000-8000-000000000002', (pg_temp.token()).generation, false, 'x'),
  'backoff', 'the holder reports a failure that may pass');
select is(pg_temp.lease(1) -> 'is_backing_off', 'true', 'and everybody waits a little');

select is(public.mira_fail_token_refresh((pg_temp.token()).id, 'e0000000-0000-4000-8000-000000000002', (pg_temp.token()).generation - 1, true, 'invalid_grant'),
  'moved', 'a final failure of a generation that has passed counts for nothing');
select isnt(public.mira_store_token_refresh((pg_temp.token()).id, (pg_temp.token()).generation + 1, pg_temp.sealed(), pg_temp.sealed(), 3600, null, '****'),
  null, 'a late holder stores on the generation it read');
select is(public.mira_store_token_refresh((pg_temp.token()).id, (pg_temp.token()).generation, pg_temp.sealed(), pg_temp.sealed(), 3600, null, '****'),
  null, 'and never on one that has passed');

update public.user_tokens set refresh_due_at = now();
select is(public.mira_fail_token_refresh((pg_temp.token()).id, 'e0000000-0000-4000-8000-000000000002', (pg_temp.token()).generation, true, 'invalid_grant'),
  'needs_reauth', 'a final failure asks for a new sign-in');
select is(public.mira_fail_token_refresh((pg_temp.token()).id, 'e0000000-0000-4000-8000-000000000001', (pg_temp.token()).generation, true, 'invalid_grant'),
  'moved', 'once');
select is(pg_temp.counted('needs_reauth'), 1::bigint, 'with one audit row');
select is(pg_temp.lease(1) ->> 'outcome', 'needs_reauth', 'and nobody refreshes it again');
select throws_ok($$select public.delete_user_tokens('a0000000-0000-4000-8000-000000000001', 'github')$$,
  'PT404', 'token_not_found', 'an unknown provider cannot be disconnected');

select * from finish();
rollback;
