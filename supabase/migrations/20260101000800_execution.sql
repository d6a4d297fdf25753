-- Execution: the record of what agents did, live while they do it.
--
-- Four tables. `execution_logs` is the running commentary of a task, `task_history` one row per
-- task, `documents_generated` what tasks left behind, `tool_executions` one row per tool call. The
-- engine writes them inside a step's own transaction; outside agents write through the functions of
-- seed 004, which `log-execution` calls too. A task's id is the run's id when a run does it.
--
-- Order. `execution_logs.seq` comes from one sequence: nothing to count, no row everybody updates.
-- A viewer follows `seq > last` and may only trust that if a task's numbers commit in order, so a
-- writer holds the task while it takes numbers: the engine through its locked run, everybody else
-- through `private.lock_task_log`, which waits for the run and takes an advisory lock until commit.
-- Different tasks never wait for each other.
--
-- Once. A writer that may retry chooses the log's id; such ids are unique per owner (a partial
-- index, so rows without one, the engine's, do not pay for it). Every unique key starts with the
-- owner: nobody can squat on, or probe for, another person's ids.
--
-- Retention. Rows arrive in seq order, therefore the old ones are the left end of the primary key:
-- `delete_old_execution_logs` walks there, stops at the first page of young rows and locks only
-- what it deletes. Time partitions would drop faster, but Realtime's postgres_changes reports a
-- partition's rows under the partition's name, so the subscription of seed 004 would stay silent.
--
-- Safety. A record that its subject can rewrite is none: people read their rows and write through
-- functions. Messages are cut at 4 KiB, metadata at 8 KiB, and values that look like secrets are
-- redacted here as well, whoever calls. Nothing is refused for its size: a log line must never be
-- what fails a run.

-- text that is safe to keep ----------------------------------------------------------------------

create function private.redact_text(p_text text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  return pg_catalog.regexp_replace(pg_catalog.regexp_replace(p_text,
    '\meyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*'
    || '|-----BEGIN [A-Z ]{1,40}-----[^-"]*(?:-----END [A-Z ]{1,40}-----)?'
    || '|\msk-[A-Za-z0-9_-]{16,}|\m[spr]k_(?:live|test)_[A-Za-z0-9]{10,}'
    || '|\msb_secret_[A-Za-z0-9_-]{6,}|\mgh[pousr]_[A-Za-z0-9]{20,}'
    || '|\mgithub_pat_[A-Za-z0-9_]{20,}|\mya29\.[A-Za-z0-9_-]{10,}|\m1//[A-Za-z0-9_-]{20,}'
    || '|\mAIza[A-Za-z0-9_-]{30,}|\mA[KS]IA[A-Z0-9]{16}\M|\mxox[abposr]-[A-Za-z0-9-]{10,}'
    || '|\m(?:[Bb]earer|[Bb]asic)\s+[A-Za-z0-9._~+/=-]{12,}', '[redacted]', 'g'),
    '(\m[a-z][a-z0-9+.-]{1,20}://)[^\s/:@"]{1,200}:[^\s/@"]{1,200}@', '\1[redacted]@', 'g');
end $$;
comment on function private.redact_text(text) is
  'The text with everything shaped like a secret replaced (the shapes of functions-shared/observe/redact.ts).';

create function private.redact_keys(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  case pg_catalog.jsonb_typeof(p_value)
    when 'object' then
      return coalesce((select pg_catalog.jsonb_object_agg(e.key,
          case when e.key ~* '(pass(word|wd|phrase|code)|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|authorization|cookie|credentials?|(^|[-_.])(pass|jwt|cvv|cvc|ssn|pin|otp|iban|card[-_]?number))$'
              and pg_catalog.jsonb_typeof(e.value) not in ('null', 'boolean')
            then '"[redacted]"'::jsonb else private.redact_keys(e.value) end)
        from pg_catalog.jsonb_each(p_value) e), '{}');
    when 'array' then
      return coalesce((select pg_catalog.jsonb_agg(private.redact_keys(e.value) order by e.ordinality)
        from pg_catalog.jsonb_array_elements(p_value) with ordinality e), '[]');
    else
      return p_value;
  end case;
end $$;
comment on function private.redact_keys(jsonb) is 'JSON with the values of secret-looking keys replaced.';

create function private.redact_json(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_text text;
begin
  if p_value is null or p_value = '{}' then
    return p_value;
  end if;
  v_text := private.redact_text(p_value::text);
  -- most values have no such key: one look at the text spares the walk
  if v_text ~* '(pass(word|wd|phrase|code)?|secret|token|key|authorization|cookie|credentials?|jwt|cvv|cvc|ssn|pin|otp|iban|number)"\s*:' then
    return private.redact_keys(v_text::jsonb);
  end if;
  return v_text::jsonb;
end $$;
comment on function private.redact_json(jsonb) is 'JSON without secrets, by key name and by value shape.';

create function private.clip_text(p_text text, p_bytes integer) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_bytes bytea;
  v_cut integer := p_bytes - 15;
begin
  if pg_catalog.octet_length(p_text) <= p_bytes then
    return p_text;
  end if;
  v_bytes := pg_catalog.convert_to(p_text, 'UTF8');
  -- a byte 10xxxxxx continues a character: cut before the character, not inside it
  while pg_catalog.get_byte(v_bytes, v_cut) & 192 = 128 loop
    v_cut := v_cut - 1;
  end loop;
  return pg_catalog.convert_from(pg_catalog.substring(v_bytes, 1, v_cut), 'UTF8') || ' …[truncated]';
end $$;
comment on function private.clip_text(text, integer) is
  'The text, cut to p_bytes of UTF-8 between characters and marked when it is longer.';

create function private.clip_json(p_value jsonb, p_bytes integer) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  return case
    when p_value is null or p_value = 'null' then '{}'
    when pg_catalog.octet_length(p_value::text) > p_bytes then pg_catalog.jsonb_build_object(
      'truncated', true, 'bytes', pg_catalog.octet_length(p_value::text))
    when pg_catalog.jsonb_typeof(p_value) <> 'object' then pg_catalog.jsonb_build_object('value', p_value)
    else p_value end;
end $$;
comment on function private.clip_json(jsonb, integer) is
  'A JSON object; a larger one is replaced by {truncated, bytes}, another kind of value is wrapped.';

create function private.check_status_change() returns trigger
language plpgsql set search_path = '' as $$
begin
  if not coalesce(tg_argv[1]::jsonb -> old.status ? new.status, false) then
    raise exception using errcode = 'PT409', message = tg_argv[0] || '_transition_refused',
      detail = pg_catalog.format('A %s cannot go from %s to %s.',
        pg_catalog.replace(tg_argv[0], '_', ' '), old.status, new.status);
  end if;
  return new;
end $$;
comment on function private.check_status_change() is
  'Trigger(name, {from: [to, …]}): refuses status changes that are not listed, by name.';

create function private.ordered_uuid() returns uuid
language plpgsql volatile parallel safe set search_path = '' as $$
begin
  return pg_catalog.encode(pg_catalog.set_bit(pg_catalog.set_bit(pg_catalog.overlay(
    pg_catalog.uuid_send(pg_catalog.gen_random_uuid()),
    pg_catalog.substring(pg_catalog.int8send(
      (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint), 3),
    1, 6), 52, 1), 53, 1), 'hex')::uuid;
end $$;
comment on function private.ordered_uuid() is
  'A version 7 uuid (RFC 9562 §5.7): new keys land at the right edge of an index instead of all over it.';

-- execution_logs ---------------------------------------------------------------------------------

create table public.execution_logs (
  seq bigint generated always as identity primary key,
  created_at timestamptz not null default clock_timestamp(),
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  task_id uuid not null,
  is_keyed boolean not null default false,
  level text not null default 'info',
  agent_type text not null default 'worker',
  step text,
  message text not null,
  metadata jsonb not null default '{}'
);
-- PostgreSQL reads the text of a check anew for every statement that writes. What takes rows at every step
-- of every run has one check, and it is short: the whole row through one function.
create function private.fits(p_log public.execution_logs) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return p_log.level in ('info', 'success', 'error', 'warning')
    and length(p_log.agent_type) between 1 and 64 and coalesce(length(p_log.step) between 1 and 200, true)
    and octet_length(p_log.message) between 1 and 4096
    and jsonb_typeof(p_log.metadata) = 'object' and pg_column_size(p_log.metadata) <= 16384;
end $$;
comment on function private.fits(public.execution_logs) is
  'Whether a log line is within its limits: level info, success, error or warning; sizes.';
alter table public.execution_logs add constraint execution_logs_fits check (private.fits(execution_logs));
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

create index execution_logs_user_id_task_id_seq_idx on public.execution_logs (user_id, task_id, seq);
create index execution_logs_user_id_created_at_idx on public.execution_logs (user_id, created_at);
create unique index execution_logs_user_id_id_idx on public.execution_logs (user_id, id) where is_keyed;

alter table public.execution_logs enable row level security;
revoke all on public.execution_logs from public, anon, authenticated, service_role;
grant select on public.execution_logs to authenticated;
grant select, insert, delete on public.execution_logs to service_role;
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
  perform private.lock_task_log(new.task_id);
  new.seq := pg_catalog.nextval('public.execution_logs_seq_seq');
  new.message := private.clip_text(private.redact_text(new.message), 4096);
  new.metadata := private.clip_json(private.redact_json(new.metadata), 8192);
  return new;
end $$;
comment on function private.order_direct_log() is
  'Trigger: a row inserted straight through the Data API with the secret key keeps the same promises.';
create trigger execution_logs_order_direct before insert on public.execution_logs
  for each row when (current_user::text = 'service_role') execute function private.order_direct_log();

-- task_history -----------------------------------------------------------------------------------

create table public.task_history (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  execution_id uuid references public.workflow_executions (id) on delete set null,
  description text not null,
  services_used text[] not null default '{}',
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  status text not null default 'pending',
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz not null default now(),
  duration_ms bigint,
  output_links text[] not null default '{}',
  output_summary text,
  result jsonb,
  error_message text,
  primary key (user_id, id)
) with (fillfactor = 60);
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
alter table public.task_history add constraint task_history_fits check (private.fits(task_history));
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
grant select, insert, update, delete on public.task_history to service_role;
create policy task_history_select_own on public.task_history
  for select to authenticated using (user_id = (select auth.uid()));
create policy task_history_delete_own on public.task_history
  for delete to authenticated using (user_id = (select auth.uid()));

create trigger task_history_check_status before update of status on public.task_history
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('task', '{
    "pending": ["running", "waiting", "completed", "failed", "cancelled"],
    "running": ["waiting", "completed", "failed", "cancelled"],
    "waiting": ["running", "completed", "failed", "cancelled"],
    "failed": ["pending", "running"]}');
create trigger task_history_set_updated_at before update on public.task_history
  for each row execute function private.set_updated_at();

-- documents_generated ----------------------------------------------------------------------------

create table public.documents_generated (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  task_id uuid,
  document_type text not null check (document_type in
    ('doc', 'sheet', 'slide', 'form', 'email', 'calendar_event', 'file', 'other')),
  title text not null check (octet_length(title) between 1 and 1024),
  url text check (url ~ '^(https?://|mailto:)' and octet_length(url) <= 4096),
  service text check (length(service) between 1 and 64),
  external_id text check (length(external_id) between 1 and 512),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  primary key (user_id, id),
  foreign key (user_id, task_id) references public.task_history (user_id, id)
    on delete set null (task_id)
);
comment on table public.documents_generated is
  'Documents, sheets, emails and calendar events that tasks made, with links to them.';
comment on column public.documents_generated.url is 'Where to open it: https, http or mailto only.';
comment on column public.documents_generated.service is 'The service that holds it, e.g. google_docs, gmail.';
comment on column public.documents_generated.external_id is
  'Its id in that service; one row per (owner, type, external id).';

create index documents_generated_user_id_task_id_idx on public.documents_generated (user_id, task_id);
create index documents_generated_user_id_created_at_idx
  on public.documents_generated (user_id, created_at, id);
create index documents_generated_user_id_type_created_at_idx
  on public.documents_generated (user_id, document_type, created_at, id);
create unique index documents_generated_external_idx
  on public.documents_generated (user_id, document_type, external_id) where external_id is not null;

alter table public.documents_generated enable row level security;
revoke all on public.documents_generated from public, anon, authenticated;
grant select, delete on public.documents_generated to authenticated;
grant select, insert, update, delete on public.documents_generated to service_role;
create policy documents_generated_select_own on public.documents_generated
  for select to authenticated using (user_id = (select auth.uid()));
create policy documents_generated_delete_own on public.documents_generated
  for delete to authenticated using (user_id = (select auth.uid()));

-- tool_executions --------------------------------------------------------------------------------

create table public.tool_executions (
  id uuid not null default private.ordered_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
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
  created_at timestamptz not null default now(),
  primary key (user_id, id)
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
alter table public.tool_executions add constraint tool_executions_fits check (private.fits(tool_executions));
comment on table public.tool_executions is
  'One row per tool call of a run, a task or a project: which tool, how long, how it ended.';
comment on column public.tool_executions.run_id is 'The run that called the tool, if one did.';
comment on column public.tool_executions.task_id is 'The task, for outside agents; a run''s calls have run_id.';
comment on column public.tool_executions.duration_ms is 'From start to end, in milliseconds.';
comment on column public.tool_executions.attempt is 'Which try this is, from 1.';

create index tool_executions_user_id_created_at_idx on public.tool_executions (user_id, created_at);
-- for trim_record, which names the condition; a person's list would walk everybody's calls
create index tool_executions_created_at_idx on public.tool_executions (created_at) where created_at > '-infinity';
create index tool_executions_run_id_idx on public.tool_executions (run_id);
create index tool_executions_user_id_task_id_idx on public.tool_executions (user_id, task_id)
  where task_id is not null;

alter table public.tool_executions enable row level security;
revoke all on public.tool_executions from public, anon, authenticated;
grant select on public.tool_executions to authenticated;
grant select, insert, update, delete on public.tool_executions to service_role;
create policy tool_executions_select_own on public.tool_executions
  for select to authenticated using (user_id = (select auth.uid()));

create trigger tool_executions_check_status before update of status on public.tool_executions
  for each row when (old.status is distinct from new.status)
  execute function private.check_status_change('tool_execution', '{
    "pending": ["running", "completed", "failed", "cancelled"],
    "running": ["completed", "failed", "cancelled"],
    "failed": ["running"]}');

-- writing logs -----------------------------------------------------------------------------------

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
      (id, user_id, task_id, is_keyed, level, agent_type, step, message, metadata)
    select l.id, v_user, (l.log ->> 'task_id')::uuid, l.is_keyed,
      coalesce(l.log ->> 'level', 'info'), coalesce(l.log ->> 'agent_type', 'worker'),
      l.log ->> 'step', private.clip_text(private.redact_text(l.log ->> 'message'), 4096),
      private.clip_json(private.redact_json(l.log -> 'metadata'), 8192)
    from log l
    order by l.n
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

-- reading logs -----------------------------------------------------------------------------------

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
  p_after_seq bigint default null, p_limit integer default 100, p_user_id uuid default null
) returns setof public.execution_logs
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_cursor bigint := coalesce(p_after_seq, p_before_seq);
  v_at timestamptz;
  v_direction text := case when p_after_seq is null then 'desc' else 'asc' end;
  v_beyond text := case when v_cursor is null then 'true'
    when p_after_seq is null then 's.seq < $4' else 's.seq > $4' end;
begin
  if p_task_id is null and v_cursor is not null then
    select l.created_at into v_at from public.execution_logs l
    where l.user_id = v_user and l.seq = v_cursor;
    if found then
      v_beyond := case when p_after_seq is null then '(s.created_at, s.seq) < ($3, $4)'
        else '(s.created_at, s.seq) > ($3, $4)' end;
    end if;
  end if;
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
    case when p_task_id is null then 'true' else 's.task_id = $2' end, v_beyond,
    case when p_task_id is null then 's.created_at ' || v_direction || ', ' else '' end || 's.seq ' || v_direction,
    case when p_task_id is null then 'l.created_at ' || v_direction || ', ' else '' end || 'l.seq ' || v_direction)
  using v_user, p_task_id, v_at, v_cursor, coalesce(p_from, '-infinity'), coalesce(p_to, 'infinity'),
    p_level, p_agent_type, p_step, pg_catalog.lower(nullif(p_search, '')), private.page_size(p_limit);
end $$;
comment on function public.get_execution_logs_filtered(uuid, text, text, text, text, timestamptz, timestamptz, bigint, bigint, integer, uuid) is
  'Logs by task, level, agent type, step, words and time: newest first, the next page before the last seq of this one; or, with p_after_seq, oldest first after it. A page looks at 50,000 lines at most: narrow the time to look further.';

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
    v_deleted := 0;
    if (select f.created_at < v_before from public.execution_logs f order by f.seq limit 1) then
      delete from public.execution_logs l where l.seq = any (array(
        select o.seq from (
          select s.seq, s.created_at from public.execution_logs s order by s.seq limit v_limit
        ) o where o.created_at < v_before));
      get diagnostics v_deleted = row_count;
    end if;
    if v_deleted = 0 then
      -- imported lines may stand further right: one look per owner at their oldest, nothing else
      delete from public.execution_logs l where l.seq = any (array(
        with recursive owner as (
          (select f.user_id, f.created_at from public.execution_logs f
            order by f.user_id, f.created_at limit 1)
          union all
          select n.user_id, n.created_at from owner o cross join lateral (
            select f.user_id, f.created_at from public.execution_logs f
            where f.user_id > o.user_id order by f.user_id, f.created_at limit 1) n
        )
        select s.seq from owner o cross join lateral (
          select f.seq from public.execution_logs f
          where f.user_id = o.user_id and f.created_at < v_before
          order by f.created_at limit v_limit) s
        where o.created_at < v_before limit v_limit));
      get diagnostics v_deleted = row_count;
    end if;
  else
    delete from public.execution_logs l where l.seq = any (array(
      select s.seq from public.execution_logs s
      where s.user_id = v_user and s.created_at < v_before
      order by s.created_at, s.seq limit v_limit));
    get diagnostics v_deleted = row_count;
  end if;
  return v_deleted;
end $$;
comment on function private.delete_old_execution_logs(uuid, integer, integer) is
  'Deletes the oldest logs from the left end of an index; never reads or locks a young row beyond the first page. '
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

-- statistics: shared -------------------------------------------------------------------------------

create function private.check_period(p_period text, p_from timestamptz, p_to timestamptz) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_period is null or p_period not in ('hour', 'day', 'week', 'month', 'all') then
    raise exception using errcode = 'PT422', message = 'invalid_period', hint = '/period',
      detail = 'period is hour, day, week, month or all.';
  elsif p_from is null or p_to is null or p_to <= p_from or p_to - p_from > interval '366 days' then
    raise exception using errcode = 'PT422', message = 'invalid_range', hint = '/from',
      detail = 'from lies before to, by at most 366 days.';
  end if;
end $$;
comment on function private.check_period(text, timestamptz, timestamptz) is
  'Refuses a period or range that statistics cannot answer.';

create function private.period_of(p_at timestamptz, p_period text, p_from timestamptz)
returns timestamptz
language sql immutable parallel safe set search_path = '' as $$
  select case when p_period = 'all' then p_from else pg_catalog.date_trunc(p_period, p_at, 'UTC') end
$$;
comment on function private.period_of(timestamptz, text, timestamptz) is
  'Start of the period a moment falls in, in UTC; for all, the start of the range.';

-- task_history -------------------------------------------------------------------------------------

create function private.insert_task_history(
  p_user_id uuid, p_description text, p_task_id uuid, p_status text, p_services_used text[],
  p_execution_id uuid, p_metadata jsonb
) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_id uuid := coalesce(p_task_id, pg_catalog.gen_random_uuid());
begin
  if coalesce(p_description, '') = '' then
    raise exception using errcode = 'PT422', message = 'invalid_description', hint = '/description',
      detail = 'description says what was asked for.';
  end if;
  perform private.check_task_status(p_status);
  if p_execution_id is not null and not exists (select 1 from public.workflow_executions w
      where w.id = p_execution_id and w.user_id = v_user) then
    raise exception using errcode = 'PT404', message = 'run_not_found', hint = '/execution_id',
      detail = 'There is no such run.';
  end if;
  insert into public.task_history as t (id, user_id, execution_id, description, status,
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
    result = coalesce(private.redact_json(p_result), t.result),
    output_links = coalesce(p_output_links, t.output_links),
    services_used = case when p_services_used is null then t.services_used else array(
      select distinct s from pg_catalog.unnest(t.services_used || p_services_used) s order by s) end,
    error_message = coalesce(private.clip_text(private.redact_text(p_error_message), 4096), t.error_message),
    duration_ms = coalesce(p_duration_ms, t.duration_ms,
      case when p_status in ('completed', 'failed', 'cancelled') then
        (extract(epoch from v_now - coalesce(t.started_at, t.created_at)) * 1000)::bigint end)
  where t.user_id = v_user and t.id = p_task_id
  returning t.* into v_row;
  if not found then
    raise exception using errcode = 'PT404', message = 'task_not_found',
      detail = 'There is no such task.';
  end if;
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

-- documents_generated ------------------------------------------------------------------------------

create function private.document_type(p_type text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_type text := case pg_catalog.regexp_replace(pg_catalog.lower(p_type), '^(google|workspace)[-_ ]?', '')
    when 'doc' then 'doc' when 'docs' then 'doc' when 'document' then 'doc'
    when 'sheet' then 'sheet' when 'sheets' then 'sheet' when 'spreadsheet' then 'sheet'
    when 'slide' then 'slide' when 'slides' then 'slide' when 'presentation' then 'slide'
    when 'form' then 'form' when 'forms' then 'form'
    when 'email' then 'email' when 'gmail' then 'email' when 'mail' then 'email'
    when 'calendar_event' then 'calendar_event' when 'calendar' then 'calendar_event'
    when 'event' then 'calendar_event'
    when 'file' then 'file' when 'drive' then 'file'
    when 'other' then 'other' end;
begin
  if v_type is null then
    raise exception using errcode = 'PT422', message = 'invalid_document_type',
      hint = '/document_type',
      detail = 'document_type is doc, sheet, slide, form, email, calendar_event, file or other.';
  end if;
  return v_type;
end $$;
comment on function private.document_type(text) is
  'The stored name of a document type; google_doc, spreadsheet, calendar and their like are understood.';

create function private.insert_documents(p_user_id uuid, p_documents jsonb, p_task_id uuid)
returns setof public.documents_generated
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  if pg_catalog.jsonb_typeof(p_documents) is distinct from 'array'
    or pg_catalog.jsonb_array_length(p_documents) not between 1 and 200 then
    raise exception using errcode = 'PT422', message = 'invalid_documents', hint = '/documents',
      detail = 'documents is an array of 1 to 200 documents.';
  end if;
  if exists (select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where coalesce(d.value ->> 'title', '') = '') then
    raise exception using errcode = 'PT422', message = 'invalid_title', hint = '/title',
      detail = 'A document has a title.';
  end if;
  if exists (select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where d.value ->> 'url' !~ '^(https?://|mailto:)') then
    raise exception using errcode = 'PT422', message = 'invalid_url', hint = '/url',
      detail = 'A document''s url starts with https://, http:// or mailto:.';
  end if;
  if exists (
    select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where coalesce((d.value ->> 'task_id')::uuid, p_task_id) is not null and not exists (
      select 1 from public.task_history t where t.user_id = v_user
        and t.id = coalesce((d.value ->> 'task_id')::uuid, p_task_id))) then
    raise exception using errcode = 'PT404', message = 'task_not_found', hint = '/task_id',
      detail = 'There is no such task.';
  end if;
  return query
    with given as materialized (
      select d.ordinality as n, coalesce((d.value ->> 'id')::uuid, pg_catalog.gen_random_uuid()) as id,
        coalesce((d.value ->> 'task_id')::uuid, p_task_id) as task_id,
        private.document_type(d.value ->> 'document_type') as document_type,
        d.value ->> 'external_id' as external_id, d.value as document
      from pg_catalog.jsonb_array_elements(p_documents) with ordinality d
    ), landed as (
      insert into public.documents_generated as t (id, user_id, task_id, document_type, title, url,
        service, external_id, metadata)
      select g.id, v_user, g.task_id, g.document_type,
        private.clip_text(private.redact_text(g.document ->> 'title'), 1024),
        private.redact_text(g.document ->> 'url'), g.document ->> 'service', g.external_id,
        private.clip_json(private.redact_json(g.document -> 'metadata'), 8192)
      from given g order by g.n
      on conflict do nothing
      returning t as row
    )
    select (r.row).* from (
      select distinct on (g.n) g.n, coalesce(l.row, o) as row
      from given g
      left join landed l on (l.row).id = g.id
        or ((l.row).document_type = g.document_type and (l.row).external_id = g.external_id)
      left join public.documents_generated o on o.user_id = v_user
        and (o.id = g.id or (o.document_type = g.document_type and o.external_id = g.external_id))
      order by g.n, o.id = g.id desc
    ) r
    order by r.n;
end $$;
comment on function private.insert_documents(uuid, jsonb, uuid) is
  'Stores a batch of documents in one statement, each id and each external id once, and returns their rows. '
  'Definer: the record is not a table that people write.';

create function public.batch_insert_generated_documents(
  p_documents jsonb, p_task_id uuid default null, p_user_id uuid default null
) returns setof public.documents_generated
language sql set search_path = '' as $$
  select * from private.insert_documents(p_user_id, p_documents, p_task_id)
$$;
comment on function public.batch_insert_generated_documents(jsonb, uuid, uuid) is
  'Adds 1 to 200 documents {document_type, title, url?, service?, external_id?, metadata?, task_id?, id?} in one statement and returns one row for each, in order; repeats return the row that exists.';

create function public.insert_generated_document(
  p_document_type text, p_title text, p_url text default null, p_task_id uuid default null,
  p_service text default null, p_external_id text default null, p_metadata jsonb default '{}',
  p_id uuid default null, p_user_id uuid default null
) returns uuid
language sql set search_path = '' as $$
  select d.id from private.insert_documents(p_user_id, pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_object('document_type', p_document_type, 'title', p_title, 'url', p_url,
      'service', p_service, 'external_id', p_external_id, 'metadata', p_metadata, 'id', p_id)),
    p_task_id) d limit 1
$$;
comment on function public.insert_generated_document(text, text, text, uuid, text, text, jsonb, uuid, uuid) is
  'Records one document and returns its id; the same p_id or external id again returns the first.';

create function public.get_documents_by_task(
  p_task_id uuid, p_before timestamptz default null, p_before_id uuid default null,
  p_limit integer default 100, p_user_id uuid default null
) returns setof public.documents_generated
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.documents_generated c
    where c.user_id = v_user and c.id = p_before_id), p_before);
begin
  return query select d.* from public.documents_generated d
    where d.user_id = v_user and d.task_id = p_task_id
      and (v_before is null or (d.created_at, d.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
    order by d.created_at desc, d.id desc limit private.page_size(p_limit);
end $$;
comment on function public.get_documents_by_task(uuid, timestamptz, uuid, integer, uuid) is
  'Documents of a task, newest first; the next page starts before the last row''s (created_at, id).';

create function public.get_documents_by_type(
  p_document_type text, p_from timestamptz default null, p_to timestamptz default null,
  p_before timestamptz default null, p_before_id uuid default null, p_limit integer default 100,
  p_user_id uuid default null
) returns setof public.documents_generated
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_type text := private.document_type(p_document_type);
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.documents_generated c
    where c.user_id = v_user and c.id = p_before_id), p_before);
begin
  return query select d.* from public.documents_generated d
    where d.user_id = v_user and d.document_type = v_type
      and d.created_at >= coalesce(p_from, '-infinity') and d.created_at < coalesce(p_to, 'infinity')
      and (v_before is null or (d.created_at, d.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
    order by d.created_at desc, d.id desc limit private.page_size(p_limit);
end $$;
comment on function public.get_documents_by_type(text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid) is
  'Documents of one type, newest first; the next page starts before the last row''s (created_at, id).';

create function public.get_document_statistics(
  p_from timestamptz default now() - interval '30 days', p_to timestamptz default now(),
  p_period text default 'all', p_user_id uuid default null
) returns table (period_start timestamptz, document_type text, total bigint, tasks bigint,
  last_at timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  perform private.check_period(p_period, p_from, p_to);
  return query
    select private.period_of(d.created_at, p_period, p_from), d.document_type, count(*),
      count(distinct d.task_id), max(d.created_at)
    from public.documents_generated d
    where d.user_id = v_user and d.created_at >= p_from and d.created_at < p_to
    group by 1, 2 order by 1 desc, 3 desc limit 1000;
end $$;
comment on function public.get_document_statistics(timestamptz, timestamptz, text, uuid) is
  'Documents and their tasks per period (hour, day, week, month, all) and type; at most 366 days.';

-- tool executions ----------------------------------------------------------------------------------

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
  if p_run_id is not null and not exists (select 1 from public.workflow_executions w
      where w.id = p_run_id and w.user_id = v_user) then
    raise exception using errcode = 'PT404', message = 'run_not_found', hint = '/run_id',
      detail = 'There is no such run.';
  end if;
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

-- following ----------------------------------------------------------------------------------------

create function public.mira_follow_execution_logs(p_watches jsonb, p_limit integer default 500)
returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
    'task_id', w.task_id, 'user_id', w.user_id, 'status', t.status,
    'logs', coalesce(l.logs, '[]')) order by w.n), '[]')
  from rows from (pg_catalog.jsonb_to_recordset(p_watches) as (user_id uuid, task_id uuid, after bigint))
    with ordinality as w (user_id, task_id, after, n)
  left join public.task_history t on t.user_id = w.user_id and t.id = w.task_id
  cross join lateral (
    select pg_catalog.jsonb_agg(pg_catalog.to_jsonb(e) - 'user_id' - 'is_keyed' order by e.seq) as logs
    from (
      select * from public.execution_logs x
      where x.user_id = w.user_id and x.task_id = w.task_id and x.seq > coalesce(w.after, 0)
      order by x.seq limit least(greatest(p_limit, 1), 1000)
    ) e
  ) l
$$;
comment on function public.mira_follow_execution_logs(jsonb, integer) is
  'Server only (log-execution). For each watch {user_id, task_id, after}: the task''s status and its next logs in order. One call serves every viewer of a process.';

-- live -------------------------------------------------------------------------------------------

create function private.broadcast_execution_logs() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform realtime.send(
    pg_catalog.jsonb_build_object('logs', pg_catalog.jsonb_agg(b.log order by b.seq)),
    'execution_logs', 'user:' || b.user_id::text || ':executions', true)
  from (
    select n.user_id, n.seq, pg_catalog.to_jsonb(n) - 'user_id' - 'is_keyed' as log,
      (row_number() over (partition by n.user_id order by n.seq) - 1) / 50 as message
    from written n
  ) b
  group by b.user_id, b.message
  order by min(b.seq);
  return null;
end $$;
comment on function private.broadcast_execution_logs() is
  'Trigger: tells the owner''s private topic user:<id>:executions what was written, at most 50 lines a message.';

do $$
begin
  -- only Supabase's own Realtime has these; elsewhere nobody pays for a trigger without a listener
  if to_regprocedure('realtime.send(jsonb,text,text,boolean)') is not null then
    create trigger execution_logs_broadcast after insert on public.execution_logs
      referencing new table as written for each statement
      execute function private.broadcast_execution_logs();
  end if;
  if to_regclass('realtime.messages') is not null and to_regprocedure('realtime.topic()') is not null then
    create policy execution_logs_broadcast_select_own on realtime.messages
      for select to authenticated
      using (realtime.topic() = 'user:' || (select auth.uid())::text || ':executions');
  end if;
  if exists (select 1 from pg_publication where pubname = 'supabase_realtime' and not puballtables)
    and not exists (select 1 from pg_publication_tables where pubname = 'supabase_realtime'
      and schemaname = 'public' and tablename = 'execution_logs') then
    alter publication supabase_realtime add table public.execution_logs;
  end if;
end $$;

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  redact_text,redact_keys,redact_json,clip_text,clip_json,check_status_change,ordered_uuid,lock_task_log,
  order_direct_log,write_execution_logs,check_log,delete_old_execution_logs,check_period,period_of,
  insert_task_history,check_task_status,update_task_history_status,document_type,insert_documents,
  start_tool_execution,finish_tool_execution,broadcast_execution_logs,fits,insert_execution_log,
  insert_execution_logs,get_execution_logs_by_task,get_execution_logs_filtered,get_execution_log_statistics,
  get_task_history_filtered,get_recent_task_history,get_task_statistics,batch_insert_generated_documents,
  insert_generated_document,get_documents_by_task,get_documents_by_type,get_document_statistics,
  get_tool_statistics,mira_follow_execution_logs}');
grant execute on function
  private.write_execution_logs(uuid, jsonb), private.delete_old_execution_logs(uuid, integer, integer),
  private.insert_task_history(uuid, text, uuid, text, text[], uuid, jsonb),
  private.update_task_history_status(uuid, uuid, text, text, jsonb, text[], text[], text, bigint),
  private.insert_documents(uuid, jsonb, uuid),
  private.start_tool_execution(uuid, text, uuid, uuid, uuid, text, jsonb, uuid),
  private.finish_tool_execution(uuid, uuid, text, jsonb, text, bigint),
  private.check_period(text, timestamptz, timestamptz),
  private.period_of(timestamptz, text, timestamptz), private.document_type(text),
  private.ordered_uuid(), private.redact_text(text), private.redact_json(jsonb), private.redact_keys(jsonb),
  private.clip_text(text, integer), private.clip_json(jsonb, integer),
  private.fits(public.execution_logs), private.fits(public.task_history), private.fits(public.tool_executions),
  public.insert_execution_log(uuid, text, text, text, text, jsonb, uuid, uuid),
  public.insert_execution_logs(jsonb, uuid),
  public.get_execution_logs_by_task(uuid, bigint, integer, uuid),
  public.get_execution_logs_filtered(uuid, text, text, text, text, timestamptz, timestamptz, bigint, bigint, integer, uuid),
  public.delete_old_execution_logs(integer, integer, uuid),
  public.get_execution_log_statistics(timestamptz, timestamptz, text, uuid),
  public.insert_task_history(text, uuid, text, text[], uuid, jsonb, uuid),
  public.update_task_history_status(uuid, text, text, jsonb, text[], text[], text, bigint, uuid),
  public.get_task_history_filtered(text, text, text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid),
  public.get_recent_task_history(integer, uuid),
  public.get_task_statistics(timestamptz, timestamptz, text, uuid),
  public.batch_insert_generated_documents(jsonb, uuid, uuid),
  public.insert_generated_document(text, text, text, uuid, text, text, jsonb, uuid, uuid),
  public.get_documents_by_task(uuid, timestamptz, uuid, integer, uuid),
  public.get_documents_by_type(text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid),
  public.get_document_statistics(timestamptz, timestamptz, text, uuid),
  public.start_tool_execution(text, uuid, uuid, uuid, text, jsonb, uuid, uuid),
  public.finish_tool_execution(uuid, text, jsonb, text, bigint, uuid),
  public.get_tool_statistics(timestamptz, timestamptz, text, uuid)
  to authenticated;
