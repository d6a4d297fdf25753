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

create function private.is_ciphertext(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text ~ '^v1\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{23,}\.[0-9a-f]{8}$'
    and pg_catalog.octet_length(p_text) <= 24576
$$;
comment on function private.is_ciphertext(text) is
  'True for a sealed credential (v1.<data key id>.<iv>.<ciphertext>.<crc32>); plaintext never looks like one.';

create function private.ciphertext_data_key_id(p_text text) returns uuid
language sql immutable set search_path = '' as $$
  select case when private.is_ciphertext(p_text) then pg_catalog.split_part(p_text, '.', 2)::uuid end
$$;
comment on function private.ciphertext_data_key_id(text) is 'The data key a sealed credential names; null for none.';

create function private.is_provider_name(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text ~ '^[a-z0-9][a-z0-9_.-]{0,62}$' and p_text <> 'api-keys'
$$;
comment on function private.is_provider_name(text) is
  'A provider is a short lower case slug: google, openai, my-company.crm. "api-keys" is a route, not a provider.';

-- data keys ----------------------------------------------------------------------------------------

create table private.vault_data_keys (
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
create unique index vault_data_keys_one_current_per_user_idx
  on private.vault_data_keys (user_id) where retired_at is null;
create index vault_data_keys_root_key_id_id_idx on private.vault_data_keys (root_key_id, id);

-- OAuth tokens (seed 004) --------------------------------------------------------------------------

create table public.user_tokens (
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
create index user_tokens_user_id_data_key_id_idx on public.user_tokens (user_id, data_key_id);
create index user_tokens_user_id_created_at_idx on public.user_tokens (user_id, created_at desc);
create index user_tokens_refresh_due_at_idx on public.user_tokens (refresh_due_at)
  where status = 'active' and has_refresh_token;

create function private.token_state(p_status text, p_expires_at timestamptz) returns text
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

create view public.oauth_tokens with (security_invoker = true) as
  select id, user_id, provider, masked_token, scopes, private.token_state(status, expires_at) as status,
    status_reason, has_refresh_token, expires_at, refreshed_at, revoked_at, created_at, updated_at
  from public.user_tokens;
comment on view public.oauth_tokens is 'user_tokens as a person may see them: no ciphertext, the state as of now.';

-- API keys (seed 002) ------------------------------------------------------------------------------

create table public.api_keys (
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
create index api_keys_user_id_created_at_idx on public.api_keys (user_id, created_at desc);
create index api_keys_user_id_data_key_id_idx on public.api_keys (user_id, data_key_id);

-- refresh leases, revocations that are still owed to a provider, and the audit ---------------------

create table private.token_refresh_leases (
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

create table private.token_revocations (
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
create index token_revocations_due_at_idx on private.token_revocations (due_at);
create index token_revocations_user_id_data_key_id_idx on private.token_revocations (user_id, data_key_id);

create table private.vault_audit (
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
create index vault_audit_user_id_at_idx on private.vault_audit (user_id, at);
create index vault_audit_secret_id_at_idx on private.vault_audit (secret_id, at) where action = 'use';
create index vault_audit_at_idx on private.vault_audit (at);

-- triggers -----------------------------------------------------------------------------------------

create function private.refuse_plaintext() returns trigger
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

create trigger user_tokens_refuse_plaintext before insert or update on public.user_tokens
  for each row execute function private.refuse_plaintext('encrypted_access_token', 'encrypted_refresh_token');
create trigger api_keys_refuse_plaintext before insert or update on public.api_keys
  for each row execute function private.refuse_plaintext('encrypted_key');
create trigger user_tokens_updated_at before update on public.user_tokens
  for each row execute function private.set_updated_at();
create trigger api_keys_updated_at before update on public.api_keys
  for each row execute function private.set_updated_at();

-- row level security and grants --------------------------------------------------------------------

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

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{is_ciphertext,ciphertext_data_key_id,is_provider_name,token_state}');
select private.close_functions('{refuse_plaintext}');
grant execute on function private.token_state(text, timestamptz) to authenticated;
