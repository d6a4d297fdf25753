-- Projects, sessions of the command line (seed 002). A session lives while it is heard of: each sign of life
-- moves its expiry. An expired or closed session cannot be revived, its tool opens a new one.

create table public.cli_sessions (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  project_id uuid,
  name text check (length(name) between 1 and 200),
  client_version text check (length(client_version) <= 100),
  platform text check (length(platform) <= 100),
  status text not null default 'active' check (status in ('active', 'expired', 'closed')),
  ttl_seconds integer not null default 1800 check (ttl_seconds between 60 and 2592000),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '30 minutes',
  closed_at timestamptz,
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (id),
  foreign key (user_id, project_id) references public.projects (user_id, id)
    on delete set null (project_id)
);
comment on table public.cli_sessions is 'Connections of the command line: opened, last seen, expired or closed.';
comment on column public.cli_sessions.ttl_seconds is 'How long the session lives after a sign of life.';
comment on column public.cli_sessions.expires_at is 'Moved by every sign of life; past it the session is over.';
create index cli_sessions_user_id_last_seen_at_idx on public.cli_sessions (user_id, last_seen_at);
create index cli_sessions_user_id_project_id_idx on public.cli_sessions (user_id, project_id);
create index cli_sessions_expires_at_idx on public.cli_sessions (expires_at) where status = 'active';

create function private.settle_cli_session() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.metadata := private.redact_json(new.metadata);
  if tg_op = 'INSERT' then
    new.status := 'active';
    new.last_seen_at := pg_catalog.now();
    new.expires_at := new.last_seen_at + pg_catalog.make_interval(secs => new.ttl_seconds);
    new.closed_at := null;
  elsif new.status = 'closed' and old.status = 'active' then
    new.closed_at := pg_catalog.now();
  end if;
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function private.settle_cli_session() is
  'Trigger of cli_sessions: a session opens active, on the database''s clock, whatever was sent.';

create trigger cli_sessions_check_status before update of status on public.cli_sessions
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('cli_session', '{"active": ["expired", "closed"]}');
create trigger cli_sessions_settle before insert or update on public.cli_sessions
  for each row execute function private.settle_cli_session();

-- signs of life -------------------------------------------------------------------------------------

create function public.update_cli_session_last_seen() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.last_seen_at := pg_catalog.now();
  return new;
end $$;
comment on function public.update_cli_session_last_seen() is
  'Trigger named by seed 002: any change of a live session is a sign of life.';
create trigger cli_sessions_last_seen before update on public.cli_sessions
  for each row when (new.status = 'active') execute function public.update_cli_session_last_seen();

create function private.touch_cli_session(p_user_id uuid, p_session_id uuid, p_close boolean)
returns public.cli_sessions
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_now timestamptz := pg_catalog.now();
  v_row public.cli_sessions;
begin
  select * into v_row from public.cli_sessions s
  where s.user_id = v_user and s.id = p_session_id for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = 'cli_session_not_found',
      detail = 'There is no such session.';
  elsif v_row.status = 'closed' and p_close then
    return v_row;
  elsif v_row.status <> 'active' or v_row.expires_at <= v_now then
    raise exception using errcode = 'PT409',
      message = 'cli_session_' || case v_row.status when 'closed' then 'closed' else 'expired' end,
      detail = 'This session is over: open a new one.';
  end if;
  update public.cli_sessions s set
    status = case when p_close then 'closed' else s.status end,
    last_seen_at = v_now,
    expires_at = case when p_close then s.expires_at
      else v_now + pg_catalog.make_interval(secs => s.ttl_seconds) end
  where s.id = p_session_id
  returning s.* into v_row;
  return v_row;
end $$;
comment on function private.touch_cli_session(uuid, uuid, boolean) is
  'A sign of life, or the end, of a session that is still alive. '
  'Definer: last_seen_at is the server''s.';

create function public.update_cli_session_last_seen(p_session_id uuid, p_user_id uuid default null)
returns public.cli_sessions
language sql set search_path = '' as $$
  select private.touch_cli_session(p_user_id, p_session_id, false)
$$;
comment on function public.update_cli_session_last_seen(uuid, uuid) is
  'A sign of life: moves last_seen_at and expires_at. Refuses cli_session_expired, cli_session_closed, cli_session_not_found.';

create function public.close_cli_session(p_session_id uuid, p_user_id uuid default null)
returns public.cli_sessions
language sql set search_path = '' as $$
  select private.touch_cli_session(p_user_id, p_session_id, true)
$$;
comment on function public.close_cli_session(uuid, uuid) is
  'Ends a session; closing a closed one changes nothing, an expired one is refused as cli_session_expired.';

create function private.expire_cli_sessions(p_limit integer default 1000) returns integer
language plpgsql set search_path = '' as $$
declare
  v_expired integer;
begin
  update public.cli_sessions s set status = 'expired'
  where s.id in (select o.id from public.cli_sessions o
    where o.status = 'active' and o.expires_at <= pg_catalog.now()
    order by o.expires_at limit p_limit for no key update skip locked);
  get diagnostics v_expired = row_count;
  return v_expired;
end $$;
comment on function private.expire_cli_sessions(integer) is
  'Marks sessions that were not heard of in time; for the scheduler.';

-- access -------------------------------------------------------------------------------------------

alter table public.cli_sessions enable row level security;
revoke all on public.cli_sessions from public, anon, authenticated;
grant select, insert, update, delete on public.cli_sessions to service_role;
grant select, delete on public.cli_sessions to authenticated;
grant insert (user_id, project_id, name, client_version, platform, ttl_seconds, metadata)
  on public.cli_sessions to authenticated;

create policy cli_sessions_select_own on public.cli_sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy cli_sessions_insert_own on public.cli_sessions for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy cli_sessions_delete_own on public.cli_sessions for delete to authenticated
  using (user_id = (select auth.uid()));

select private.close_functions('{
  settle_cli_session,touch_cli_session,update_cli_session_last_seen,close_cli_session,expire_cli_sessions}');
grant execute on function
  private.touch_cli_session(uuid, uuid, boolean), public.update_cli_session_last_seen(uuid, uuid),
  public.close_cli_session(uuid, uuid) to authenticated, service_role;
grant execute on function private.expire_cli_sessions(integer) to service_role;
