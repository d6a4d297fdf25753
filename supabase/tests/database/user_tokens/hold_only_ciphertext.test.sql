begin;
select plan(17);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'bo@example.com');
insert into private.vault_data_keys (id, user_id, wrapped_key) values
  ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001',
   'w1.k1.AAAAAAAA.' || repeat('i', 16) || '.' || repeat('c', 107)),
  ('d0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000002',
   'w1.k1.AAAAAAAA.' || repeat('i', 16) || '.' || repeat('c', 107));

create function pg_temp.sealed(p_key int, p_text text default 'x') returns text language sql as $$
  select 'v1.d0000000-0000-4000-8000-00000000000' || p_key || '.' || repeat('i', 16) || '.'
    || rpad(p_text, greatest(length(p_text), 30), 'c') || '.0123abcd'
$$;
create function pg_temp.store(p_access text, p_refresh text default null) returns void language sql as $$
  insert into public.user_tokens (user_id, provider, encrypted_access_token, encrypted_refresh_token)
  values ('a0000000-0000-4000-8000-000000000001', 'google', p_access, p_refresh)
$$;

select throws_ok($$select pg_temp.store('ya29.plain')$$, '23514', 'plaintext_refused', 'an access token in clear is refused');
select throws_ok($$select pg_temp.store(pg_temp.sealed(1), '1//plain')$$, '23514', 'plaintext_refused', 'a refresh token in clear is refused');
select throws_ok($$select pg_temp.store(pg_temp.sealed(1) || ' ')$$, '23514', 'plaintext_refused', 'a sealed text with something behind it is refused');
select throws_ok($$select pg_temp.store(pg_temp.sealed(1, repeat('c', 25000)))$$, '23514', 'plaintext_refused', 'a text of 25,000 characters is refused');

-- the constraint stands behind the trigger
alter table public.user_tokens disable trigger user_tokens_refuse_plaintext;
select throws_matching($$select pg_temp.store('plain')$$, 'is_ciphertext_check', 'the table itself refuses plaintext without its trigger');
alter table public.user_tokens enable trigger user_tokens_refuse_plaintext;

select throws_ok($$select pg_temp.store(pg_temp.sealed(2))$$, '23503', null, 'a text under another person''s data key is refused');
select throws_ok($$select pg_temp.store(pg_temp.sealed(1), pg_temp.sealed(2))$$, '23514', null, 'both fields stand under one data key');
select throws_ok($$select pg_temp.store(null)$$, '23514', null, 'a live row holds a token');
select lives_ok($$select pg_temp.store(pg_temp.sealed(1), pg_temp.sealed(1))$$, 'a sealed pair is stored');
select is((select has_refresh_token from public.user_tokens), true, 'the row says that it can be refreshed');
select throws_ok($$select pg_temp.store(pg_temp.sealed(1))$$, '23505', null, 'one row for a person and provider');
select throws_ok($$update public.user_tokens set status = 'revoked'$$, '23514', null, 'a revoked row holds nothing');
select throws_ok($$delete from private.vault_data_keys where id = 'd0000000-0000-4000-8000-000000000001'$$,
  '23503', null, 'a data key that opens something cannot be lost');
select throws_ok($$update public.user_tokens set provider = 'Google Inc'$$, '23514', null, 'a provider is a slug');

select throws_ok(
  $$select public.upsert_user_tokens('a0000000-0000-4000-8000-000000000001', 'google', pg_temp.sealed(1), p_generation => 1)$$,
  'PT409', 'generation_moved', 'a write sealed for a generation that has passed is refused');
select is(
  public.upsert_user_tokens('a0000000-0000-4000-8000-000000000001', 'google', pg_temp.sealed(1), p_generation => 2) ->> 'status',
  'active', 'a write sealed for the next generation is taken');

delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001';
select is(
  (select array_agg(user_id) from private.vault_data_keys),
  array['b0000000-0000-4000-8000-000000000002']::uuid[], 'deleting a person shreds their data key');

select * from finish();
rollback;
