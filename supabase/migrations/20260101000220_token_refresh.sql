-- Vault, the providers: tokens are refreshed ahead of time under a lease, and what a person gives up is revoked there.

-- refreshing ---------------------------------------------------------------------------------------

create function public.mira_lease_token_refresh(
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

create function public.mira_store_token_refresh(
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

create function public.mira_fail_token_refresh(
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

create function public.mira_list_due_refreshes(p_providers text[], p_limit integer default 50)
returns table (user_id uuid, provider text) language sql stable set search_path = '' as $$
  select t.user_id, t.provider
  from public.user_tokens t left join private.token_refresh_leases l on l.token_id = t.id
  where t.provider = any (p_providers)
    and t.status = 'active' and t.has_refresh_token and t.refresh_due_at <= pg_catalog.clock_timestamp()
    and coalesce(greatest(l.expires_at, l.not_before) <= pg_catalog.clock_timestamp(), true)
  order by t.refresh_due_at limit least(greatest(coalesce(p_limit, 50), 1), 1000)
$$;
comment on function public.mira_list_due_refreshes(text[], integer) is 'Tokens of these providers whose refresh may start now, the most urgent first. Server only.';

-- telling the provider -----------------------------------------------------------------------------

create function public.mira_claim_token_revocations(p_limit integer default 20)
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

create function public.mira_finish_token_revocation(p_id uuid, p_outcome text)
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

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  mira_lease_token_refresh,mira_store_token_refresh,mira_fail_token_refresh,mira_list_due_refreshes,
  mira_claim_token_revocations,mira_finish_token_revocation}');
