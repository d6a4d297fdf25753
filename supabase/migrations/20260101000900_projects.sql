-- Projects: agent chains and deployments (seed 002).
--
-- A project is what a chain of agents builds. The chain itself is a run, so `agent_logs` rows point
-- to it; agents outside the engine leave the pointer empty. People own these rows and write them
-- through the Data API; what the database decides, status changes, times and expiry, it decides in
-- triggers, so that every door leads to the same rules. A status change that is not allowed is
-- refused by name (`deployment_transition_refused`), never swallowed.

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

create trigger deployment_logs_check_status before update of status on public.deployment_logs
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('deployment', '{
    "queued": ["building", "deploying", "failed", "cancelled"],
    "building": ["deploying", "succeeded", "failed", "cancelled"],
    "deploying": ["succeeded", "failed", "cancelled"],
    "succeeded": ["rolled_back"]}');
create trigger deployment_logs_settle before insert or update on public.deployment_logs
  for each row execute function private.settle_record();

-- access -------------------------------------------------------------------------------------------

alter table public.projects enable row level security;
alter table public.agent_logs enable row level security;
alter table public.deployment_logs enable row level security;
revoke all on public.projects, public.agent_logs, public.deployment_logs
  from public, anon, authenticated;
grant select, insert, update, delete on public.projects, public.agent_logs, public.deployment_logs to service_role;
grant select, delete on public.projects, public.agent_logs, public.deployment_logs to authenticated;

grant insert (user_id, name, description, prompt, status, repository_url, metadata),
  update (name, description, prompt, status, progress, current_agent, repository_url, error_message, metadata)
  on public.projects to authenticated;
grant insert (user_id, project_id, agent_name, agent_index, status, input, output, error_message,
    duration_ms, metadata),
  update (status, output, error_message, duration_ms, metadata)
  on public.agent_logs to authenticated;
grant insert (user_id, project_id, provider, environment, status, deployment_url, commit_sha,
    build_log, error_message, metadata),
  update (status, deployment_url, commit_sha, build_log, error_message, duration_ms, metadata)
  on public.deployment_logs to authenticated;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['projects', 'agent_logs', 'deployment_logs'] loop
    execute format('create policy %I on public.%I for select to authenticated
      using (user_id = (select auth.uid()))', v_table || '_select_own', v_table);
    execute format('create policy %I on public.%I for insert to authenticated
      with check (user_id = (select auth.uid()))', v_table || '_insert_own', v_table);
    execute format('create policy %I on public.%I for update to authenticated
      using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()))',
      v_table || '_update_own', v_table);
    execute format('create policy %I on public.%I for delete to authenticated
      using (user_id = (select auth.uid()))', v_table || '_delete_own', v_table);
  end loop;
end $$;

select private.close_functions('{settle_record,settle_project}');
