-- tool_executions: one row per tool call of a run, a task or a project. Its key is as in task_history.

create table public.tool_executions (
  id uuid not null default private.ordered_uuid(),
  user_id uuid not null,
  run_id uuid references public.workflow_executions (id) on delete cascade,
  task_id uuid,
  project_id uuid,
  duration_ms bigint,
  attempt smallint not null default 1,
  status text not null default 'running',
  tool_name text not null,
  step text,
  arguments jsonb,
  result jsonb,
  error_message text,
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  created_at timestamptz not null,
  primary key (id, user_id)
);
create function private.fits(p_call public.tool_executions) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return p_call.status in ('pending', 'running', 'completed', 'failed', 'cancelled')
    and length(p_call.tool_name) between 1 and 200 and coalesce(length(p_call.step) between 1 and 200, true)
    and coalesce(pg_column_size(p_call.arguments) <= 65536, true)
    and coalesce(pg_column_size(p_call.result) <= 65536, true)
    and coalesce(octet_length(p_call.error_message) <= 4096, true)
    and coalesce(p_call.duration_ms >= 0, true) and p_call.attempt >= 1;
end $$;
comment on function private.fits(public.tool_executions) is 'Whether the record of a tool call is within its limits.';
comment on table public.tool_executions is
  'One row per tool call of a run, a task or a project: which tool, how long, how it ended.';
comment on column public.tool_executions.run_id is 'The run that called the tool, if one did.';
comment on column public.tool_executions.task_id is 'The task, for outside agents; a run''s calls have run_id.';
comment on column public.tool_executions.duration_ms is 'From start to end, in milliseconds.';
comment on column public.tool_executions.attempt is 'Which try this is, from 1.';

create index tool_executions_user_id_created_at_idx on public.tool_executions (user_id, created_at);
-- for trim_record: a run's calls go with the run
create index tool_executions_created_at_idx on public.tool_executions (created_at) where run_id is null;
create index tool_executions_run_id_idx on public.tool_executions (run_id) where run_id is not null;
create index tool_executions_user_id_task_id_idx on public.tool_executions (user_id, task_id)
  where task_id is not null;

alter table public.tool_executions enable row level security;
revoke all on public.tool_executions from public, anon, authenticated;
grant select on public.tool_executions to authenticated;
grant select, update, delete,
  insert (id, user_id, run_id, task_id, project_id, duration_ms, attempt, status, tool_name, step, arguments, result,
    error_message, started_at, completed_at)
  on public.tool_executions to service_role;
create policy tool_executions_select_own on public.tool_executions
  for select to authenticated using (user_id = (select auth.uid()));

-- The engine writes none that does not fit, and says when itself; it never changes one.
create function private.check_tool_execution() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform private.demand_fit(private.fits(new), 'tool_executions');
  perform private.hold_account(new.user_id);
  new.created_at := coalesce(new.created_at, pg_catalog.now());
  return new;
end $$;
comment on function private.check_tool_execution() is
  'Trigger: the record of a tool call that comes without its time, or changes, fits and names an account that exists. Definer: reads auth.users.';
create trigger tool_executions_check_new before insert on public.tool_executions
  for each row when (new.created_at is null) execute function private.check_tool_execution();
create trigger tool_executions_check_change before update on public.tool_executions
  for each row execute function private.check_tool_execution();
create trigger tool_executions_check_status before update of status on public.tool_executions
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('tool_execution', '{
    "pending": ["running", "completed", "failed", "cancelled"],
    "running": ["completed", "failed", "cancelled"],
    "failed": ["running"]}');

-- writing and reading ------------------------------------------------------------------------------

create function private.start_tool_execution(
  p_user_id uuid, p_tool_name text, p_task_id uuid, p_run_id uuid, p_project_id uuid, p_step text,
  p_arguments jsonb, p_id uuid
) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_id uuid := coalesce(p_id, private.ordered_uuid());
begin
  if coalesce(p_tool_name, '') = '' or length(p_tool_name) > 200 then
    raise exception using errcode = 'PT422', message = 'invalid_tool_name', hint = '/tool_name',
      detail = 'tool_name has 1 to 200 characters.';
  end if;
  perform private.hold_account(v_user);
  perform private.hold_run(v_user, p_run_id, '/run_id');
  insert into public.tool_executions (id, user_id, run_id, task_id, project_id, tool_name, step, arguments)
  values (v_id, v_user, p_run_id, p_task_id, p_project_id, p_tool_name, p_step,
    private.redact_json(p_arguments))
  on conflict (user_id, id) do nothing;
  return v_id;
end $$;
comment on function private.start_tool_execution(uuid, text, uuid, uuid, uuid, text, jsonb, uuid) is
  'Records that a tool call began, once per id. '
  'Definer: the record is not a table that people write.';

create function public.start_tool_execution(
  p_tool_name text, p_task_id uuid default null, p_run_id uuid default null,
  p_project_id uuid default null, p_step text default null, p_arguments jsonb default null,
  p_id uuid default null, p_user_id uuid default null
) returns uuid
language sql set search_path = '' as $$
  select private.start_tool_execution(p_user_id, p_tool_name, p_task_id, p_run_id, p_project_id,
    p_step, p_arguments, p_id)
$$;
comment on function public.start_tool_execution(text, uuid, uuid, uuid, text, jsonb, uuid, uuid) is
  'Records that a tool call began and returns its id; the same p_id again changes nothing.';

create function private.finish_tool_execution(
  p_user_id uuid, p_id uuid, p_status text, p_result jsonb, p_error_message text, p_duration_ms bigint
) returns public.tool_executions
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_now timestamptz := pg_catalog.clock_timestamp();
  v_row public.tool_executions;
begin
  if p_status is null or p_status not in ('completed', 'failed', 'cancelled') then
    raise exception using errcode = 'PT422', message = 'invalid_status', hint = '/status',
      detail = 'A tool call ends as completed, failed or cancelled.';
  end if;
  update public.tool_executions t set status = p_status,
    result = coalesce(private.redact_json(p_result), t.result),
    error_message = coalesce(private.clip_text(private.redact_text(p_error_message), 4096), t.error_message),
    completed_at = coalesce(t.completed_at, v_now),
    duration_ms = coalesce(p_duration_ms, t.duration_ms,
      greatest(0, (extract(epoch from v_now - t.started_at) * 1000)::bigint))
  where t.user_id = v_user and t.id = p_id
  returning t.* into v_row;
  if not found then
    raise exception using errcode = 'PT404', message = 'tool_execution_not_found',
      detail = 'There is no such tool call.';
  end if;
  return v_row;
end $$;
comment on function private.finish_tool_execution(uuid, uuid, text, jsonb, text, bigint) is
  'Ends a tool call; the duration is measured on the database''s clock unless given. '
  'Definer: the record is not a table that people write.';

create function public.finish_tool_execution(
  p_id uuid, p_status text default 'completed', p_result jsonb default null,
  p_error_message text default null, p_duration_ms bigint default null, p_user_id uuid default null
) returns public.tool_executions
language sql set search_path = '' as $$
  select private.finish_tool_execution(p_user_id, p_id, p_status, p_result, p_error_message, p_duration_ms)
$$;
comment on function public.finish_tool_execution(uuid, text, jsonb, text, bigint, uuid) is
  'Ends a tool call as completed, failed or cancelled with its result or error; ended calls stay as they are (tool_execution_transition_refused).';

create function public.get_tool_statistics(
  p_from timestamptz default now() - interval '30 days', p_to timestamptz default now(),
  p_period text default 'all', p_user_id uuid default null
) returns table (period_start timestamptz, tool_name text, total bigint, completed bigint,
  failed bigint, avg_duration_ms numeric, p95_duration_ms numeric)
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  perform private.check_period(p_period, p_from, p_to);
  return query
    select private.period_of(t.created_at, p_period, p_from), t.tool_name, count(*),
      count(*) filter (where t.status = 'completed'), count(*) filter (where t.status = 'failed'),
      round(avg(t.duration_ms), 1),
      round((percentile_cont(0.95) within group (order by t.duration_ms))::numeric, 1)
    from public.tool_executions t
    where t.user_id = v_user and t.created_at >= p_from and t.created_at < p_to
    group by 1, 2 order by 1 desc, 3 desc limit 1000;
end $$;
comment on function public.get_tool_statistics(timestamptz, timestamptz, text, uuid) is
  'Tool calls per period (hour, day, week, month, all) and tool: outcomes and durations in ms; at most 366 days.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  check_tool_execution,start_tool_execution,finish_tool_execution,fits,get_tool_statistics}');
grant execute on function
  private.start_tool_execution(uuid, text, uuid, uuid, uuid, text, jsonb, uuid),
  private.finish_tool_execution(uuid, uuid, text, jsonb, text, bigint),
  public.start_tool_execution(text, uuid, uuid, uuid, text, jsonb, uuid, uuid),
  public.finish_tool_execution(uuid, text, jsonb, text, bigint, uuid),
  public.get_tool_statistics(timestamptz, timestamptz, text, uuid)
  to authenticated;
