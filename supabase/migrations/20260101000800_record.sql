-- The record of what agents did, its common part: text that is safe to keep, ordered keys, periods.
--
-- Four tables follow, a file each. `execution_logs` is the running commentary of a task, `task_history`
-- one row per task, `documents_generated` what tasks left behind, `tool_executions` one row per tool
-- call. The engine writes them inside a step's own transaction; outside agents write through the
-- functions of seed 004, which `log-execution` calls too. A task's id is the run's id when a run does it.
--
-- Safety. A record that its subject can rewrite is none: people read their rows and write through
-- functions. Messages are cut at 4 KiB, metadata at 8 KiB, and values that look like secrets are
-- redacted here as well, whoever calls. Nothing is refused for its size: a log line must never be
-- what fails a run.

-- text that is safe to keep ------------------------------------------------------------------------

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

-- What takes rows at every step of every run has no foreign key to the account: PostgreSQL would look it up and
-- write a row lock on it into the log for each step. The same is promised otherwise.
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

create function private.check_direct_record() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_fits boolean;
begin
  execute pg_catalog.format('select private.fits($1::%s)', tg_relid::pg_catalog.regclass) into v_fits using new;
  perform private.demand_fit(v_fits, tg_table_name);
  perform private.hold_account(new.user_id);
  return null;
end $$;
comment on function private.check_direct_record() is
  'Trigger: what the secret key writes straight into a table fits, and names an account that exists. '
  'Definer: reads auth.users.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  redact_text,redact_keys,redact_json,clip_text,clip_json,check_status_change,ordered_uuid,check_period,
  period_of,hold_account,hold_run,demand_fit,check_direct_record}');
grant execute on function
  private.check_period(text, timestamptz, timestamptz),
  private.period_of(timestamptz, text, timestamptz),
  private.ordered_uuid(),
  private.redact_text(text),
  private.redact_json(jsonb),
  private.redact_keys(jsonb),
  private.clip_text(text, integer),
  private.clip_json(jsonb, integer)
  to authenticated;
