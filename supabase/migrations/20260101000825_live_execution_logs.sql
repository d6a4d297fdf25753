-- execution_logs as they come: log-execution's streams ask for what is new, Supabase's Realtime tells of it, by the
-- table (postgres_changes, seed 004) and on the owner's private topic.

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

select private.open_to_server('{mira_follow_execution_logs,broadcast_execution_logs}');
