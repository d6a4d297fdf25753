-- Platform: what keeps the service honest while it runs. Rate limits here, idempotency keys, retention and the
-- schedule in the files that follow.
--
-- Rate limits and idempotency keys live in SQL because an isolate forgets everything when it is
-- retired: memory that decides must be on the database's clock, and one statement a decision, so that
-- no two requests can both be the last one allowed.
--
-- Rate limits follow the generic cell rate algorithm (ITU-T I.371, annex A): one row per subject
-- and action holds the theoretical arrival time of the next call. The table is unlogged: after a
-- crash everybody starts afresh, which costs nothing, and no call pays for write-ahead log.

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

select private.open_to_server('{take_rate_limit,mira_take_rate_limit}');
