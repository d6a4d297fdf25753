-- Platform, the schedule: what runs by the clock. pg_cron, pg_net and Vault are used where they exist; the
-- embedded stack ticks by itself and calls the same functions.

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
  ('mira-cells', '* * * * *', null, 'select private.tend_recall_cells(1000, 2000)'),
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

select private.open_to_server('{call_function,remove_schedule,install_schedule}');

select private.install_schedule();
