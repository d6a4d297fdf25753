-- Projects: agent chains, command-line sessions and deployments (seed 002).
--
-- A project is what a chain of agents builds. The chain itself is a run, so `agent_logs` rows point
-- to it; agents outside the engine leave the pointer empty. People own these rows and write them
-- through the Data API; what the database decides, status changes, times and expiry, it decides in
-- triggers, so that every door leads to the same rules. A status change that is not allowed is
-- refused by name (`deployment_transition_refused`), never swallowed.
--
-- A session of the command line lives while it is heard of: each sign of life moves its expiry. An
-- expired or closed session cannot be revived, its tool opens a new one.

-- projects ---------------------------------------------------------------------------------------

create table public.projects (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  name text not null check (length(name) between 1 and 200),
  description text check (octet_length(description) <= 8192),
  prompt text check (octet_length(prompt) <= 65536),
  status text not null default 'draft'
    check (status in ('draft', 'running', 'completed', 'failed', 'cancelled', 'archived')),
  progress smallint not null default 0 check (progress between 0 and 100),
  current_agent text check (length(current_agent) <= 200),
  execution_id uuid references public.workflow_executions (id) on delete set null,
  repository_url text check (repository_url ~ '^https?://' and octet_length(repository_url) <= 2048),
  error_message text check (octet_length(error_message) <= 4096),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 65536),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (id),
  unique (user_id, id)
);
comment on table public.projects is 'What a chain of agents builds for a person: request, status and progress.';
comment on column public.projects.prompt is 'What the person asked the agents to build.';
comment on column public.projects.progress is 'Share of the chain that is done, 0 to 100.';
comment on column public.projects.execution_id is 'The run that builds it, when the engine does.';
create index projects_user_id_created_at_idx on public.projects (user_id, created_at);
create index projects_execution_id_idx on public.projects (execution_id);

-- agent_logs -------------------------------------------------------------------------------------

create table public.agent_logs (
  id uuid not null default private.ordered_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  project_id uuid,
  execution_id uuid references public.workflow_executions (id) on delete set null,
  agent_name text not null check (length(agent_name) between 1 and 200),
  agent_index integer check (agent_index >= 0),
  status text not null default 'running'
    check (status in ('pending', 'running', 'completed', 'failed', 'skipped')),
  input jsonb check (pg_column_size(input) <= 262144),
  output jsonb check (pg_column_size(output) <= 262144),
  error_message text check (octet_length(error_message) <= 4096),
  duration_ms bigint check (duration_ms >= 0),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (id),
  foreign key (user_id, project_id) references public.projects (user_id, id) on delete cascade
);
comment on table public.agent_logs is 'One row per agent of a chain: its input, output or error, and how long it took.';
comment on column public.agent_logs.execution_id is 'The run the agent worked in, when the engine ran the chain.';
comment on column public.agent_logs.agent_index is 'Its place in the chain, from 0.';
comment on column public.agent_logs.duration_ms is 'From start to end, in milliseconds; the database''s clock unless given.';
create index agent_logs_user_id_created_at_idx on public.agent_logs (user_id, created_at);
create index agent_logs_user_id_project_id_idx on public.agent_logs (user_id, project_id);
create index agent_logs_execution_id_idx on public.agent_logs (execution_id);

-- cli_sessions -----------------------------------------------------------------------------------

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

-- deployment_logs --------------------------------------------------------------------------------

create table public.deployment_logs (
  id uuid not null default private.ordered_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  project_id uuid,
  provider text not null check (length(provider) between 1 and 64),
  environment text not null default 'production' check (length(environment) between 1 and 64),
  status text not null default 'queued' check (status in
    ('queued', 'building', 'deploying', 'succeeded', 'failed', 'cancelled', 'rolled_back')),
  deployment_url text check (deployment_url ~ '^https?://' and octet_length(deployment_url) <= 2048),
  commit_sha text check (length(commit_sha) between 4 and 64),
  build_log text check (octet_length(build_log) <= 262144),
  error_message text check (octet_length(error_message) <= 4096),
  duration_ms bigint check (duration_ms >= 0),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (id),
  foreign key (user_id, project_id) references public.projects (user_id, id) on delete cascade
);
comment on table public.deployment_logs is 'One row per deployment of a project to a provider, with its way through the statuses.';
comment on column public.deployment_logs.provider is 'vercel, netlify, cloudflare, supabase, …';
comment on column public.deployment_logs.duration_ms is 'From start to end, in milliseconds; the database''s clock unless given.';
create index deployment_logs_user_id_created_at_idx on public.deployment_logs (user_id, created_at);
create index deployment_logs_user_id_project_id_idx on public.deployment_logs (user_id, project_id);

alter table public.tool_executions add foreign key (user_id, project_id)
  references public.projects (user_id, id) on delete set null (project_id);
comment on column public.tool_executions.project_id is 'The project the call worked for, if any.';
create index tool_executions_user_id_project_id_idx on public.tool_executions (user_id, project_id)
  where project_id is not null;

-- what the database decides ------------------------------------------------------------------------

create function private.settle_record() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_ends constant text[] := array['completed', 'failed', 'skipped', 'succeeded', 'cancelled', 'rolled_back'];
begin
  new.error_message := private.clip_text(private.redact_text(new.error_message), 4096);
  new.metadata := private.redact_json(new.metadata);
  if tg_table_name = 'agent_logs' then
    new.input := private.redact_json(new.input);
    new.output := private.redact_json(new.output);
  elsif tg_table_name = 'deployment_logs' then
    new.build_log := private.redact_text(new.build_log);
  end if;
  if new.status = any (v_ends) then
    new.completed_at := coalesce(new.completed_at, pg_catalog.now());
    new.duration_ms := coalesce(new.duration_ms,
      greatest(0, (extract(epoch from new.completed_at - new.started_at) * 1000)::bigint));
  else
    new.completed_at := null;
    new.duration_ms := null;
  end if;
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function private.settle_record() is
  'Trigger of agent_logs and deployment_logs: redacts, stamps the end and measures the duration.';

create function private.settle_project() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.error_message := private.clip_text(private.redact_text(new.error_message), 4096);
  new.metadata := private.redact_json(new.metadata);
  if new.status = 'completed' then
    new.progress := 100;
  end if;
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function private.settle_project() is 'Trigger of projects: redacts, and a completed project is at 100.';

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

create trigger projects_check_status before update of status on public.projects
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('project', '{
    "draft": ["running", "cancelled", "archived"],
    "running": ["completed", "failed", "cancelled"],
    "completed": ["running", "archived"],
    "failed": ["running", "archived"],
    "cancelled": ["running", "archived"],
    "archived": ["draft"]}');
create trigger projects_settle before insert or update on public.projects
  for each row execute function private.settle_project();

create trigger agent_logs_check_status before update of status on public.agent_logs
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('agent_log', '{
    "pending": ["running", "completed", "failed", "skipped"],
    "running": ["completed", "failed", "skipped"],
    "failed": ["running"]}');
create trigger agent_logs_settle before insert or update on public.agent_logs
  for each row execute function private.settle_record();

create trigger cli_sessions_check_status before update of status on public.cli_sessions
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('cli_session', '{"active": ["expired", "closed"]}');
create trigger cli_sessions_settle before insert or update on public.cli_sessions
  for each row execute function private.settle_cli_session();

create trigger deployment_logs_check_status before update of status on public.deployment_logs
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('deployment', '{
    "queued": ["building", "deploying", "failed", "cancelled"],
    "building": ["deploying", "succeeded", "failed", "cancelled"],
    "deploying": ["succeeded", "failed", "cancelled"],
    "succeeded": ["rolled_back"]}');
create trigger deployment_logs_settle before insert or update on public.deployment_logs
  for each row execute function private.settle_record();

-- the command line's session -----------------------------------------------------------------------

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

create function private.trim_record(p_limit integer default 50000) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_logs integer := private.delete_old_execution_logs(null, 90, p_limit);
  v_tools integer;
  v_sessions integer;
begin
  delete from public.tool_executions t where t.ctid = any (array(
    select o.ctid from public.tool_executions o
    where o.run_id is null and o.created_at < pg_catalog.now() - interval '90 days' order by o.created_at limit p_limit));
  get diagnostics v_tools = row_count;
  delete from public.cli_sessions s where s.id in (select o.id from public.cli_sessions o
    where o.status <> 'active' and o.updated_at < pg_catalog.now() - interval '30 days' limit p_limit);
  get diagnostics v_sessions = row_count;
  return pg_catalog.jsonb_build_object('execution_logs', v_logs, 'tool_executions', v_tools,
    'cli_sessions', v_sessions, 'expired', private.expire_cli_sessions(p_limit));
end $$;
comment on function private.trim_record(integer) is
  'Retention of the record, for the scheduler: logs and tool calls 90 days (those of runs go with the run), ended sessions 30; at most p_limit rows of each. Tasks, documents, projects and deployments stay until their owner deletes them.';

-- access -------------------------------------------------------------------------------------------

alter table public.projects enable row level security;
alter table public.agent_logs enable row level security;
alter table public.cli_sessions enable row level security;
alter table public.deployment_logs enable row level security;
revoke all on public.projects, public.agent_logs, public.cli_sessions, public.deployment_logs
  from public, anon, authenticated;
grant select, insert, update, delete
  on public.projects, public.agent_logs, public.cli_sessions, public.deployment_logs to service_role;
grant select, delete
  on public.projects, public.agent_logs, public.cli_sessions, public.deployment_logs to authenticated;

grant insert (user_id, name, description, prompt, status, repository_url, metadata),
  update (name, description, prompt, status, progress, current_agent, repository_url, error_message, metadata)
  on public.projects to authenticated;
grant insert (user_id, project_id, agent_name, agent_index, status, input, output, error_message,
    duration_ms, metadata),
  update (status, output, error_message, duration_ms, metadata)
  on public.agent_logs to authenticated;
grant insert (user_id, project_id, name, client_version, platform, ttl_seconds, metadata)
  on public.cli_sessions to authenticated;
grant insert (user_id, project_id, provider, environment, status, deployment_url, commit_sha,
    build_log, error_message, metadata),
  update (status, deployment_url, commit_sha, build_log, error_message, duration_ms, metadata)
  on public.deployment_logs to authenticated;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['projects', 'agent_logs', 'cli_sessions', 'deployment_logs'] loop
    execute format('create policy %I on public.%I for select to authenticated
      using (user_id = (select auth.uid()))', v_table || '_select_own', v_table);
    execute format('create policy %I on public.%I for insert to authenticated
      with check (user_id = (select auth.uid()))', v_table || '_insert_own', v_table);
    execute format('create policy %I on public.%I for delete to authenticated
      using (user_id = (select auth.uid()))', v_table || '_delete_own', v_table);
    if v_table <> 'cli_sessions' then
      execute format('create policy %I on public.%I for update to authenticated
        using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()))',
        v_table || '_update_own', v_table);
    end if;
  end loop;
end $$;

revoke all on function
  private.settle_record(), private.settle_project(), private.settle_cli_session(),
  private.touch_cli_session(uuid, uuid, boolean), private.expire_cli_sessions(integer),
  private.trim_record(integer), public.update_cli_session_last_seen(),
  public.update_cli_session_last_seen(uuid, uuid), public.close_cli_session(uuid, uuid)
  from public, anon, authenticated;
grant execute on function
  private.touch_cli_session(uuid, uuid, boolean), public.update_cli_session_last_seen(uuid, uuid),
  public.close_cli_session(uuid, uuid) to authenticated, service_role;
grant execute on function private.expire_cli_sessions(integer), private.trim_record(integer)
  to service_role;
