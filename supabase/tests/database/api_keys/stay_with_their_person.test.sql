begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(17);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bo@example.com');
insert into private.vault_data_keys (id, user_id, wrapped_key) values
  ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001',
   'w1.k1.AAAAAAAA.' || repeat('i', 16) || '.' || repeat('c', 107));
insert into public.api_keys (user_id, provider, encrypted_key, key_hash, masked_key)
  select 'a0000000-0000-4000-8000-000000000001', 'openai', sealed, 'h1.' || repeat('h', 43), '****9876'
  from (select 'v1.d0000000-0000-4000-8000-000000000001.' || repeat('i', 16) || '.' || repeat('c', 30) || '.0123abcd' as sealed) s;
insert into public.user_tokens (user_id, provider, encrypted_access_token, expires_at)
  select k.user_id, 'google', k.encrypted_key, now() - interval '1 hour' from public.api_keys k;

create function pg_temp.act_as(p_user uuid) returns void language plpgsql as $$
begin
  perform set_config('request.jwt.claims', jsonb_build_object('sub', p_user, 'role', 'authenticated')::text, true),
    set_config('request.jwt.claim.sub', p_user::text, true);
end $$;

select pg_temp.act_as('a0000000-0000-4000-8000-000000000001');
set local role authenticated;
select is((select masked_key from public.api_keys), '****9876', 'a person reads the mask of their key');
select is((select status from public.oauth_tokens), 'expired', 'and the state of their token as of now');
select is((select is_expired from public.get_user_tokens()), true, 'get_user_tokens checks the expiry');
select is((select encrypted_access_token from public.get_user_tokens()), null, 'and gives a person no ciphertext');
select throws_ok($$select encrypted_key from public.api_keys$$, '42501', null, 'the sealed key cannot be read');
select throws_ok($$select key_hash from public.api_keys$$, '42501', null, 'nor its hash');
select throws_ok($$select encrypted_access_token from public.user_tokens$$, '42501', null, 'nor a sealed token');
select throws_ok($$insert into public.api_keys (user_id, provider) values ('a0000000-0000-4000-8000-000000000001', 'x')$$,
  '42501', null, 'a person writes no key');
select throws_ok($$select * from private.vault_data_keys$$, '42501', null, 'and sees no data key');
select throws_ok($$select public.mira_open_secret('a0000000-0000-4000-8000-000000000001', 'openai', 'theft')$$,
  '42501', null, 'and opens nothing');

reset role;
select pg_temp.act_as('b0000000-0000-4000-8000-000000000002');
set local role authenticated;
select is_empty($$select id from public.api_keys$$, 'another person sees no key');
select is_empty($$select id from public.oauth_tokens$$, 'and no token');
select throws_ok($$select * from public.get_user_tokens('a0000000-0000-4000-8000-000000000001')$$,
  'PT403', 'not_your_user', 'and may not ask for somebody else''s');
select throws_ok($$select public.delete_user_tokens('a0000000-0000-4000-8000-000000000001', 'google')$$,
  'PT403', 'not_your_user', 'nor disconnect them');

reset role;
set local role service_role;
select isnt((select encrypted_access_token from public.get_user_tokens('a0000000-0000-4000-8000-000000000001')), null,
  'the server gets the ciphertext');
select is((select array_agg(action) from private.vault_audit), array['use'], 'and leaves an audit row');
select throws_ok($$delete from private.vault_audit$$, '42501', null, 'which it cannot take back');

select * from finish();
rollback;
