-- Analytics: how the runs go, and how long the work takes.
--
-- Two more views beside `lead_pipeline` and `conversation_volume`. All of them read with their
-- reader's own rights: a person sees their own work, the server sees everybody's. They are counted
-- when asked; a house with millions of runs would keep them as a table of its own.

create view public.run_outcomes with (security_invoker = true) as
  select
    (e.created_at at time zone 'utc')::date as day,
    coalesce(w.name, e.workflow_type) as workflow,
    count(*) as runs,
    count(*) filter (where e.current_state = 'completed') as completed,
    count(*) filter (where e.current_state = 'failed') as failed,
    count(*) filter (where e.current_state = 'cancelled') as cancelled,
    count(*) filter (where e.current_state in ('pending', 'running', 'waiting')) as open,
    round(percentile_cont(0.5) within group (order by extract(epoch from e.completed_at - e.started_at) * 1000))::bigint
      as median_ms,
    round(percentile_cont(0.95) within group (order by extract(epoch from e.completed_at - e.started_at) * 1000))::bigint
      as p95_ms
  from public.workflow_executions e left join public.mira_workflows w on w.id = e.workflow_id
  group by 1, 2;
comment on view public.run_outcomes is
  'Analytics: runs by UTC day of their start and by workflow, how they ended, and how long the ended ones took.';

create view public.agent_latency with (security_invoker = true) as
  select
    work.kind,
    work.name,
    count(*) as calls,
    count(*) filter (where work.failed) as failed,
    round(percentile_cont(0.5) within group (order by work.duration_ms))::bigint as median_ms,
    round(percentile_cont(0.95) within group (order by work.duration_ms))::bigint as p95_ms,
    max(work.started_at) as last_started_at
  from (
    select 'agent' as kind, l.agent_name as name, l.duration_ms, l.status = 'failed' as failed, l.started_at
    from public.agent_logs l
    union all
    select 'tool', t.tool_name, t.duration_ms, t.status = 'failed', t.started_at
    from public.tool_executions t
  ) work
  group by work.kind, work.name;
comment on view public.agent_latency is
  'Analytics: how long each agent and each tool takes, in milliseconds, and how often it fails.';

revoke all on public.run_outcomes, public.agent_latency from public, anon, authenticated, service_role;
grant select on public.run_outcomes, public.agent_latency to authenticated, service_role;
