-- The record of what agents did, its common part: ordered keys, periods, whose record it is.
--
-- Redaction follows, then four tables, a file each. `execution_logs` is the running commentary of a task,
-- `task_history` one row per task, `documents_generated` what tasks left behind, `tool_executions` one row
-- per tool call. The engine writes them inside a step's own transaction; outside agents write through the
-- functions of seed 004, which `log-execution` calls too. A task's id is the run's id when a run does it.
--
-- Safety. A record that its subject can rewrite is none: people read their rows and write through
-- functions. Messages are cut at 4 KiB, metadata at 8 KiB, and values that look like secrets are
-- redacted here as well, whoever calls. Nothing is refused for its size: a log line must never be
-- what fails a run.

-- ordered keys and moves --------------------------------------------------------------------------

create function private.check_status_change(p_what text, p_old text, p_new text, p_moves jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_new is distinct from p_old and not coalesce(p_moves -> p_old ? p_new, false) then
    raise exception using errcode = 'PT409', message = p_what || '_transition_refused',
      detail = pg_catalog.format('A %s cannot go from %s to %s.', pg_catalog.replace(p_what, '_', ' '), p_old, p_new);
  end if;
end $$;
comment on function private.check_status_change(text, text, text, jsonb) is
  'Refuses a change of status that the moves {from: [to, …]} do not list. Errors: PT409 <what>_transition_refused.';

create function private.check_status_change() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform private.check_status_change(tg_argv[0], old.status, new.status, tg_argv[1]::jsonb);
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

-- periods of statistics ----------------------------------------------------------------------------

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

-- whose record it is -------------------------------------------------------------------------------

-- What takes rows at every step or start of a run has no foreign key to the account: PostgreSQL would look it up
-- and write a row lock on it into the log each time. The same is promised otherwise.
-- Whoever writes holds the account: the engine by the ledger row that it writes or the run that it has locked,
-- everybody else by `private.hold_account`. An account that is deleted waits for them and then takes the rows
-- along (`private.delete_with_account`).

create function private.hold_account(p_user_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform from auth.users u where u.id = p_user_id for key share;
  if not found then
    raise exception using errcode = 'foreign_key_violation', message = 'user_not_found',
      detail = 'There is no such account.';
  end if;
end $$;
comment on function private.hold_account(uuid) is
  'Until commit the account cannot be deleted: for whoever writes rows of it that have no foreign key. '
  'Errors: foreign_key_violation. Definer: reads auth.users.';

create function private.hold_run(p_user_id uuid, p_run_id uuid, p_pointer text) returns void
language plpgsql set search_path = '' as $$
begin
  perform from public.workflow_executions w where w.id = p_run_id and w.user_id = p_user_id for key share;
  if p_run_id is not null and not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', hint = p_pointer, detail = 'There is no such run.';
  end if;
end $$;
comment on function private.hold_run(uuid, uuid, text) is
  'Until commit the run, if one is named, cannot be deleted, and is the person''s own. Errors: PT404 run_not_found with the pointer.';

-- A check constraint would be read and prepared anew for every statement that writes, at every step of every run.
-- The engine writes nothing that does not fit; everybody else comes through here.
create function private.demand_fit(p_fits boolean, p_table text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if p_fits is not true then
    raise exception using errcode = 'check_violation', constraint = p_table || '_fits', message = p_table || '_fits',
      detail = 'A value is of no kind that is known, or too large.';
  end if;
end $$;
comment on function private.demand_fit(boolean, text) is
  'Refuses a row of the record that is beyond its limits (private.fits). Errors: check_violation.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  check_status_change,ordered_uuid,check_period,period_of,hold_account,hold_run,demand_fit}');
grant execute on function
  private.check_period(text, timestamptz, timestamptz),
  private.period_of(timestamptz, text, timestamptz),
  private.ordered_uuid(), private.check_status_change(text, text, text, jsonb)
  to authenticated;
