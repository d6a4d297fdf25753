-- Vault: credentials that even the database cannot read.
--
-- Three layers. A root key lives only in the environment of the functions (VAULT_KEYRING). It wraps one
-- random data key per person, kept here in private.vault_data_keys. The data key encrypts that person's
-- credentials. The database holds the last two layers and can open neither: a dump, a replica or a
-- stolen service key yields ciphertext.
--
-- A ciphertext is bound to its place: the person, the provider, the field and the row's generation are
-- authenticated with it, so a row copied to another person, another provider or an earlier generation
-- does not open. The generation counts every write of a row. It is also the fence of the refresh path: a
-- worker stores a new token only on the generation it read, so a late worker can never overwrite.
--
-- Formats (functions-shared/vault writes them, the checks below demand them):
--   credential  v1.<data key id>.<iv>.<ciphertext and tag>.<crc32 of what precedes it>
--   data key    w1.<root key id>.<check value of the root key>.<iv>.<ciphertext and tag>
-- A trigger refuses anything else before the row reaches a constraint, because a constraint's error
-- quotes the failing row, and with it the secret that somebody tried to store in clear.
--
-- Who reads what. Browsers read masks and states of their own rows. Only service_role is handed
-- ciphertext, through functions that write the audit row in the same statement as the read. Deleting a
-- person deletes their data key: what backups of the credentials still hold can no longer be opened.

create or replace function private.is_ciphertext(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text ~ '^v1\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{23,}\.[0-9a-f]{8}$'
    and pg_catalog.octet_length(p_text) <= 24576
$$;
comment on function private.is_ciphertext(text) is
  'True for a sealed credential (v1.<data key id>.<iv>.<ciphertext>.<crc32>); plaintext never looks like one.';

create or replace function private.ciphertext_data_key_id(p_text text) returns uuid
language sql immutable set search_path = '' as $$
  select case when private.is_ciphertext(p_text) then pg_catalog.split_part(p_text, '.', 2)::uuid end
$$;
comment on function private.ciphertext_data_key_id(text) is 'The data key a sealed credential names; null for none.';

create or replace function private.is_provider_name(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text ~ '^[a-z0-9][a-z0-9_.-]{0,62}$' and p_text <> 'api-keys'
$$;
comment on function private.is_provider_name(text) is
  'A provider is a short lower case slug: google, openai, my-company.crm. "api-keys" is a route, not a provider.';

-- ---------------------------------------------------------------------------------------------------
-- data keys

create table if not exists private.vault_data_keys (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  wrapped_key text not null
    constraint vault_data_keys_is_wrapped_check
    check (wrapped_key ~ '^w1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{107}$'),
  root_key_id text not null generated always as (split_part(wrapped_key, '.', 2)) stored,
  created_at timestamptz not null default now(),
  rewrapped_at timestamptz,
  retired_at timestamptz,
  unique (user_id, id)
);
comment on table private.vault_data_keys is
  'One random key per person (32 bytes for AES-256-GCM, 32 for HMAC-SHA-256), wrapped by a root key the database never sees. Its deletion shreds the credentials.';
comment on column private.vault_data_keys.root_key_id is 'The root key that wrapped it; rotation is done when no row names an old one.';
comment on column private.vault_data_keys.retired_at is 'Set when a newer data key took over for new writes; it still opens older ciphertext.';
create unique index if not exists vault_data_keys_one_current_per_user_idx
  on private.vault_data_keys (user_id) where retired_at is null;
create index if not exists vault_data_keys_root_key_id_id_idx on private.vault_data_keys (root_key_id, id);

-- ---------------------------------------------------------------------------------------------------
-- OAuth tokens (seed 004)

create table if not exists public.user_tokens (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null constraint user_tokens_provider_is_slug_check check (private.is_provider_name(provider)),
  encrypted_access_token text
    constraint user_tokens_access_token_is_ciphertext_check check (private.is_ciphertext(encrypted_access_token)),
  encrypted_refresh_token text
    constraint user_tokens_refresh_token_is_ciphertext_check check (private.is_ciphertext(encrypted_refresh_token)),
  masked_token text not null default '****' check (length(masked_token) <= 16),
  scopes text[] not null default '{}' check (cardinality(scopes) <= 100),
  expires_at timestamptz,
  refresh_due_at timestamptz,
  generation integer not null default 1 check (generation > 0),
  status text not null default 'active' check (status in ('active', 'needs_reauth', 'revoked')),
  status_reason text check (length(status_reason) <= 64),
  has_refresh_token boolean not null generated always as (encrypted_refresh_token is not null) stored,
  data_key_id uuid generated always as (private.ciphertext_data_key_id(encrypted_access_token)) stored,
  refreshed_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_tokens_user_id_provider_key unique (user_id, provider),
  constraint user_tokens_data_key_fkey foreign key (user_id, data_key_id)
    references private.vault_data_keys (user_id, id),
  constraint user_tokens_both_fields_share_a_data_key_check
    check (private.ciphertext_data_key_id(encrypted_refresh_token) = data_key_id),
  constraint user_tokens_revoked_holds_nothing_check
    check (case when status = 'revoked' then encrypted_access_token is null and encrypted_refresh_token is null
                else encrypted_access_token is not null end)
);
comment on table public.user_tokens is
  'OAuth tokens of a person at a provider, sealed. Written by the server only; people read masks and states.';
comment on column public.user_tokens.masked_token is 'The last four characters of a long access token, for people to recognise it.';
comment on column public.user_tokens.refresh_due_at is 'When a refresh may start: some minutes before expiry, with jitter.';
comment on column public.user_tokens.generation is 'Counts every write; authenticated with the ciphertext and compared by every update.';
comment on column public.user_tokens.status is
  'What was decided about the token. oauth_tokens.status adds what time decides: expiring and expired.';
comment on column public.user_tokens.status_reason is 'Why it needs a new sign-in, as a code: invalid_grant.';
create index if not exists user_tokens_user_id_data_key_id_idx on public.user_tokens (user_id, data_key_id);
create index if not exists user_tokens_user_id_created_at_idx on public.user_tokens (user_id, created_at desc);
create index if not exists user_tokens_refresh_due_at_idx on public.user_tokens (refresh_due_at)
  where status = 'active' and has_refresh_token;

create or replace function private.token_state(p_status text, p_expires_at timestamptz) returns text
language sql stable set search_path = '' as $$
  select case
    when p_status <> 'active' then p_status
    when p_expires_at <= pg_catalog.clock_timestamp() then 'expired'
    when p_expires_at <= pg_catalog.clock_timestamp() + interval '5 minutes' then 'expiring'
    else 'active'
  end
$$;
comment on function private.token_state(text, timestamptz) is
  'active, expiring (within five minutes), expired, needs_reauth or revoked, by the database clock.';

create or replace view public.oauth_tokens with (security_invoker = true) as
  select id, user_id, provider, masked_token, scopes, private.token_state(status, expires_at) as status,
    status_reason, has_refresh_token, expires_at, refreshed_at, revoked_at, created_at, updated_at
  from public.user_tokens;
comment on view public.oauth_tokens is 'user_tokens as a person may see them: no ciphertext, the state as of now.';

-- ---------------------------------------------------------------------------------------------------
-- API keys (seed 002)

create table if not exists public.api_keys (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null constraint api_keys_provider_is_slug_check check (private.is_provider_name(provider)),
  label text not null default 'default' check (length(label) between 1 and 100),
  encrypted_key text constraint api_keys_key_is_ciphertext_check check (private.is_ciphertext(encrypted_key)),
  key_hash text constraint api_keys_hash_is_keyed_check check (key_hash ~ '^h1\.[A-Za-z0-9_-]{43}$'),
  masked_key text not null default '****' check (length(masked_key) <= 16),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 4096),
  generation integer not null default 1 check (generation > 0),
  status text not null default 'active' check (status in ('active', 'revoked')),
  data_key_id uuid generated always as (private.ciphertext_data_key_id(encrypted_key)) stored,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint api_keys_user_id_provider_label_key unique (user_id, provider, label),
  constraint api_keys_data_key_fkey foreign key (user_id, data_key_id)
    references private.vault_data_keys (user_id, id),
  constraint api_keys_revoked_holds_nothing_check
    check (case when status = 'revoked' then encrypted_key is null and key_hash is null
                else encrypted_key is not null and key_hash is not null end)
);
comment on table public.api_keys is
  'Provider API keys of a person, sealed, several per provider by label. Written by the server only.';
comment on column public.api_keys.key_hash is
  'HMAC of the key under a key of this person alone: equal hashes of one person mean equal keys, and nothing across people.';
comment on column public.api_keys.metadata is
  'Checked settings that go with the key: base_url, endpoint_id, agent_name, … base_url is authenticated with the ciphertext.';
create index if not exists api_keys_user_id_created_at_idx on public.api_keys (user_id, created_at desc);
create index if not exists api_keys_user_id_data_key_id_idx on public.api_keys (user_id, data_key_id);

-- ---------------------------------------------------------------------------------------------------
-- refresh leases, revocations that are still owed to a provider, and the audit

create table if not exists private.token_refresh_leases (
  token_id uuid primary key references public.user_tokens (id) on delete cascade,
  holder uuid,
  generation integer not null,
  expires_at timestamptz not null,
  failures integer not null default 0,
  not_before timestamptz not null default '-infinity'
);
comment on table private.token_refresh_leases is
  'Who is refreshing a token now, and until when others wait. A row, not a lock: no connection is held during the call.';
comment on column private.token_refresh_leases.generation is 'The generation the holder read; only on it may the answer be stored.';
comment on column private.token_refresh_leases.not_before is 'Back-off after a failure that may pass.';

create table if not exists private.token_revocations (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null,
  field text not null check (field in ('access_token', 'refresh_token')),
  encrypted_token text not null check (private.is_ciphertext(encrypted_token)),
  generation integer not null,
  attempts integer not null default 0,
  due_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  data_key_id uuid not null generated always as (private.ciphertext_data_key_id(encrypted_token)) stored,
  constraint token_revocations_data_key_fkey foreign key (user_id, data_key_id)
    references private.vault_data_keys (user_id, id)
);
comment on table private.token_revocations is
  'Tokens a person disconnected that the provider has not been told about yet. A row leaves when told, or after eight tries.';
create index if not exists token_revocations_due_at_idx on private.token_revocations (due_at);
create index if not exists token_revocations_user_id_data_key_id_idx on private.token_revocations (user_id, data_key_id);

create table if not exists private.vault_audit (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  provider text not null,
  kind text not null check (kind in ('oauth', 'api_key')),
  secret_id uuid not null,
  action text not null check (action in
    ('store', 'use', 'refresh', 'refreshed', 'needs_reauth', 'delete', 'revoked', 'revoke_unsupported', 'revoke_failed')),
  purpose text not null check (length(purpose) between 1 and 200),
  run_id uuid,
  generation integer not null,
  at timestamptz not null default clock_timestamp()
);
comment on table private.vault_audit is
  'Every store, read, refresh and removal of a credential: who, where, for what, for which run. Append-only for the server.';
comment on column private.vault_audit.secret_id is 'Row of user_tokens or api_keys; kept when that row is gone.';
create index if not exists vault_audit_user_id_at_idx on private.vault_audit (user_id, at);
create index if not exists vault_audit_secret_id_at_idx on private.vault_audit (secret_id, at) where action = 'use';
create index if not exists vault_audit_at_idx on private.vault_audit (at);

-- ---------------------------------------------------------------------------------------------------
-- triggers

create or replace function private.refuse_plaintext() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_column text;
  v_row jsonb := pg_catalog.to_jsonb(new);
begin
  foreach v_column in array tg_argv loop
    if not private.is_ciphertext(v_row ->> v_column) then
      raise exception using errcode = '23514', message = 'plaintext_refused',
        detail = pg_catalog.format('%s.%s takes only credentials sealed by the vault.', tg_table_name, v_column);
    end if;
  end loop;
  return new;
end $$;
comment on function private.refuse_plaintext() is
  'Trigger: refuses a credential in clear before any constraint can quote the row it stands in.';

create or replace trigger user_tokens_refuse_plaintext before insert or update on public.user_tokens
  for each row execute function private.refuse_plaintext('encrypted_access_token', 'encrypted_refresh_token');
create or replace trigger api_keys_refuse_plaintext before insert or update on public.api_keys
  for each row execute function private.refuse_plaintext('encrypted_key');
create or replace trigger user_tokens_updated_at before update on public.user_tokens
  for each row execute function private.set_updated_at();
create or replace trigger api_keys_updated_at before update on public.api_keys
  for each row execute function private.set_updated_at();

-- ---------------------------------------------------------------------------------------------------
-- row level security and grants

alter table private.vault_data_keys enable row level security;
alter table private.token_refresh_leases enable row level security;
alter table private.token_revocations enable row level security;
alter table private.vault_audit enable row level security;
alter table public.user_tokens enable row level security;
alter table public.api_keys enable row level security;

revoke all on private.vault_data_keys, private.token_refresh_leases, private.token_revocations,
  private.vault_audit, public.user_tokens, public.oauth_tokens, public.api_keys
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on
  private.vault_data_keys, private.token_refresh_leases, private.token_revocations,
  public.user_tokens, public.api_keys to service_role;
grant select, insert on private.vault_audit to service_role;
grant select on public.oauth_tokens to authenticated, service_role;
grant select (id, user_id, provider, masked_token, scopes, expires_at, status, status_reason, has_refresh_token,
  refreshed_at, revoked_at, created_at, updated_at) on public.user_tokens to authenticated;
grant select (id, user_id, provider, label, masked_key, metadata, status, revoked_at, created_at, updated_at)
  on public.api_keys to authenticated;

create policy user_tokens_select_own on public.user_tokens for select to authenticated
  using (user_id = (select auth.uid()));
create policy api_keys_select_own on public.api_keys for select to authenticated
  using (user_id = (select auth.uid()));
create policy vault_data_keys_all_service on private.vault_data_keys for all to service_role
  using (true) with check (true);
create policy token_refresh_leases_all_service on private.token_refresh_leases for all to service_role
  using (true) with check (true);
create policy token_revocations_all_service on private.token_revocations for all to service_role
  using (true) with check (true);
create policy vault_audit_all_service on private.vault_audit for all to service_role
  using (true) with check (true);

-- ---------------------------------------------------------------------------------------------------
-- writing

create or replace function private.next_refresh_at(p_expires_at timestamptz) returns timestamptz
language sql volatile set search_path = '' as $$
  -- five to six minutes ahead; for a short-lived token, at half of its life at the latest
  select p_expires_at - least(
    interval '5 minutes' + pg_catalog.random() * interval '1 minute',
    greatest(p_expires_at - pg_catalog.clock_timestamp(), interval '0') / 2)
$$;
comment on function private.next_refresh_at(timestamptz) is
  'When refreshing a token that expires then may start: ahead, with jitter, so that a crowd does not come at once.';

create or replace function public.mira_prepare_secret(p_user_id uuid, p_provider text, p_label text default null)
returns jsonb language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object(
    'generation', 1 + coalesce(
      case when p_label is null
        then (select t.generation from public.user_tokens t where t.user_id = p_user_id and t.provider = p_provider)
        else (select k.generation from public.api_keys k
              where k.user_id = p_user_id and k.provider = p_provider and k.label = p_label)
      end, 0),
    'data_key', (select pg_catalog.jsonb_build_object('id', d.id, 'wrapped_key', d.wrapped_key)
      from private.vault_data_keys d
      where d.user_id = p_user_id and d.retired_at is null
        and d.created_at > pg_catalog.now() - interval '180 days'))
$$;
comment on function public.mira_prepare_secret(uuid, text, text) is
  'What sealing needs: the generation to bind (an API key when p_label is given, else an OAuth token) and the current data key; null when the person has none, or one older than 180 days.';

create or replace function public.mira_put_data_key(p_user_id uuid, p_id uuid, p_wrapped_key text)
returns jsonb language plpgsql volatile set search_path = '' as $$
begin
  update private.vault_data_keys d set retired_at = pg_catalog.now()
    where d.user_id = p_user_id and d.retired_at is null and d.created_at <= pg_catalog.now() - interval '180 days';
  delete from private.vault_data_keys d
    where d.user_id = p_user_id and d.retired_at < pg_catalog.now()
      and not exists (select from public.user_tokens t where t.user_id = d.user_id and t.data_key_id = d.id)
      and not exists (select from public.api_keys k where k.user_id = d.user_id and k.data_key_id = d.id)
      and not exists (select from private.token_revocations r where r.user_id = d.user_id and r.data_key_id = d.id);
  insert into private.vault_data_keys (id, user_id, wrapped_key) values (p_id, p_user_id, p_wrapped_key)
    on conflict (user_id) where retired_at is null do nothing;
  return (select pg_catalog.jsonb_build_object('id', d.id, 'wrapped_key', d.wrapped_key)
    from private.vault_data_keys d where d.user_id = p_user_id and d.retired_at is null);
end $$;
comment on function public.mira_put_data_key(uuid, uuid, text) is
  'Offers a new data key and returns the one in force: of two that arrive together, the first wins. Retires a key older than 180 days and drops retired keys that open nothing.';

create or replace function public.upsert_user_tokens(
  p_user_id uuid, p_provider text, p_access_token text, p_refresh_token text default null,
  p_expires_at timestamptz default null, p_scopes text[] default null, p_masked_token text default null,
  p_generation integer default null, p_expires_in double precision default null)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  v_token public.user_tokens;
  v_expires_at timestamptz := coalesce(p_expires_at,
    pg_catalog.clock_timestamp() + p_expires_in * interval '1 second');
begin
  if not coalesce(private.is_ciphertext(p_access_token), false) or not private.is_ciphertext(p_refresh_token) then
    raise exception using errcode = 'PT422', message = 'plaintext_refused',
      detail = 'upsert_user_tokens takes only tokens sealed by the vault.';
  end if;
  insert into public.user_tokens as t
    (user_id, provider, encrypted_access_token, encrypted_refresh_token, masked_token, scopes, expires_at,
     refresh_due_at, generation)
  values (p_user_id, p_provider, p_access_token, p_refresh_token, coalesce(p_masked_token, '****'),
    coalesce(p_scopes, '{}'), v_expires_at, private.next_refresh_at(v_expires_at), coalesce(p_generation, 1))
  on conflict (user_id, provider) do update set
    encrypted_access_token = excluded.encrypted_access_token,
    encrypted_refresh_token = excluded.encrypted_refresh_token,
    masked_token = excluded.masked_token, scopes = excluded.scopes, expires_at = excluded.expires_at,
    refresh_due_at = excluded.refresh_due_at, generation = t.generation + 1,
    status = 'active', status_reason = null, revoked_at = null
  where p_generation is null or p_generation = t.generation + 1
  returning * into v_token;
  if v_token.id is null or v_token.generation <> coalesce(p_generation, v_token.generation) then
    raise exception using errcode = 'PT409', message = 'generation_moved',
      detail = 'The token was written by somebody else meanwhile: seal it again for the next generation.';
  end if;
  -- a new connection starts with a clean slate: no lease, no back-off of the old one
  delete from private.token_refresh_leases l where l.token_id = v_token.id;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (p_user_id, p_provider, 'oauth', v_token.id, 'store', 'upsert-tokens', v_token.generation);
  return private.token_summary(v_token);
end $$;
comment on function public.upsert_user_tokens(uuid, text, text, text, timestamptz, text[], text, integer, double precision) is
  'Seed 004: stores sealed OAuth tokens of one person at one provider. p_generation is the one bound into the ciphertext (mira_prepare_secret); p_expires_in (seconds) stands in for p_expires_at. 409 generation_moved when another write came first. Server only.';

create or replace function private.token_summary(p_token public.user_tokens) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object('id', p_token.id, 'provider', p_token.provider,
    'masked_token', p_token.masked_token, 'scopes', p_token.scopes,
    'status', private.token_state(p_token.status, p_token.expires_at), 'status_reason', p_token.status_reason,
    'has_refresh_token', p_token.has_refresh_token, 'expires_at', p_token.expires_at,
    'refreshed_at', p_token.refreshed_at, 'created_at', p_token.created_at, 'updated_at', p_token.updated_at)
$$;
comment on function private.token_summary(public.user_tokens) is 'A token as a person may see it.';

create or replace function private.api_key_summary(p_key public.api_keys) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object('id', p_key.id, 'provider', p_key.provider, 'label', p_key.label,
    'masked_key', p_key.masked_key, 'metadata', p_key.metadata, 'status', p_key.status,
    'created_at', p_key.created_at, 'updated_at', p_key.updated_at)
$$;
comment on function private.api_key_summary(public.api_keys) is 'An API key as a person may see it.';

create or replace function public.mira_store_api_key(
  p_user_id uuid, p_provider text, p_label text, p_encrypted_key text, p_key_hash text, p_masked_key text,
  p_metadata jsonb, p_generation integer)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  v_key public.api_keys;
begin
  if not coalesce(private.is_ciphertext(p_encrypted_key), false) then
    raise exception using errcode = 'PT422', message = 'plaintext_refused',
      detail = 'mira_store_api_key takes only keys sealed by the vault.';
  end if;
  if p_generation = 1 and (select count(*) from public.api_keys k where k.user_id = p_user_id) >= 500 then
    raise exception using errcode = 'PT409', message = 'too_many_api_keys',
      detail = 'A person may hold 500 API keys.';
  end if;
  insert into public.api_keys as k
    (user_id, provider, label, encrypted_key, key_hash, masked_key, metadata, generation)
  values (p_user_id, p_provider, p_label, p_encrypted_key, p_key_hash, p_masked_key, p_metadata, p_generation)
  on conflict (user_id, provider, label) do update set
    encrypted_key = excluded.encrypted_key, key_hash = excluded.key_hash, masked_key = excluded.masked_key,
    metadata = excluded.metadata, generation = k.generation + 1, status = 'active', revoked_at = null
  where k.generation + 1 = p_generation
  returning * into v_key;
  if v_key.id is null then
    raise exception using errcode = 'PT409', message = 'generation_moved',
      detail = 'The key was written by somebody else meanwhile: seal it again for the next generation.';
  end if;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (p_user_id, p_provider, 'api_key', v_key.id, 'store', 'upsert-tokens', v_key.generation);
  return private.api_key_summary(v_key) || pg_catalog.jsonb_build_object('same_key_as', coalesce(
    (select pg_catalog.jsonb_agg(k.label order by k.label) from public.api_keys k
     where k.user_id = p_user_id and k.provider = p_provider and k.key_hash = p_key_hash and k.id <> v_key.id),
    '[]'::jsonb));
end $$;
comment on function public.mira_store_api_key(uuid, text, text, text, text, text, jsonb, integer) is
  'Stores a sealed API key under its label; names the labels that hold the same key. 409 generation_moved when another write came first. Server only.';

-- ---------------------------------------------------------------------------------------------------
-- reading

create or replace function public.mira_list_secrets(p_user_id uuid)
returns jsonb language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object(
    'tokens', coalesce((select pg_catalog.jsonb_agg(
        private.token_summary(t) || pg_catalog.jsonb_build_object('last_used_at', (select max(a.at)
          from private.vault_audit a where a.secret_id = t.id and a.action = 'use')) order by t.provider)
      from public.user_tokens t where t.user_id = p_user_id), '[]'::jsonb),
    'api_keys', coalesce((select pg_catalog.jsonb_agg(
        private.api_key_summary(k) || pg_catalog.jsonb_build_object('last_used_at', (select max(a.at)
          from private.vault_audit a where a.secret_id = k.id and a.action = 'use')) order by k.provider, k.label)
      from public.api_keys k where k.user_id = p_user_id and k.status = 'active'), '[]'::jsonb))
$$;
comment on function public.mira_list_secrets(uuid) is
  'Masks, states and last use of a person''s tokens (revoked ones too) and live API keys. Server only.';

create or replace function private.get_user_tokens(p_user_id uuid, p_provider text)
returns table (id uuid, provider text, encrypted_access_token text, encrypted_refresh_token text, masked_token text,
  scopes text[], expires_at timestamptz, is_expired boolean, status text, generation integer)
language sql volatile security definer set search_path = '' as $$
  with asked as (select private.required_user(p_user_id) as user_id, private.is_service() as is_service),
  found as (
    select t.*, a.is_service from asked a join public.user_tokens t on t.user_id = a.user_id
    where p_provider is null or t.provider = p_provider),
  audited as (
    insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    select f.user_id, f.provider, 'oauth', f.id, 'use', 'get_user_tokens', f.generation
    from found f where f.is_service and f.status <> 'revoked')
  select f.id, f.provider, case when f.is_service then f.encrypted_access_token end,
    case when f.is_service then f.encrypted_refresh_token end, f.masked_token, f.scopes, f.expires_at,
    coalesce(f.expires_at <= pg_catalog.clock_timestamp(), false), private.token_state(f.status, f.expires_at), f.generation
  from found f
$$;
comment on function private.get_user_tokens(uuid, text) is 'Body of public.get_user_tokens: definer, because a person may not read the ciphertext columns it masks.';

create or replace function public.get_user_tokens(p_user_id uuid default null, p_provider text default null)
returns table (id uuid, provider text, encrypted_access_token text, encrypted_refresh_token text, masked_token text,
  scopes text[], expires_at timestamptz, is_expired boolean, status text, generation integer)
language sql volatile set search_path = '' as $$
  select * from private.get_user_tokens(p_user_id, p_provider)
$$;
comment on function public.get_user_tokens(uuid, text) is
  'Seed 004: tokens with their expiration check. A person gets masks (ciphertext null); the server gets ciphertext, and an audit row in the same statement.';

create or replace function private.delete_user_tokens(p_user_id uuid, p_provider text)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_token public.user_tokens;
begin
  select * into v_token from public.user_tokens t
    where t.user_id = v_user and t.provider = p_provider and t.status <> 'revoked' for update;
  if v_token.id is null then
    raise exception using errcode = 'PT404', message = 'token_not_found',
      detail = 'There is no connected token for this provider.';
  end if;
  -- revoking the refresh token ends its access tokens too (RFC 7009, section 2.1)
  insert into private.token_revocations (user_id, provider, field, encrypted_token, generation)
    values (v_user, v_token.provider,
      case when v_token.has_refresh_token then 'refresh_token' else 'access_token' end,
      coalesce(v_token.encrypted_refresh_token, v_token.encrypted_access_token), v_token.generation);
  update public.user_tokens t set encrypted_access_token = null, encrypted_refresh_token = null,
      status = 'revoked', status_reason = null, revoked_at = pg_catalog.now(), refresh_due_at = null,
      generation = t.generation + 1
    where t.id = v_token.id;
  delete from private.token_refresh_leases l where l.token_id = v_token.id;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (v_user, v_token.provider, 'oauth', v_token.id, 'delete', 'disconnect', v_token.generation);
  return pg_catalog.jsonb_build_object('id', v_token.id, 'provider', v_token.provider, 'status', 'revoked');
end $$;
comment on function private.delete_user_tokens(uuid, text) is 'Body of public.delete_user_tokens: definer, because people may not write the table.';

create or replace function public.delete_user_tokens(p_user_id uuid default null, p_provider text default null)
returns jsonb language sql volatile set search_path = '' as $$
  select private.delete_user_tokens(p_user_id, p_provider)
$$;
comment on function public.delete_user_tokens(uuid, text) is
  'Seed 004: disconnects a provider. The ciphertext leaves the row at once, the provider is told by the next run-workflow /work, the audit stays.';

create or replace function public.mira_delete_api_key(p_user_id uuid, p_id uuid)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  v_key public.api_keys;
begin
  update public.api_keys k set encrypted_key = null, key_hash = null, status = 'revoked',
      revoked_at = pg_catalog.now(), generation = k.generation + 1
    where k.id = p_id and k.user_id = p_user_id and k.status = 'active'
    returning * into v_key;
  if v_key.id is null then
    raise exception using errcode = 'PT404', message = 'api_key_not_found',
      detail = 'You hold no live API key with this id.';
  end if;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (v_key.user_id, v_key.provider, 'api_key', v_key.id, 'delete', 'disconnect', v_key.generation);
  return pg_catalog.jsonb_build_object('id', v_key.id, 'provider', v_key.provider, 'label', v_key.label, 'status', 'revoked');
end $$;
comment on function public.mira_delete_api_key(uuid, uuid) is 'Empties a person''s API key and keeps its audit. Server only.';

-- one statement on purpose: no ciphertext leaves without its audit row
create or replace function public.mira_open_secret(
  p_user_id uuid, p_provider text, p_purpose text, p_run_id uuid default null,
  p_label text default null, p_agent_name text default null)
returns jsonb language sql volatile set search_path = '' as $$
  with token as (
    select t.*, private.token_state(t.status, t.expires_at) as state,
      -- within ten seconds of its end a token may die on its way
      t.status = 'active'
        and coalesce(t.expires_at > pg_catalog.clock_timestamp() + interval '10 seconds', true) as is_usable
    from public.user_tokens t
    where t.user_id = p_user_id and t.provider = p_provider and t.status <> 'revoked'
      and p_label is null and p_agent_name is null),
  api_key as (
    select k.* from public.api_keys k
    where k.user_id = p_user_id and k.provider = p_provider and k.status = 'active'
      and not exists (select from token)
      and (p_label is null or k.label = p_label)
      and (p_agent_name is null or k.metadata ->> 'agent_name' = p_agent_name)
    order by k.label <> 'default', k.created_at, k.id limit 1),
  audited as (
    insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, run_id, generation)
    select t.user_id, t.provider, 'oauth', t.id, 'use', p_purpose, p_run_id, t.generation from token t where t.is_usable
    union all
    select k.user_id, k.provider, 'api_key', k.id, 'use', p_purpose, p_run_id, k.generation from api_key k)
  select pg_catalog.jsonb_build_object('kind', 'oauth', 'id', t.id, 'field', 'access_token', 'status', t.state,
      'is_usable', t.is_usable, 'ciphertext', case when t.is_usable then t.encrypted_access_token end,
      'generation', t.generation, 'wrapped_key', d.wrapped_key, 'metadata', '{}'::jsonb, 'scopes', t.scopes,
      'expires_at', t.expires_at, 'is_refreshable', t.has_refresh_token and t.status = 'active',
      'is_refresh_due', t.has_refresh_token and t.status = 'active' and t.refresh_due_at <= pg_catalog.clock_timestamp())
    from token t join private.vault_data_keys d on d.id = t.data_key_id
  union all
  select pg_catalog.jsonb_build_object('kind', 'api_key', 'id', k.id, 'field', 'key', 'status', k.status,
      'is_usable', true, 'ciphertext', k.encrypted_key, 'generation', k.generation, 'wrapped_key', d.wrapped_key,
      'label', k.label, 'metadata', k.metadata, 'scopes', '[]'::jsonb, 'expires_at', null,
      'is_refreshable', false, 'is_refresh_due', false)
    from api_key k join private.vault_data_keys d on d.id = k.data_key_id
$$;
comment on function public.mira_open_secret(uuid, text, text, uuid, text, text) is
  'Ciphertext and wrapped data key of the credential a person holds for a provider, with its audit row in the same statement. OAuth before API keys; a label or agent name picks among API keys. An expired token comes without ciphertext and without audit. Null when there is none. Server only.';

-- ---------------------------------------------------------------------------------------------------
-- refreshing

create or replace function public.mira_lease_token_refresh(
  p_user_id uuid, p_provider text, p_holder uuid, p_ttl_ms integer default 12000)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  v_token public.user_tokens;
  v_lease private.token_refresh_leases;
  v_now timestamptz;
  v_wait_until timestamptz;
begin
  -- the row lock puts callers in a queue of microseconds; the lease outlives the transaction
  select * into v_token from public.user_tokens t
    where t.user_id = p_user_id and t.provider = p_provider for update;
  v_now := pg_catalog.clock_timestamp();
  if v_token.id is null then
    return pg_catalog.jsonb_build_object('outcome', 'missing');
  elsif v_token.status <> 'active' then
    return pg_catalog.jsonb_build_object('outcome', v_token.status);
  elsif not v_token.has_refresh_token then
    return pg_catalog.jsonb_build_object('outcome', 'no_refresh_token');
  elsif v_token.refresh_due_at is null or v_token.refresh_due_at > v_now then
    return pg_catalog.jsonb_build_object('outcome', 'fresh');
  end if;
  select * into v_lease from private.token_refresh_leases l where l.token_id = v_token.id;
  v_wait_until := greatest(v_lease.expires_at, v_lease.not_before);
  if v_wait_until > v_now then
    return pg_catalog.jsonb_build_object('outcome', 'busy',
      'failures', v_lease.failures, 'is_backing_off', v_lease.not_before > v_now,
      'wait_ms', pg_catalog.ceil(extract(epoch from v_wait_until - v_now) * 1000));
  end if;
  insert into private.token_refresh_leases as l (token_id, holder, generation, expires_at)
    values (v_token.id, p_holder, v_token.generation,
      v_now + least(greatest(p_ttl_ms, 100), 60000) * interval '1 millisecond')
    on conflict (token_id) do update set holder = excluded.holder, generation = excluded.generation,
      expires_at = excluded.expires_at;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (v_token.user_id, v_token.provider, 'oauth', v_token.id, 'refresh', 'refresh', v_token.generation);
  return pg_catalog.jsonb_build_object('outcome', 'granted', 'token_id', v_token.id, 'generation', v_token.generation,
    'ciphertext', v_token.encrypted_refresh_token, 'scopes', v_token.scopes,
    'wrapped_key', (select d.wrapped_key from private.vault_data_keys d where d.id = v_token.data_key_id));
end $$;
comment on function public.mira_lease_token_refresh(uuid, text, uuid, integer) is
  'Asks to be the one that refreshes a due token. outcome granted (with the sealed refresh token, audited), busy (wait_ms), fresh, no_refresh_token, needs_reauth, revoked or missing. Server only.';

create or replace function public.mira_store_token_refresh(
  p_token_id uuid, p_generation integer, p_access_token text, p_refresh_token text,
  p_expires_in double precision, p_scopes text[], p_masked_token text)
returns jsonb language plpgsql volatile set search_path = '' as $$
declare
  v_token public.user_tokens;
  v_expires_at timestamptz := pg_catalog.clock_timestamp() + p_expires_in * interval '1 second';
begin
  -- the generation is the fence: a worker whose lease ran out may still store what only it knows, as long
  -- as nobody stored after it read
  update public.user_tokens t set encrypted_access_token = p_access_token,
      encrypted_refresh_token = p_refresh_token, masked_token = p_masked_token,
      scopes = coalesce(p_scopes, t.scopes), expires_at = v_expires_at,
      refresh_due_at = private.next_refresh_at(v_expires_at), refreshed_at = pg_catalog.clock_timestamp(),
      generation = p_generation, status = 'active', status_reason = null
    where t.id = p_token_id and t.generation = p_generation - 1 and t.status <> 'revoked'
    returning * into v_token;
  if v_token.id is null then
    return null;
  end if;
  delete from private.token_refresh_leases l where l.token_id = p_token_id;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    values (v_token.user_id, v_token.provider, 'oauth', v_token.id, 'refreshed', 'refresh', v_token.generation);
  return private.token_summary(v_token);
end $$;
comment on function public.mira_store_token_refresh(uuid, integer, text, text, double precision, text[], text) is
  'Stores a refreshed token on the generation it was refreshed from, p_expires_in seconds of the database clock; null when that generation has passed. Server only.';

create or replace function public.mira_fail_token_refresh(
  p_token_id uuid, p_holder uuid, p_generation integer, p_is_final boolean, p_reason text)
returns text language plpgsql volatile set search_path = '' as $$
declare
  v_token public.user_tokens;
begin
  select * into v_token from public.user_tokens t where t.id = p_token_id for update;
  if v_token.id is null or v_token.generation <> p_generation or v_token.status <> 'active' then
    return 'moved';
  end if;
  if p_is_final then
    update public.user_tokens t set status = 'needs_reauth', status_reason = left(p_reason, 64) where t.id = p_token_id;
    delete from private.token_refresh_leases l where l.token_id = p_token_id;
    insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
      values (v_token.user_id, v_token.provider, 'oauth', v_token.id, 'needs_reauth', 'refresh', v_token.generation);
    return 'needs_reauth';
  end if;
  update private.token_refresh_leases l set failures = l.failures + 1, expires_at = pg_catalog.clock_timestamp(),
      not_before = pg_catalog.clock_timestamp() + (0.75 + pg_catalog.random() / 2)
        * least(250 * 2 ^ least(l.failures, 16), 300000) * interval '1 millisecond'
    where l.token_id = p_token_id and l.holder = p_holder;
  return 'backoff';
end $$;
comment on function public.mira_fail_token_refresh(uuid, uuid, integer, boolean, text) is
  'Ends a failed refresh: final marks the token needs_reauth, once, unless its generation moved (answer moved); otherwise the next try waits, doubling from 250 ms to 5 minutes. Server only.';

create or replace function public.mira_list_due_refreshes(p_providers text[], p_limit integer default 50)
returns table (user_id uuid, provider text) language sql stable set search_path = '' as $$
  select t.user_id, t.provider
  from public.user_tokens t left join private.token_refresh_leases l on l.token_id = t.id
  where t.provider = any (p_providers)
    and t.status = 'active' and t.has_refresh_token and t.refresh_due_at <= pg_catalog.clock_timestamp()
    and coalesce(greatest(l.expires_at, l.not_before) <= pg_catalog.clock_timestamp(), true)
  order by t.refresh_due_at limit least(greatest(coalesce(p_limit, 50), 1), 1000)
$$;
comment on function public.mira_list_due_refreshes(text[], integer) is 'Tokens of these providers whose refresh may start now, the most urgent first. Server only.';

-- ---------------------------------------------------------------------------------------------------
-- telling the provider

create or replace function public.mira_claim_token_revocations(p_limit integer default 20)
returns table (id uuid, user_id uuid, provider text, field text, ciphertext text, generation integer, wrapped_key text)
language sql volatile set search_path = '' as $$
  with due as (
    select r.id from private.token_revocations r where r.due_at <= pg_catalog.clock_timestamp()
    order by r.due_at limit least(greatest(coalesce(p_limit, 20), 1), 200) for update skip locked),
  claimed as (
    update private.token_revocations r set attempts = r.attempts + 1,
      due_at = pg_catalog.clock_timestamp() + interval '30 seconds' * 2 ^ least(r.attempts, 10)
    from due where r.id = due.id returning r.*)
  select c.id, c.user_id, c.provider, c.field, c.encrypted_token, c.generation, d.wrapped_key
  from claimed c join private.vault_data_keys d on d.id = c.data_key_id
$$;
comment on function public.mira_claim_token_revocations(integer) is
  'Takes revocations that are due; each comes back later by itself (30 s, doubling) unless finished. Server only.';

create or replace function public.mira_finish_token_revocation(p_id uuid, p_outcome text)
returns boolean language plpgsql volatile set search_path = '' as $$
declare
  v_gone private.token_revocations;
begin
  delete from private.token_revocations r
    where r.id = p_id and (p_outcome <> 'revoke_failed' or r.attempts >= 8) returning * into v_gone;
  if v_gone.id is null then
    return false;
  end if;
  insert into private.vault_audit (user_id, provider, kind, secret_id, action, purpose, generation)
    select v_gone.user_id, v_gone.provider, 'oauth', t.id, p_outcome, 'disconnect', v_gone.generation
    from public.user_tokens t where t.user_id = v_gone.user_id and t.provider = v_gone.provider;
  return true;
end $$;
comment on function public.mira_finish_token_revocation(uuid, text) is
  'Ends a revocation: revoked, revoke_unsupported, or revoke_failed, which stays for another try until the eighth. Server only.';

-- ---------------------------------------------------------------------------------------------------
-- rotation

create or replace function public.mira_count_data_keys()
returns table (root_key_id text, data_keys bigint) language sql stable set search_path = '' as $$
  select d.root_key_id, count(*) from private.vault_data_keys d group by d.root_key_id order by d.root_key_id
$$;
comment on function public.mira_count_data_keys() is 'How many data keys each root key still wraps. Server only.';

create or replace function public.mira_list_stale_data_keys(
  p_active_root_key_id text, p_after uuid default null, p_limit integer default 1000)
returns table (id uuid, user_id uuid, wrapped_key text) language sql stable set search_path = '' as $$
  select d.id, d.user_id, d.wrapped_key from private.vault_data_keys d
  where d.root_key_id <> p_active_root_key_id and (p_after is null or d.id > p_after)
  order by d.id limit least(greatest(coalesce(p_limit, 1000), 1), 5000)
$$;
comment on function public.mira_list_stale_data_keys(text, uuid, integer) is
  'The next data keys that another root key than the active one wraps, by id. Server only.';

create or replace function public.mira_rewrap_data_keys(p_keys jsonb)
returns integer language plpgsql volatile set search_path = '' as $$
declare
  v_count integer;
begin
  update private.vault_data_keys d set wrapped_key = k.new_key, rewrapped_at = pg_catalog.now()
    from pg_catalog.jsonb_to_recordset(p_keys) as k (id uuid, old_key text, new_key text)
    where d.id = k.id and d.wrapped_key = k.old_key;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function public.mira_rewrap_data_keys(jsonb) is
  'Swaps wrapped keys [{id, old_key, new_key}] where the old one still stands; returns how many. Server only.';

-- ---------------------------------------------------------------------------------------------------
-- who may call what

revoke all on function
  private.is_ciphertext(text), private.ciphertext_data_key_id(text), private.is_provider_name(text),
  private.token_state(text, timestamptz), private.refuse_plaintext(), private.next_refresh_at(timestamptz),
  private.token_summary(public.user_tokens), private.api_key_summary(public.api_keys),
  private.get_user_tokens(uuid, text), private.delete_user_tokens(uuid, text),
  public.get_user_tokens(uuid, text), public.delete_user_tokens(uuid, text),
  public.upsert_user_tokens(uuid, text, text, text, timestamptz, text[], text, integer, double precision),
  public.mira_prepare_secret(uuid, text, text), public.mira_put_data_key(uuid, uuid, text),
  public.mira_store_api_key(uuid, text, text, text, text, text, jsonb, integer),
  public.mira_list_secrets(uuid), public.mira_delete_api_key(uuid, uuid),
  public.mira_open_secret(uuid, text, text, uuid, text, text),
  public.mira_lease_token_refresh(uuid, text, uuid, integer),
  public.mira_store_token_refresh(uuid, integer, text, text, double precision, text[], text),
  public.mira_fail_token_refresh(uuid, uuid, integer, boolean, text),
  public.mira_list_due_refreshes(text[], integer), public.mira_claim_token_revocations(integer),
  public.mira_finish_token_revocation(uuid, text), public.mira_count_data_keys(),
  public.mira_list_stale_data_keys(text, uuid, integer), public.mira_rewrap_data_keys(jsonb)
  from public, anon, authenticated;

grant execute on function
  private.token_state(text, timestamptz), private.get_user_tokens(uuid, text), private.delete_user_tokens(uuid, text),
  public.get_user_tokens(uuid, text), public.delete_user_tokens(uuid, text)
  to authenticated, service_role;
grant execute on function
  private.is_ciphertext(text), private.ciphertext_data_key_id(text), private.is_provider_name(text),
  private.next_refresh_at(timestamptz), private.token_summary(public.user_tokens), private.api_key_summary(public.api_keys),
  public.upsert_user_tokens(uuid, text, text, text, timestamptz, text[], text, integer, double precision),
  public.mira_prepare_secret(uuid, text, text), public.mira_put_data_key(uuid, uuid, text),
  public.mira_store_api_key(uuid, text, text, text, text, text, jsonb, integer),
  public.mira_list_secrets(uuid), public.mira_delete_api_key(uuid, uuid),
  public.mira_open_secret(uuid, text, text, uuid, text, text),
  public.mira_lease_token_refresh(uuid, text, uuid, integer),
  public.mira_store_token_refresh(uuid, integer, text, text, double precision, text[], text),
  public.mira_fail_token_refresh(uuid, uuid, integer, boolean, text),
  public.mira_list_due_refreshes(text[], integer), public.mira_claim_token_revocations(integer),
  public.mira_finish_token_revocation(uuid, text), public.mira_count_data_keys(),
  public.mira_list_stale_data_keys(text, uuid, integer), public.mira_rewrap_data_keys(jsonb)
  to service_role;
