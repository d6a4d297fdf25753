-- Vault, the secrets: written sealed, listed as masks, opened by the server with an audit row in the same statement.

-- writing ------------------------------------------------------------------------------------------

create function private.next_refresh_at(p_expires_at timestamptz) returns timestamptz
language sql volatile set search_path = '' as $$
  -- five to six minutes ahead; for a short-lived token, at half of its life at the latest
  select p_expires_at - least(
    interval '5 minutes' + pg_catalog.random() * interval '1 minute',
    greatest(p_expires_at - pg_catalog.clock_timestamp(), interval '0') / 2)
$$;
comment on function private.next_refresh_at(timestamptz) is
  'When refreshing a token that expires then may start: ahead, with jitter, so that a crowd does not come at once.';

create function public.mira_prepare_secret(p_user_id uuid, p_provider text, p_label text default null)
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

create function public.mira_put_data_key(p_user_id uuid, p_id uuid, p_wrapped_key text)
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

create function public.upsert_user_tokens(
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

create function private.token_summary(p_token public.user_tokens) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object('id', p_token.id, 'provider', p_token.provider,
    'masked_token', p_token.masked_token, 'scopes', p_token.scopes,
    'status', private.token_state(p_token.status, p_token.expires_at), 'status_reason', p_token.status_reason,
    'has_refresh_token', p_token.has_refresh_token, 'expires_at', p_token.expires_at,
    'refreshed_at', p_token.refreshed_at, 'created_at', p_token.created_at, 'updated_at', p_token.updated_at)
$$;
comment on function private.token_summary(public.user_tokens) is 'A token as a person may see it.';

create function private.api_key_summary(p_key public.api_keys) returns jsonb
language sql stable set search_path = '' as $$
  select pg_catalog.jsonb_build_object('id', p_key.id, 'provider', p_key.provider, 'label', p_key.label,
    'masked_key', p_key.masked_key, 'metadata', p_key.metadata, 'status', p_key.status,
    'created_at', p_key.created_at, 'updated_at', p_key.updated_at)
$$;
comment on function private.api_key_summary(public.api_keys) is 'An API key as a person may see it.';

create function public.mira_store_api_key(
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

-- reading ------------------------------------------------------------------------------------------

create function public.mira_list_secrets(p_user_id uuid)
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

create function private.get_user_tokens(p_user_id uuid, p_provider text)
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

create function public.get_user_tokens(p_user_id uuid default null, p_provider text default null)
returns table (id uuid, provider text, encrypted_access_token text, encrypted_refresh_token text, masked_token text,
  scopes text[], expires_at timestamptz, is_expired boolean, status text, generation integer)
language sql volatile set search_path = '' as $$
  select * from private.get_user_tokens(p_user_id, p_provider)
$$;
comment on function public.get_user_tokens(uuid, text) is
  'Seed 004: tokens with their expiration check. A person gets masks (ciphertext null); the server gets ciphertext, and an audit row in the same statement.';

create function private.delete_user_tokens(p_user_id uuid, p_provider text)
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

create function public.delete_user_tokens(p_user_id uuid default null, p_provider text default null)
returns jsonb language sql volatile set search_path = '' as $$
  select private.delete_user_tokens(p_user_id, p_provider)
$$;
comment on function public.delete_user_tokens(uuid, text) is
  'Seed 004: disconnects a provider. The ciphertext leaves the row at once, the provider is told by the next run-workflow /work, the audit stays.';

create function public.mira_delete_api_key(p_user_id uuid, p_id uuid)
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
create function public.mira_open_secret(
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

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  next_refresh_at,token_summary,api_key_summary,mira_prepare_secret,mira_put_data_key,upsert_user_tokens,mira_store_api_key,
  mira_list_secrets,get_user_tokens,delete_user_tokens,mira_delete_api_key,mira_open_secret}');
grant execute on function
  private.get_user_tokens(uuid, text), private.delete_user_tokens(uuid, text),
  public.get_user_tokens(uuid, text), public.delete_user_tokens(uuid, text)
  to authenticated;
