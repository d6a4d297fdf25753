-- execution_logs: the running commentary of tasks, live while they run.
--
-- Order. `seq` comes from one sequence: nothing to count, no row everybody updates. A viewer follows
-- `seq > last` and may only trust that if a task's numbers commit in order, so a writer holds the task
-- while it takes numbers: the engine through its locked run, everybody else through
-- `private.lock_task_log`, which waits for the run and takes an advisory lock until commit. Different
-- tasks never wait for each other.
--
-- Once. A writer that may retry chooses the log's id; such ids are unique per owner (a partial
-- index, so rows without one, the engine's, do not pay for it). All over the record an id that somebody chose
-- is unique within its owner: nobody can squat on, or probe for, another person's ids.
--
-- Bytes. A line is written at every step of every run, so it has two indexes and no more: by task, in the
-- order of numbers, and by owner, in the order of time. Its metadata is shown whole and never searched,
-- therefore `json`: short objects take half of what they take as jsonb.
--
-- Retention. An owner's old lines are the left end of the owner's index: `delete_old_execution_logs` looks at
-- each owner's oldest line, and locks only what it deletes. Time partitions would drop faster, but Realtime's
-- postgres_changes reports a partition's rows under the partition's name, so the subscription of seed 004
-- would stay silent.

create sequence public.execution_logs_seq_seq;
create table public.execution_logs (
  seq bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  task_id uuid not null,
  is_keyed boolean not null default false,
  level text not null default 'info',
  agent_type text not null default 'worker',
  step text,
  message text not null,
  metadata json not null default '{}',
  -- task first: ids of runs grow with time, so that new lines land side by side at the right edge
  primary key (task_id, seq)
);
alter sequence public.execution_logs_seq_seq owned by public.execution_logs.seq;
create function private.fits(p_log public.execution_logs) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return p_log.level in ('info', 'success', 'error', 'warning')
    and length(p_log.agent_type) between 1 and 64 and coalesce(length(p_log.step) between 1 and 200, true)
    and octet_length(p_log.message) between 1 and 4096
    and json_typeof(p_log.metadata) = 'object' and pg_column_size(p_log.metadata) <= 16384;
end $$;
comment on function private.fits(public.execution_logs) is
  'Whether a log line is within its limits: level info, success, error or warning; sizes.';
comment on table public.execution_logs is
  'Running commentary of tasks, one row per line, append-only. Written by the engine and by log-execution.';
comment on column public.execution_logs.seq is
  'Grows within a task in commit order: what viewers follow, and what Last-Event-ID carries.';
comment on column public.execution_logs.task_id is 'The task this is about; the run''s id when a run does it.';
comment on column public.execution_logs.is_keyed is
  'The writer chose the id so that it may retry: such ids are unique per owner.';
comment on column public.execution_logs.agent_type is 'planner, worker, evaluator, or any other role of an agent.';
comment on column public.execution_logs.step is 'The step of the task this line belongs to, as its agent names it.';
comment on column public.execution_logs.message is 'At most 4096 bytes; longer ones are cut and marked.';

create index execution_logs_user_id_created_at_idx on public.execution_logs (user_id, created_at);
create unique index execution_logs_user_id_id_idx on public.execution_logs (user_id, id) where is_keyed;

alter table public.execution_logs enable row level security;
revoke all on public.execution_logs from public, anon, authenticated, service_role;
grant select on public.execution_logs to authenticated;
grant select, delete,
  insert (created_at, id, user_id, task_id, is_keyed, level, agent_type, step, message, metadata)
  on public.execution_logs to service_role;
create policy execution_logs_select_own on public.execution_logs
  for select to authenticated using (user_id = (select auth.uid()));
comment on policy execution_logs_select_own on public.execution_logs is 'Users can read their own logs.';

create function private.lock_task_log(p_task_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
  -- the engine numbers its lines while it holds the run for update: wait for it, as it waits for us
  perform from public.mira_workflow_state s where s.id = p_task_id for key share;
  perform pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtextextended('execution_logs:' || p_task_id::text, 0));
end $$;
comment on function private.lock_task_log(uuid) is
  'Held until commit by whoever numbers lines of a task: order of numbers = order of commits.';

create function private.order_direct_log() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform private.hold_account(new.user_id);
  perform private.lock_task_log(new.task_id);
  new.seq := pg_catalog.nextval('public.execution_logs_seq_seq');
  new.message := private.clip_text(private.redact_text(new.message), 4096);
  new.metadata := private.clip_json(private.redact_json(new.metadata::jsonb), 8192);
  perform private.demand_fit(private.fits(new), 'execution_logs');
  return new;
end $$;
comment on function private.order_direct_log() is
  'Trigger: a line that comes without its number, straight through the Data API with the secret key, keeps the same promises.';
-- Whoever has kept them already numbers its lines itself. PostgreSQL reads a trigger's condition anew for every
-- statement, and this one is as short as they come.
create trigger execution_logs_order_direct before insert on public.execution_logs
  for each row when (new.seq is null) execute function private.order_direct_log();

-- writing ------------------------------------------------------------------------------------------

create function private.write_execution_logs(p_user_id uuid, p_logs jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_answer jsonb;
begin
  if pg_catalog.jsonb_typeof(p_logs) is distinct from 'array'
    or pg_catalog.jsonb_array_length(p_logs) not between 1 and 500 then
    raise exception using errcode = 'PT422', message = 'invalid_logs', hint = '/logs',
      detail = 'logs is an array of 1 to 500 log entries.';
  end if;
  perform private.check_log(l.value) from pg_catalog.jsonb_array_elements(p_logs) l;
  perform private.hold_account(v_user);
  -- in one order, so that two batches over the same tasks wait instead of deadlocking
  perform private.lock_task_log(t.task_id) from (
    select distinct (l.value ->> 'task_id')::uuid as task_id
    from pg_catalog.jsonb_array_elements(p_logs) l order by 1) t;

  with given as (
    select l.ordinality as n, (l.value ->> 'id')::uuid as given_id, l.value as log
    from pg_catalog.jsonb_array_elements(p_logs) with ordinality l
  ), log as materialized (
    select g.n, coalesce(g.given_id, pg_catalog.gen_random_uuid()) as id,
      g.given_id is not null as is_keyed, g.log
    from given g
  ), landed as (
    insert into public.execution_logs as t
      (seq, id, user_id, task_id, is_keyed, level, agent_type, step, message, metadata)
    select pg_catalog.nextval('public.execution_logs_seq_seq'), l.id, v_user, (l.log ->> 'task_id')::uuid, l.is_keyed,
      coalesce(l.log ->> 'level', 'info'), coalesce(l.log ->> 'agent_type', 'worker'),
      l.log ->> 'step', private.clip_text(private.redact_text(l.log ->> 'message'), 4096),
      private.clip_json(private.redact_json(l.log -> 'metadata'), 8192)
    from (select * from log order by n) l
    on conflict (user_id, id) where is_keyed do nothing
    returning t.id, t.seq
  )
  select pg_catalog.jsonb_build_object(
    'accepted', (select count(*) from landed),
    'duplicates', count(*) - (select count(*) from landed),
    'logs', pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'id', l.id, 'seq', coalesce(d.seq, o.seq)) order by l.n))
  into v_answer
  from log l
  left join landed d on d.id = l.id
  left join public.execution_logs o
    on l.is_keyed and d.seq is null and o.user_id = v_user and o.id = l.id and o.is_keyed;
  return v_answer;
end $$;
comment on function private.write_execution_logs(uuid, jsonb) is
  'Writes a batch of one owner''s logs in one statement, each id once: {accepted, duplicates, logs:[{id, seq}]}. '
  'Definer: the record is not a table that people write.';

create function private.check_log(p_log jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
  v_field text;
begin
  v_field := case
    when pg_catalog.jsonb_typeof(p_log) <> 'object' then 'logs'
    when not pg_catalog.pg_input_is_valid(coalesce(p_log ->> 'task_id', ''), 'uuid') then 'task_id'
    when not pg_catalog.pg_input_is_valid(
      coalesce(p_log ->> 'id', '00000000-0000-0000-0000-000000000000'), 'uuid') then 'id'
    when coalesce(p_log ->> 'level', 'info') not in ('info', 'success', 'error', 'warning') then 'level'
    when pg_catalog.length(coalesce(p_log ->> 'agent_type', 'worker')) not between 1 and 64 then 'agent_type'
    when pg_catalog.length(coalesce(p_log ->> 'step', '-')) not between 1 and 200 then 'step'
    when coalesce(p_log ->> 'message', '') = '' then 'message'
  end;
  if v_field is not null then
    raise exception using errcode = 'PT422', message = 'invalid_' || v_field, hint = '/' || v_field,
      detail = case v_field
        when 'logs' then 'A log entry is an object.'
        when 'level' then 'level is info, success, error or warning.'
        when 'agent_type' then 'agent_type has 1 to 64 characters.'
        when 'step' then 'step has 1 to 200 characters.'
        when 'message' then 'message is a text that is not empty.'
        else v_field || ' is a uuid.' end;
  end if;
end $$;
comment on function private.check_log(jsonb) is 'Refuses a log entry that does not fit, naming the field.';

create function public.insert_execution_logs(p_logs jsonb, p_user_id uuid default null) returns jsonb
language sql set search_path = '' as $$
  select private.write_execution_logs(p_user_id, p_logs)
$$;
comment on function public.insert_execution_logs(jsonb, uuid) is
  'Adds 1 to 500 logs {task_id, message, level?, agent_type?, step?, metadata?, id?} in one statement: {accepted, duplicates, logs:[{id, seq}]}.';

create function public.insert_execution_log(
  p_task_id uuid, p_message text, p_level text default 'info', p_agent_type text default 'worker',
  p_step text default null, p_metadata jsonb default '{}', p_id uuid default null,
  p_user_id uuid default null
) returns uuid
language sql set search_path = '' as $$
  select (private.write_execution_logs(p_user_id, pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_object('task_id', p_task_id, 'message', p_message, 'level', p_level,
      'agent_type', p_agent_type, 'step', p_step, 'metadata', p_metadata, 'id', p_id)))
    #>> '{logs,0,id}')::uuid
$$;
comment on function public.insert_execution_log(uuid, text, text, text, text, jsonb, uuid, uuid) is
  'Adds one log to a task and returns its id; with p_id a retry adds nothing.';

-- reading ------------------------------------------------------------------------------------------

create function public.get_execution_logs_by_task(
  p_task_id uuid, p_after_seq bigint default 0, p_limit integer default 100,
  p_user_id uuid default null
) returns setof public.execution_logs
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  return query select l.* from public.execution_logs l
    where l.user_id = v_user and l.task_id = p_task_id and l.seq > coalesce(p_after_seq, 0)
    order by l.seq limit private.page_size(p_limit);
end $$;
comment on function public.get_execution_logs_by_task(uuid, bigint, integer, uuid) is
  'Logs of a task in order, after p_after_seq: the next page starts at the last seq of this one.';

create function public.get_execution_logs_filtered(
  p_task_id uuid default null, p_level text default null, p_agent_type text default null,
  p_step text default null, p_search text default null, p_from timestamptz default null,
  p_to timestamptz default null, p_before_seq bigint default null,
  p_after_seq bigint default null, p_limit integer default 100, p_user_id uuid default null,
  p_cursor_at timestamptz default null
) returns setof public.execution_logs
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_is_older boolean := p_after_seq is null;
  v_way text := case when v_is_older then 'desc' else 'asc' end;
  v_beyond text := case when v_is_older then '<' else '>' end;
  -- a task's lines are in the order of their numbers, a person's in the order of time
  v_order text := case when p_task_id is null then pg_catalog.format('%%1$s.created_at %1$s, %%1$s.seq %1$s', v_way)
    else pg_catalog.format('%%1$s.seq %1$s', v_way) end;
begin
  -- only the direction and the shape of the cursor are chosen here: every value is a parameter.
  -- The inner limit bounds the work: a page looks at 50,000 lines, however rare what is sought.
  return query execute pg_catalog.format($query$
    select l.* from (
      select s.* from public.execution_logs s
      where s.user_id = $1 and %1$s and %2$s and s.created_at >= $5 and s.created_at < $6
      order by %3$s limit 50000
    ) l
    where ($7 is null or l.level = $7) and ($8 is null or l.agent_type = $8)
      and ($9 is null or l.step = $9)
      and ($10 is null or pg_catalog.strpos(pg_catalog.lower(l.message), $10) > 0)
    order by %4$s limit $11
    $query$,
    case when p_task_id is null then 'true' else 's.task_id = $2' end,
    case when coalesce(p_after_seq, p_before_seq) is null then 'true'
      when p_task_id is null and p_cursor_at is not null then '(s.created_at, s.seq) ' || v_beyond || ' ($3, $4)'
      else 's.seq ' || v_beyond || ' $4' end,
    pg_catalog.format(v_order, 's'), pg_catalog.format(v_order, 'l'))
  using v_user, p_task_id, p_cursor_at, coalesce(p_after_seq, p_before_seq), coalesce(p_from, '-infinity'),
    coalesce(p_to, 'infinity'), p_level, p_agent_type, p_step, pg_catalog.lower(nullif(p_search, '')),
    private.page_size(p_limit);
end $$;
comment on function public.get_execution_logs_filtered(uuid, text, text, text, text, timestamptz, timestamptz, bigint, bigint, integer, uuid, timestamptz) is
  'Logs by task, level, agent type, step, words and time: newest first, the next page before the last seq of this one; or, with p_after_seq, oldest first after it. Without a task, p_cursor_at (the created_at of that line) finds the place at once. A page looks at 50,000 lines at most: narrow the time to look further.';

create function private.delete_old_execution_logs(p_user_id uuid, p_days integer, p_limit integer)
returns integer
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.acting_user(p_user_id);
  v_before timestamptz := pg_catalog.now() - pg_catalog.make_interval(days => p_days);
  v_limit integer := least(greatest(coalesce(p_limit, 10000), 1), 100000);
  v_deleted integer;
begin
  if p_days is null or p_days not between 1 and 36500 then
    raise exception using errcode = 'PT422', message = 'invalid_days', hint = '/days',
      detail = 'Logs are kept for 1 to 36500 days.';
  end if;
  if v_user is null then
    -- one look per owner at their oldest line, nothing else; a line never moves, so its place is its name
    delete from public.execution_logs l where l.ctid = any (array(
      with recursive owner as (
        (select f.user_id, f.created_at from public.execution_logs f
          order by f.user_id, f.created_at limit 1)
        union all
        select n.user_id, n.created_at from owner o cross join lateral (
          select f.user_id, f.created_at from public.execution_logs f
          where f.user_id > o.user_id order by f.user_id, f.created_at limit 1) n
      )
      select s.ctid from owner o cross join lateral (
        select f.ctid from public.execution_logs f
        where f.user_id = o.user_id and f.created_at < v_before
        order by f.created_at limit v_limit) s
      where o.created_at < v_before limit v_limit));
  else
    delete from public.execution_logs l where l.ctid = any (array(
      select s.ctid from public.execution_logs s
      where s.user_id = v_user and s.created_at < v_before
      order by s.created_at limit v_limit));
  end if;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end $$;
comment on function private.delete_old_execution_logs(uuid, integer, integer) is
  'Deletes the oldest logs from the left end of their owner''s index; never locks a young row. '
  'Definer: the record is not a table that people write.';

create function public.delete_old_execution_logs(
  p_days integer default 90, p_limit integer default 10000, p_user_id uuid default null
) returns integer
language sql set search_path = '' as $$
  select private.delete_old_execution_logs(p_user_id, p_days, p_limit)
$$;
comment on function public.delete_old_execution_logs(integer, integer, uuid) is
  'Deletes at most p_limit (up to 100,000) logs older than p_days and returns how many; call again until 0. A person deletes their own, the service one user''s or everybody''s.';

create function public.get_execution_log_statistics(
  p_from timestamptz default now() - interval '30 days', p_to timestamptz default now(),
  p_period text default 'all', p_user_id uuid default null
) returns table (period_start timestamptz, agent_type text, level text, total bigint, tasks bigint,
  last_at timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  perform private.check_period(p_period, p_from, p_to);
  return query
    select private.period_of(l.created_at, p_period, p_from), l.agent_type, l.level, count(*),
      count(distinct l.task_id), max(l.created_at)
    from public.execution_logs l
    where l.user_id = v_user and l.created_at >= p_from and l.created_at < p_to
    group by 1, 2, 3 order by 1 desc, 4 desc limit 1000;
end $$;
comment on function public.get_execution_log_statistics(timestamptz, timestamptz, text, uuid) is
  'Lines and tasks per period (hour, day, week, month, all), agent type and level; at most 366 days.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  lock_task_log,order_direct_log,write_execution_logs,check_log,delete_old_execution_logs,
  fits,insert_execution_log,insert_execution_logs,get_execution_logs_by_task,
  get_execution_logs_filtered,get_execution_log_statistics}');
grant execute on function
  private.write_execution_logs(uuid, jsonb),
  private.delete_old_execution_logs(uuid, integer, integer),
  public.insert_execution_log(uuid, text, text, text, text, jsonb, uuid, uuid),
  public.insert_execution_logs(jsonb, uuid),
  public.get_execution_logs_by_task(uuid, bigint, integer, uuid),
  public.get_execution_logs_filtered(uuid, text, text, text, text, timestamptz, timestamptz, bigint, bigint, integer, uuid, timestamptz),
  public.delete_old_execution_logs(integer, integer, uuid),
  public.get_execution_log_statistics(timestamptz, timestamptz, text, uuid)
  to authenticated;
