begin;
select plan(12);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
insert into private.vault_data_keys (id, user_id, wrapped_key) values
  ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001',
   'w1.k1.AAAAAAAA.' || repeat('i', 16) || '.' || repeat('c', 107));
create function pg_temp.sealed() returns text language sql as $$
  select 'v1.d0000000-0000-4000-8000-000000000001.' || repeat('i', 16) || '.' || repeat('c', 30) || '.0123abcd'
$$;
create function pg_temp.store(p_label text, p_hash text default 'h', p_generation int default 1, p_metadata jsonb default '{}')
returns jsonb language sql as $$
  select public.mira_store_api_key('a0000000-0000-4000-8000-000000000001', 'vanchin', p_label, pg_temp.sealed(),
    'h1.' || repeat(p_hash, 43), '****9876', p_metadata, p_generation)
$$;

-- seed 002's own statement, with its own values
select throws_ok(
  $$insert into api_keys (user_id, provider, encrypted_key, key_hash, masked_key, metadata) values
    ('a0000000-0000-4000-8000-000000000001', 'vanchin', 'encrypted-api-key-here', 'hash-here', 'WW8G...T9g',
     '{"endpoint_id": "ep-lpvcnv-1761467347624133479", "agent_name": "Agent 1", "description": "General purpose AI assistant"}')$$,
  '23514', 'plaintext_refused', 'seed 002''s statement is refused while its key is not sealed');
select lives_ok(
  $$insert into api_keys (user_id, provider, encrypted_key, key_hash, masked_key, metadata) values
    ('a0000000-0000-4000-8000-000000000001', 'vanchin', pg_temp.sealed(), 'h1.' || repeat('h', 43), '****9876',
     '{"endpoint_id": "ep-lpvcnv-1761467347624133479", "agent_name": "Agent 1", "description": "General purpose AI assistant"}')$$,
  'and taken with a sealed one');
select throws_ok($$update public.api_keys set key_hash = md5('key')$$, '23514', null, 'a plain hash is refused');
select throws_ok($$update public.api_keys set metadata = '[]'$$, '23514', null, 'metadata is an object');
select throws_ok($$update public.api_keys set metadata = jsonb_build_object('x', (select string_agg(md5(n::text), '') from generate_series(1, 500) n))$$,
  '23514', null, 'of at most 4 KiB');
select throws_ok($$update public.api_keys set status = 'revoked'$$, '23514', null, 'a revoked key holds nothing');

select is(pg_temp.store('Agent 2', 'j') -> 'same_key_as', '[]'::jsonb, 'a second label holds a second key');
select is(pg_temp.store('spare') -> 'same_key_as', '["default"]'::jsonb, 'the same key under another label is named');
select throws_ok($$select pg_temp.store('spare')$$, 'PT409', 'generation_moved', 'a write sealed for a passed generation is refused');
select is(pg_temp.store('spare', 'h', 2) ->> 'label', 'spare', 'one for the next generation is taken');

select is(public.mira_delete_api_key('a0000000-0000-4000-8000-000000000001',
  (select id from public.api_keys where label = 'spare')) ->> 'status', 'revoked', 'a key is deleted by its id');
select throws_ok($$select public.mira_delete_api_key('a0000000-0000-4000-8000-000000000001',
  (select id from public.api_keys where label = 'spare'))$$, 'PT404', 'api_key_not_found', 'once');

select * from finish();
rollback;
