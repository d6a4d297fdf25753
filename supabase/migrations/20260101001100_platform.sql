-- Platform: what keeps the service honest while it runs.
--
-- Rate limits and idempotency keys live here because an isolate forgets everything when it is
-- retired: memory that decides must be in SQL, on the database's clock, and one statement a
-- decision so that no two requests can both be the last one allowed.
--
-- Rate limits follow the generic cell rate algorithm (ITU-T I.371, annex A): one row per subject
-- and action holds the theoretical arrival time of the next call. The table is unlogged: after a
-- crash everybody starts afresh, which costs nothing, and no call pays for write-ahead log.
--
-- Retention and the scheduler stand at the end. pg_cron, pg_net and Vault are used where they
-- exist; the embedded stack ticks by itself and calls the same functions.

-- rate limits ------------------------------------------------------------------------------------

create unlogged table private.rate_limits (
  subject text not null,
  action text not null,
  arrives_at timestamptz not null,
  primary key (subject, action)
);
comment on table private.rate_limits is
  'Generic cell rate algorithm: one row per subject and action. Unlogged: a crash forgives everybody.';
comment on column private.rate_limits.arrives_at is
  'Theoretical arrival time of the next call; at most one window ahead of now.';
create index rate_limits_arrives_at_idx on private.rate_limits (arrives_at);

alter table private.rate_limits enable row level security;
revoke all on private.rate_limits from public, anon, authenticated;
grant select, insert, update, delete on private.rate_limits to service_role;
create policy rate_limits_all_service on private.rate_limits
  for all to service_role using (true) with check (true);

create function private.take_rate_limit(
  p_subject text, p_action text, p_limit integer, p_window_seconds integer, p_cost integer default 1
) returns integer
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := pg_catalog.clock_timestamp();
  v_window interval := pg_catalog.make_interval(secs => p_window_seconds);
  v_step interval := pg_catalog.make_interval(secs => p_window_seconds::float8 * p_cost / p_limit);
  v_arrives timestamptz;
begin
  insert into private.rate_limits as r (subject, action, arrives_at)
  values (p_subject, p_action, v_now + v_step)
  on conflict (subject, action) do update
    set arrives_at = greatest(r.arrives_at, v_now) + v_step
    where greatest(r.arrives_at, v_now) + v_step <= v_now + v_window;
  if found then
    return 0;
  end if;
  select r.arrives_at into v_arrives from private.rate_limits r
  where r.subject = p_subject and r.action = p_action;
  return greatest(1, pg_catalog.ceil(extract(epoch from
    coalesce(v_arrives, v_now) + v_step - v_window - v_now)))::integer;
end $$;
comment on function private.take_rate_limit(text, text, integer, integer, integer) is
  'Takes p_cost of p_limit calls per window; 0 when allowed, else seconds to wait. One statement.';

create function public.mira_take_rate_limit(
  p_subject text, p_action text, p_limit integer, p_window_seconds integer, p_cost integer default 1
) returns integer
language sql set search_path = '' as $$
  select private.take_rate_limit(p_subject, p_action, p_limit, p_window_seconds, p_cost)
$$;
comment on function public.mira_take_rate_limit(text, text, integer, integer, integer) is
  'Server only. As private.take_rate_limit: 0 when allowed, else seconds to wait.';

-- idempotency keys -------------------------------------------------------------------------------

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

revoke all on function
  private.take_rate_limit(text, text, integer, integer, integer),
  private.claim_idempotency_key(text, text, text, text),
  private.settle_idempotency_key(text, text, text, integer, text, text),
  public.mira_take_rate_limit(text, text, integer, integer, integer),
  public.mira_claim_idempotency_key(text, text, text, text),
  public.mira_settle_idempotency_key(text, text, text, integer, text, text)
  from public, anon, authenticated;
grant execute on function
  private.take_rate_limit(text, text, integer, integer, integer),
  private.claim_idempotency_key(text, text, text, text),
  private.settle_idempotency_key(text, text, text, integer, text, text),
  public.mira_take_rate_limit(text, text, integer, integer, integer),
  public.mira_claim_idempotency_key(text, text, text, text),
  public.mira_settle_idempotency_key(text, text, text, integer, text, text)
  to service_role;

-- retention --------------------------------------------------------------------------------------

create table private.retention_rules (
  table_name text primary key,
  time_column text not null,
  keep interval,
  condition text not null default 'true'
);
comment on table private.retention_rules is
  'How long rows of a table are kept. Change keep to suit; null keeps for ever.';
comment on column private.retention_rules.keep is 'Age after which a row may go; null keeps for ever.';
comment on column private.retention_rules.condition is 'SQL condition a row must also meet to go.';

alter table private.retention_rules enable row level security;
revoke all on private.retention_rules from public, anon, authenticated;
grant select, insert, update, delete on private.retention_rules to service_role;
create policy retention_rules_all_service on private.retention_rules
  for all to service_role using (true) with check (true);

insert into private.retention_rules (table_name, time_column, keep) values
  ('private.rate_limits', 'arrives_at', interval '1 hour'),
  ('private.idempotency_keys', 'created_at', interval '48 hours'),
  ('private.vault_audit', 'at', interval '400 days'),
  ('public.mira_behavioral_events', 'created_at', interval '400 days');

create function private.run_retention(p_batch integer default 5000, p_max_batches integer default 200)
returns table (table_name text, deleted bigint)
language plpgsql security definer set search_path = '' as $$
declare
  v_rule private.retention_rules;
  v_count bigint;
begin
  for v_rule in select * from private.retention_rules r where r.keep is not null order by r.table_name loop
    continue when pg_catalog.to_regclass(v_rule.table_name) is null;
    table_name := v_rule.table_name;
    deleted := 0;
    for i in 1 .. p_max_batches loop
      -- by physical address and skip locked: never waits for, nor scans, the live part twice;
      -- '-infinity' is the condition of indexes that are for retention alone
      execute pg_catalog.format(
        'delete from %1$s where ctid = any (array(select ctid from %1$s where %2$I > ''-infinity'' and %2$I < now() - $1 and (%3$s) limit $2 for update skip locked))',
        v_rule.table_name::pg_catalog.regclass, v_rule.time_column, v_rule.condition)
      using v_rule.keep, p_batch;
      get diagnostics v_count = row_count;
      deleted := deleted + v_count;
      exit when v_count < p_batch;
    end loop;
    return next;
  end loop;
end $$;
comment on function private.run_retention(integer, integer) is
  'Deletes what the retention rules let go, in batches. Definer: the scheduler owns no table. Server only.';

-- schedule ---------------------------------------------------------------------------------------

create table private.scheduled_jobs (
  name text primary key,
  schedule text not null,
  path text,
  command text,
  is_enabled boolean not null default true,
  constraint scheduled_jobs_does_one_thing_check check (num_nonnulls(path, command) = 1)
);
comment on table private.scheduled_jobs is
  'What runs by the clock: pg_cron jobs are made from it, and the embedded stack follows it directly.';
comment on column private.scheduled_jobs.schedule is 'Five-field cron expression in UTC, or "<n> seconds".';
comment on column private.scheduled_jobs.path is 'Function route to POST {} to, with the secret key named cron.';
comment on column private.scheduled_jobs.command is 'SQL to run instead.';

alter table private.scheduled_jobs enable row level security;
revoke all on private.scheduled_jobs from public, anon, authenticated;
grant select, insert, update, delete on private.scheduled_jobs to service_role;
create policy scheduled_jobs_all_service on private.scheduled_jobs
  for all to service_role using (true) with check (true);

insert into private.scheduled_jobs (name, schedule, path, command) values
  ('mira-learn', '* * * * *', '/learn-patterns', null),
  ('mira-work', '10 seconds', '/run-workflow/work', null),
  ('mira-embed', '* * * * *', '/find-patterns/embed', null),
  ('mira-recall', '* * * * *', null, 'select private.tidy_recall()'),
  ('mira-cells', '* * * * *', null, 'select private.tend_recall_cells(5000, 2000)'),
  ('mira-record', '*/10 * * * *', null, 'select private.trim_record()'),
  ('mira-runs', '29 * * * *', null, 'select private.purge_runs()'),
  ('mira-retention', '17 3 * * *', null, 'select private.run_retention()');

create function private.call_function(p_path text) returns bigint
language plpgsql security definer set search_path = '' as $$
declare
  v_url text;
  v_key text;
  v_request bigint;
begin
  execute 'select decrypted_secret from vault.decrypted_secrets where name = ''mira_api_url''' into v_url;
  execute 'select decrypted_secret from vault.decrypted_secrets where name = ''mira_cron_key''' into v_key;
  if v_url is null or v_key is null then
    raise exception using errcode = 'PT503', message = 'schedule_not_configured',
      detail = 'Store the secrets mira_api_url and mira_cron_key in Vault.';
  end if;
  execute 'select net.http_post(url := $1, body := ''{}'', headers := $2, timeout_milliseconds := 150000)'
  into v_request
  using v_url || '/functions/v1' || p_path,
    pg_catalog.jsonb_build_object('apikey', v_key, 'content-type', 'application/json');
  return v_request;
end $$;
comment on function private.call_function(text) is
  'POSTs {} to a function with the cron key from Vault, by pg_net. Definer: reads Vault. Server only.';

create function private.remove_schedule() returns void
language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    return; -- the embedded stack, or a project that ticks from outside
  end if;
  -- other databases of the server keep their jobs in the same table, and other people use the prefix;
  -- a job that is no longer on the list is known by what it calls
  execute 'select cron.unschedule(j.jobid) from cron.job j where j.database = current_database()
    and (j.jobname in (select s.name from private.scheduled_jobs s)
      or j.jobname like ''mira-%'' and j.command like ''select private.%'')';
end $$;
comment on function private.remove_schedule() is
  'Takes away the pg_cron jobs that private.install_schedule made, and no others. Definer: owns the jobs.';

create function private.install_schedule() returns table (job text, schedule text)
language plpgsql security definer set search_path = '' as $$
declare
  v_job private.scheduled_jobs;
begin
  if not exists (select from pg_catalog.pg_extension e where e.extname = 'pg_cron') then
    return;
  end if;
  perform private.remove_schedule();
  for v_job in select * from private.scheduled_jobs s where s.is_enabled order by s.name loop
    execute 'select cron.schedule($1, $2, $3)' using v_job.name, v_job.schedule,
      coalesce(v_job.command, pg_catalog.format('select private.call_function(%L)', v_job.path));
    job := v_job.name;
    schedule := v_job.schedule;
    return next;
  end loop;
end $$;
comment on function private.install_schedule() is
  'Makes pg_cron jobs from private.scheduled_jobs; nothing where pg_cron is missing. Run again after a change. Definer: owns the jobs.';

revoke all on function private.run_retention(integer, integer), private.call_function(text),
  private.remove_schedule(), private.install_schedule() from public, anon, authenticated;
grant execute on function private.run_retention(integer, integer), private.call_function(text),
  private.remove_schedule(), private.install_schedule() to service_role;

select private.install_schedule();
