-- Platform, idempotency keys: what was asked under a key, and what came of it.

create table private.idempotency_keys (
  subject text not null,
  route text not null,
  key text not null check (length(key) between 1 and 255),
  fingerprint text not null,
  claimed_until timestamptz not null,
  status smallint,
  content_type text,
  body text,
  created_at timestamptz not null default now(),
  primary key (subject, route, key)
);
comment on table private.idempotency_keys is
  'One row per Idempotency-Key in use: claimed before the effect, answered after it, kept 48 hours.';
comment on column private.idempotency_keys.status is 'HTTP status of the stored answer; null while running.';
comment on column private.idempotency_keys.claimed_until is
  'After this the claim of a request that died may be taken over by its retry.';
create index idempotency_keys_created_at_idx on private.idempotency_keys (created_at);

alter table private.idempotency_keys enable row level security;
revoke all on private.idempotency_keys from public, anon, authenticated;
grant select, insert, update, delete on private.idempotency_keys to service_role;
create policy idempotency_keys_all_service on private.idempotency_keys
  for all to service_role using (true) with check (true);

create function private.claim_idempotency_key(
  p_subject text, p_route text, p_key text, p_fingerprint text
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := pg_catalog.clock_timestamp();
  v_row private.idempotency_keys;
begin
  insert into private.idempotency_keys as k (subject, route, key, fingerprint, claimed_until)
  values (p_subject, p_route, p_key, p_fingerprint, v_now + interval '60 seconds')
  on conflict (subject, route, key) do update
    set claimed_until = excluded.claimed_until
    where k.status is null and k.claimed_until < v_now and k.fingerprint = excluded.fingerprint;
  if found then
    return '{"state":"new"}';
  end if;
  select * into v_row from private.idempotency_keys k
  where k.subject = p_subject and k.route = p_route and k.key = p_key;
  if not found then  -- released between the two looks: the caller may simply try again
    return '{"state":"in_flight"}';
  elsif v_row.fingerprint <> p_fingerprint then
    return '{"state":"mismatch"}';
  elsif v_row.status is null then
    return '{"state":"in_flight"}';
  end if;
  return pg_catalog.jsonb_build_object('state', 'replay', 'status', v_row.status,
    'body', v_row.body, 'content_type', v_row.content_type);
end $$;
comment on function private.claim_idempotency_key(text, text, text, text) is
  'Claims a key for 60 s, or says in_flight, mismatch (other body) or replay with the stored answer.';

create function private.settle_idempotency_key(
  p_subject text, p_route text, p_key text, p_status integer, p_body text, p_content_type text
) returns void
language plpgsql set search_path = '' as $$
begin
  if p_status is null then
    delete from private.idempotency_keys k
    where k.subject = p_subject and k.route = p_route and k.key = p_key and k.status is null;
  else
    update private.idempotency_keys k
    set status = p_status, body = p_body, content_type = p_content_type
    where k.subject = p_subject and k.route = p_route and k.key = p_key;
  end if;
end $$;
comment on function private.settle_idempotency_key(text, text, text, integer, text, text) is
  'Stores the answer of a claimed key, or releases the key when there is none to store.';

create function public.mira_claim_idempotency_key(
  p_subject text, p_route text, p_key text, p_fingerprint text
) returns jsonb
language sql set search_path = '' as $$
  select private.claim_idempotency_key(p_subject, p_route, p_key, p_fingerprint)
$$;
comment on function public.mira_claim_idempotency_key(text, text, text, text) is
  'Server only. As private.claim_idempotency_key.';

create function public.mira_settle_idempotency_key(
  p_subject text, p_route text, p_key text, p_status integer, p_body text, p_content_type text
) returns void
language sql set search_path = '' as $$
  select private.settle_idempotency_key(p_subject, p_route, p_key, p_status, p_body, p_content_type)
$$;
comment on function public.mira_settle_idempotency_key(text, text, text, integer, text, text) is
  'Server only. As private.settle_idempotency_key.';

select private.open_to_server('{
  claim_idempotency_key,settle_idempotency_key,mira_claim_idempotency_key,mira_settle_idempotency_key}');
