-- task_history: one row per task a person asked for, and what became of it.
--
-- The key tells tasks apart within their owner, so that nobody can squat on another person's ids; it begins
-- with the id, because those of runs grow with time and land side by side. The result is shown whole and never
-- searched, therefore json: short objects take half of what they take as jsonb. The account is held, not referenced
-- (the file of the record's common part says why).

create table public.task_history (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  execution_id uuid references public.workflow_executions (id) on delete set null,
  description text not null,
  services_used text[] not null default '{}',
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  output_links text[] not null default '{}',
  started_at timestamptz,
  -- what a run's end changes stands together: PostgreSQL logs the bytes from the first to the last of it
  status text not null default 'pending',
  completed_at timestamptz,
  updated_at timestamptz not null,
  duration_ms bigint,
  output_summary text,
  result json,
  error_message text,
  primary key (id, user_id)
) with (fillfactor = 40);
create function private.fits(p_task public.task_history) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return octet_length(p_task.description) between 1 and 8192
    and p_task.status in ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')
    and coalesce(pg_column_size(p_task.result) <= 65536, true)
    and coalesce(octet_length(p_task.output_summary) <= 16384, true)
    and cardinality(p_task.output_links) <= 100 and cardinality(p_task.services_used) <= 50
    and coalesce(octet_length(p_task.error_message) <= 4096, true) and coalesce(p_task.duration_ms >= 0, true)
    and jsonb_typeof(p_task.metadata) = 'object' and pg_column_size(p_task.metadata) <= 16384;
end $$;
comment on function private.fits(public.task_history) is 'Whether a task is within its limits: known status; sizes.';
comment on table public.task_history is
  'One row per task a person asked for: what became of it, its outputs, services and duration.';
comment on column public.task_history.id is 'The task id; the run''s id when a run does the task.';
comment on column public.task_history.execution_id is 'The run that does the task, if one does.';
comment on column public.task_history.description is 'What was asked for, in words.';
comment on column public.task_history.services_used is 'Services the task touched, e.g. gmail, drive, calendar.';
comment on column public.task_history.output_links is 'Addresses of what the task produced.';
comment on column public.task_history.duration_ms is 'From start to end, in milliseconds.';

create index task_history_user_id_created_at_idx on public.task_history (user_id, created_at, id);
create index task_history_execution_id_idx on public.task_history (execution_id);

alter table public.task_history enable row level security;
revoke all on public.task_history from public, anon, authenticated;
grant select, delete on public.task_history to authenticated;
grant select, delete,
  insert (id, user_id, execution_id, description, services_used, metadata, created_at, output_links, started_at, status,
    completed_at, duration_ms, output_summary, result, error_message),
  update (id, user_id, execution_id, description, services_used, metadata, created_at, output_links, started_at, status,
    completed_at, duration_ms, output_summary, result, error_message)
  on public.task_history to service_role;
create policy task_history_select_own on public.task_history
  for select to authenticated using (user_id = (select auth.uid()));
create policy task_history_delete_own on public.task_history
  for delete to authenticated using (user_id = (select auth.uid()));

-- The engine, which makes no row that does not fit and no move that is not allowed, stamps its rows itself.
-- Whoever does not is looked at here: PostgreSQL reads a trigger's condition anew for every statement, and these two
-- are short. The second comes after the update, since one before it would lock every row once more.
create function private.check_task() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform private.demand_fit(private.fits(new), 'task_history');
  perform private.hold_account(new.user_id);
  if tg_op = 'INSERT' then
    new.updated_at := pg_catalog.now();
  else
    perform private.check_status_change('task', old.status, new.status, '{
      "pending": ["running", "waiting", "completed", "failed", "cancelled"],
      "running": ["waiting", "completed", "failed", "cancelled"],
      "waiting": ["running", "completed", "failed", "cancelled"],
      "failed": ["pending", "running"]}');
    update public.task_history t set updated_at = pg_catalog.clock_timestamp() where t.id = new.id and t.user_id = new.user_id;
  end if;
  return new;
end $$;
comment on function private.check_task() is
  'Trigger: a task that comes or changes without a stamp fits, moves as tasks may, names an account that exists, and is stamped with the database clock. '
  'Definer: the secret key may not write the stamp.';
create trigger task_history_check_new before insert on public.task_history
  for each row when (new.updated_at is null) execute function private.check_task();
create trigger task_history_check_change after update on public.task_history
  for each row when (new.updated_at is not distinct from old.updated_at) execute function private.check_task();

-- writing and reading ------------------------------------------------------------------------------

create function private.insert_task_history(
  p_user_id uuid, p_description text, p_task_id uuid, p_status text, p_services_used text[],
  p_execution_id uuid, p_metadata jsonb
) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_id uuid := coalesce(p_task_id, private.ordered_uuid());
begin
  if coalesce(p_description, '') = '' then
    raise exception using errcode = 'PT422', message = 'invalid_description', hint = '/description',
      detail = 'description says what was asked for.';
  end if;
  perform private.check_task_status(p_status);
  perform private.hold_account(v_user);
  perform private.hold_run(v_user, p_execution_id, '/execution_id');
  insert into public.task_history (id, user_id, execution_id, description, status,
    services_used, metadata, started_at, completed_at)
  values (v_id, v_user, p_execution_id, private.clip_text(private.redact_text(p_description), 8192),
    p_status, coalesce(p_services_used, '{}'), private.clip_json(private.redact_json(p_metadata), 8192),
    case when p_status <> 'pending' then pg_catalog.now() end,
    case when p_status in ('completed', 'failed', 'cancelled') then pg_catalog.now() end)
  on conflict (user_id, id) do nothing;
  return v_id;
end $$;
comment on function private.insert_task_history(uuid, text, uuid, text, text[], uuid, jsonb) is
  'Creates a task once per (owner, id). '
  'Definer: the record is not a table that people write.';

create function private.check_task_status(p_status text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_status is null
    or p_status not in ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled') then
    raise exception using errcode = 'PT422', message = 'invalid_status', hint = '/status',
      detail = 'status is pending, running, waiting, completed, failed or cancelled.';
  end if;
end $$;
comment on function private.check_task_status(text) is 'Refuses a status that no task has.';

create function public.insert_task_history(
  p_description text, p_task_id uuid default null, p_status text default 'running',
  p_services_used text[] default '{}', p_execution_id uuid default null,
  p_metadata jsonb default '{}', p_user_id uuid default null
) returns uuid
language sql set search_path = '' as $$
  select private.insert_task_history(p_user_id, p_description, p_task_id, p_status, p_services_used,
    p_execution_id, p_metadata)
$$;
comment on function public.insert_task_history(text, uuid, text, text[], uuid, jsonb, uuid) is
  'Records a task and returns its id; the same p_task_id again changes nothing.';

create function private.update_task_history_status(
  p_user_id uuid, p_task_id uuid, p_status text, p_output_summary text, p_result jsonb,
  p_output_links text[], p_services_used text[], p_error_message text, p_duration_ms bigint
) returns public.task_history
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_now timestamptz := pg_catalog.now();
  v_row public.task_history;
begin
  if p_status is not null then
    perform private.check_task_status(p_status);
  end if;
  update public.task_history t set
    status = coalesce(p_status, t.status),
    started_at = coalesce(t.started_at, case when p_status <> 'pending' then v_now end),
    completed_at = case
      when p_status in ('completed', 'failed', 'cancelled') then coalesce(t.completed_at, v_now)
      when p_status is null then t.completed_at end,
    output_summary = coalesce(private.clip_text(private.redact_text(p_output_summary), 16384), t.output_summary),
    result = coalesce(private.redact_json(p_result)::json, t.result),
    output_links = coalesce(p_output_links, t.output_links),
    services_used = case when p_services_used is null then t.services_used else array(
      select distinct s from pg_catalog.unnest(t.services_used || p_services_used) s order by s) end,
    error_message = coalesce(private.clip_text(private.redact_text(p_error_message), 4096), t.error_message),
    duration_ms = coalesce(p_duration_ms, t.duration_ms,
      case when p_status in ('completed', 'failed', 'cancelled') then
        (extract(epoch from v_now - coalesce(t.started_at, t.created_at)) * 1000)::bigint end)
  where t.user_id = v_user and t.id = p_task_id;
  if not found then
    raise exception using errcode = 'PT404', message = 'task_not_found',
      detail = 'There is no such task.';
  end if;
  select * into v_row from public.task_history t where t.user_id = v_user and t.id = p_task_id;
  return v_row;
end $$;
comment on function private.update_task_history_status(uuid, uuid, text, text, jsonb, text[], text[], text, bigint) is
  'Moves a task on and adds what is given; nothing given is lost or overwritten with null. '
  'Definer: the record is not a table that people write.';

create function public.update_task_history_status(
  p_task_id uuid, p_status text default null, p_output_summary text default null,
  p_result jsonb default null, p_output_links text[] default null,
  p_services_used text[] default null, p_error_message text default null,
  p_duration_ms bigint default null, p_user_id uuid default null
) returns public.task_history
language sql set search_path = '' as $$
  select private.update_task_history_status(p_user_id, p_task_id, p_status, p_output_summary,
    p_result, p_output_links, p_services_used, p_error_message, p_duration_ms)
$$;
comment on function public.update_task_history_status(uuid, text, text, jsonb, text[], text[], text, bigint, uuid) is
  'Moves a task to a status with its outputs; illegal moves are refused as task_transition_refused. Services add up, duration is measured unless given.';

create function public.get_task_history_filtered(
  p_status text default null, p_service text default null, p_search text default null,
  p_from timestamptz default null, p_to timestamptz default null,
  p_before timestamptz default null, p_before_id uuid default null, p_limit integer default 50,
  p_user_id uuid default null
) returns setof public.task_history
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_search text := pg_catalog.lower(nullif(p_search, ''));
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.task_history c
    where c.user_id = v_user and c.id = p_before_id), p_before);
begin
  return query select t.* from public.task_history t
    where t.user_id = v_user
      and t.created_at >= coalesce(p_from, '-infinity') and t.created_at < coalesce(p_to, 'infinity')
      and (v_before is null or (t.created_at, t.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
      and (p_status is null or t.status = p_status)
      and (p_service is null or p_service = any (t.services_used))
      and (v_search is null or pg_catalog.strpos(pg_catalog.lower(
        t.description || ' ' || coalesce(t.output_summary, '')), v_search) > 0)
    order by t.created_at desc, t.id desc limit private.page_size(p_limit);
end $$;
comment on function public.get_task_history_filtered(text, text, text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid) is
  'Tasks newest first by status, service, words and time; the next page starts before the last row''s (created_at, id).';

create function public.get_recent_task_history(p_limit integer default 10, p_user_id uuid default null)
returns setof public.task_history
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  return query select t.* from public.task_history t where t.user_id = v_user
    order by t.created_at desc, t.id desc limit private.page_size(coalesce(p_limit, 10));
end $$;
comment on function public.get_recent_task_history(integer, uuid) is 'The newest tasks of a person.';

create function public.get_task_statistics(
  p_from timestamptz default now() - interval '30 days', p_to timestamptz default now(),
  p_period text default 'all', p_user_id uuid default null
) returns table (period_start timestamptz, total bigint, completed bigint, failed bigint,
  cancelled bigint, active bigint, success_rate numeric, avg_duration_ms numeric,
  p95_duration_ms numeric, services jsonb)
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  perform private.check_period(p_period, p_from, p_to);
  return query
    with task as materialized (
      select private.period_of(t.created_at, p_period, p_from) as period, t.status, t.duration_ms,
        t.services_used
      from public.task_history t
      where t.user_id = v_user and t.created_at >= p_from and t.created_at < p_to
    ), service as (
      select u.period, pg_catalog.jsonb_object_agg(u.name, u.n) as counts
      from (select k.period, s.name, count(*) as n
        from task k, pg_catalog.unnest(k.services_used) s (name) group by 1, 2) u
      group by u.period
    ), summed as (
      select k.period, count(*) as n,
        count(*) filter (where k.status = 'completed') as done,
        count(*) filter (where k.status = 'failed') as broken,
        count(*) filter (where k.status = 'cancelled') as stopped,
        avg(k.duration_ms) as mean,
        percentile_cont(0.95) within group (order by k.duration_ms) as high
      from task k group by k.period
    )
    select s.period, s.n, s.done, s.broken, s.stopped, s.n - s.done - s.broken - s.stopped,
      round(s.done::numeric / nullif(s.done + s.broken, 0), 4), round(s.mean, 1),
      round(s.high::numeric, 1), coalesce(v.counts, '{}')
    from summed s left join service v on v.period = s.period
    order by s.period desc limit 1000;
end $$;
comment on function public.get_task_statistics(timestamptz, timestamptz, text, uuid) is
  'Tasks per period (hour, day, week, month, all): outcomes, success rate, durations in ms, tasks per service; at most 366 days.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  check_task,insert_task_history,check_task_status,update_task_history_status,fits,get_task_history_filtered,
  get_recent_task_history,get_task_statistics}');
grant execute on function
  private.insert_task_history(uuid, text, uuid, text, text[], uuid, jsonb),
  private.update_task_history_status(uuid, uuid, text, text, jsonb, text[], text[], text, bigint),
  public.insert_task_history(text, uuid, text, text[], uuid, jsonb, uuid),
  public.update_task_history_status(uuid, text, text, jsonb, text[], text[], text, bigint, uuid),
  public.get_task_history_filtered(text, text, text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid),
  public.get_recent_task_history(integer, uuid),
  public.get_task_statistics(timestamptz, timestamptz, text, uuid)
  to authenticated;
