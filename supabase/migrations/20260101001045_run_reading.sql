-- Engine, reading and housekeeping: a run, its events, its picture; what may be deleted.

-- Reading -----------------------------------------------------------------------------------------------------

create function private.read_run(p_user_id uuid, p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_left jsonb;
begin
  select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  v_left := private.budget_left(r, true);
  return jsonb_build_object('run_id', r.id, 'status', r.status, 'workflow_id', r.workflow_id,
    'version', (select version from private.workflow_versions where id = r.version_id), 'thread_id', r.thread_id,
    'user_id', r.user_id, 'state', r.state_data, 'input', r.input,
    'waiting', case when r.status in ('completed', 'failed', 'cancelled') then '[]' else coalesce(private.waiting(r), '[]') end,
    'steps', coalesce((select jsonb_agg(case when t.bytes <= 4194304 then private.event_data(t.step, vn)
        else private.event_data(t.step, vn) - 'output' || jsonb_build_object('output_bytes', t.own) end order by (t.step).event)
      from (
        -- what all steps put out may be more than anybody can hold: the newest is shown, of the others the size
        select s as step, octet_length(s.output::text) as own,
          coalesce(sum(octet_length(s.output::text)) over (order by s.event desc), 0) as bytes
        from private.run_steps s where s.run = r.number and s.kind in ('step', 'failed')) t
      join private.version_nodes vn on vn.version_id = r.version_id and vn.key = (t.step).node), '[]'),
    'usage', jsonb_build_object('steps', r.steps_used, 'tokens', r.tokens_used, 'cost_micros', r.cost_micros,
      'is_priced', not exists (select from private.run_steps s where s.run = r.number and s.usage -> 'cost_micros' = 'null')),
    'budget_left', v_left, 'last_event', r.last_event,
    'created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at)
    || jsonb_strip_nulls(jsonb_build_object('error', r.error, 'parent_run_id', r.parent_run_id,
      'due_at', case when r.finished_at is null then r.due_at end))
    || case when r.status = 'completed' then jsonb_build_object('output', private.output_of(r)) else '{}' end;
end $$;
comment on function private.read_run(uuid, uuid) is 'A run as its owner sees it: status, state, steps, spend, what it waits for. Errors: PT404 run_not_found.';

create function private.event_data(s private.run_steps, n private.version_nodes) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object('event', s.event, 'seq', s.seq, 'node_id', n.node -> 'id', 'node', n.node -> 'name',
      'type', n.type, 'attempt', coalesce(s.attempt, 1), 'duration_ms', s.duration_ms, 'at', s.created_at,
      'status', case s.kind when 'step' then 'completed' when 'call' then null else s.kind end))
    || case when s.output is not null then jsonb_build_object('output', s.output) else '{}' end
    || case when s.error is not null then jsonb_build_object('error', s.error) else '{}' end
    || case when s.usage is not null then jsonb_build_object('usage', s.usage) else '{}' end
    || case when s.kind = 'call' then jsonb_build_object('call', s.call) else '{}' end
$$;
comment on function private.event_data(private.run_steps, private.version_nodes) is 'One recorded event as people see it.';

create function private.run_events(p_user_id uuid, p_run_id uuid, p_after int, p_limit int) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_done boolean;
  v_events jsonb;
  -- numbers have no gaps
  v_last bigint := greatest(p_after, 0)::bigint + least(greatest(p_limit, 1), 1000);
begin
  select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  v_done := r.status in ('completed', 'failed', 'cancelled');
  -- a page ends with the event that takes it over 4 MiB: whoever follows must be able to hold it
  v_last := least(v_last, (
    select min(b.event) from (
      select t.event, sum(coalesce(octet_length(t.output::text), 0) + coalesce(octet_length(t.call::text), 0)) over (order by t.event) as bytes
      from private.run_steps t where t.run = r.number and t.event > p_after and t.event <= v_last) b
    where b.bytes > 4194304));
  select coalesce(jsonb_agg(e.value order by (e.value ->> 'id')::int), '[]') into v_events from (
      select jsonb_build_object('id', 1, 'event', 'run', 'at', r.created_at,
        'data', jsonb_build_object('run_id', r.id, 'workflow_id', r.workflow_id, 'input', r.input)) as value where p_after < 1
      union all
      select jsonb_build_object('id', s.event, 'at', s.created_at,
        'event', case s.kind when 'failed' then 'step' else s.kind end, 'data', private.event_data(s, n)
          || case when s.kind = 'waiting' then jsonb_strip_nulls(jsonb_build_object(
               'prompt', coalesce(s.call -> 'prompt', n.node #> '{config,prompt}'),
               'schema', coalesce(s.call -> 'schema', n.node #> '{config,schema}'), 'confirm', s.call -> 'confirm', 'signal', n.node #> '{config,signal}')) else '{}' end)
      from private.run_steps s join private.version_nodes n on n.version_id = r.version_id and n.key = s.node
      where s.run = r.number and s.event > greatest(p_after, 1) and s.event <= v_last
      union all
      select jsonb_build_object('id', r.last_event, 'event', 'end', 'at', r.finished_at,
        'data', jsonb_strip_nulls(jsonb_build_object('run_id', r.id, 'status', r.status, 'error', r.error))
          || case when r.status = 'completed' then jsonb_build_object('output', private.output_of(r)) else '{}' end)
      where v_done and p_after < r.last_event and r.last_event <= v_last) e;
  return jsonb_build_object('status', r.status, 'last_event', r.last_event, 'events', v_events,
    'finished', v_done and coalesce((v_events -> -1 ->> 'id')::int, p_after) >= r.last_event);
end $$;
comment on function private.run_events(uuid, uuid, int, int) is
  'What happened after event p_after, in order and without gaps; finished = nothing more will come. Errors: PT404 run_not_found.';

create function private.read_graph(p_user_id uuid, p_workflow_id uuid, p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  w public.mira_workflows;
  v private.workflow_versions;
begin
  if p_run_id is not null then
    select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
    if not found then
      raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
    end if;
    select * into strict v from private.workflow_versions where id = r.version_id;
    return (v.graph - 'limits' - 'reducers' - 'input_schema') || jsonb_build_object(
      'workflow_id', v.workflow_id, 'version', v.version,
      'visited', coalesce((select jsonb_object_agg(t.id, t.n) from (
        select vn.node ->> 'id' as id, count(*) as n from private.run_steps s
        join private.version_nodes vn on vn.version_id = r.version_id and vn.key = s.node
        where s.run = r.number and s.kind in ('step', 'failed') group by 1) t), '{}'),
      'active', coalesce((select jsonb_agg(distinct vn.node -> 'id') from jsonb_each(private.cursor_of(r) -> 'o') o
        join private.version_nodes vn on vn.version_id = r.version_id and vn.key = (o.value ->> 'n')::int), '[]'));
  end if;
  select * into w from public.mira_workflows where id = p_workflow_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
  end if;
  return (private.draft_graph(w) - 'limits' - 'reducers' - 'input_schema')
    || jsonb_build_object('workflow_id', w.id, 'version', w.version, 'visited', '{}'::jsonb, 'active', '[]'::jsonb);
end $$;
comment on function private.read_graph(uuid, uuid, uuid) is
  'The graph of a draft, or of a run with how often each node was done and which are open. Errors: PT404.';

create function private.input_schema(p_user_id uuid, p_workflow_id uuid) returns jsonb
language sql stable security definer set search_path = '' as $$
  select v.graph -> 'input_schema' from public.mira_workflows w
  join private.workflow_versions v on v.workflow_id = w.id and v.version = w.version
  where w.id = p_workflow_id and w.user_id = p_user_id
$$;
comment on function private.input_schema(uuid, uuid) is
  'What the input of a start must be, by the version that a start would use; null = anything, or no such workflow of this user.';

create function private.validate_workflow(p_user_id uuid, p_workflow_id uuid, p_workflow jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  w public.mira_workflows;
  v_problems jsonb;
begin
  if p_workflow_id is not null then
    select * into w from public.mira_workflows where id = p_workflow_id and (p_user_id is null or user_id = p_user_id);
    if not found then
      raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
    end if;
    p_workflow := private.draft_graph(w);
  end if;
  v_problems := private.graph_problems(private.normal_graph(p_workflow), coalesce(p_user_id, w.user_id));
  return jsonb_build_object('valid', not v_problems @? '$[*] ? (@.severity == "error")', 'problems', v_problems);
end $$;
comment on function private.validate_workflow(uuid, uuid, jsonb) is
  'What the activation gate would say about a draft or an inline graph: {valid, problems}. Errors: PT404 workflow_not_found, PT422 workflow_invalid (no graph at all).';

create function private.activate(p_user_id uuid, p_workflow_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  w public.mira_workflows;
begin
  update public.mira_workflows set is_active = true
    where id = p_workflow_id and (p_user_id is null or user_id = p_user_id) returning * into w;
  if not found then
    raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
  end if;
  return jsonb_build_object('workflow_id', w.id, 'version', w.version);
end $$;
comment on function private.activate(uuid, uuid) is
  'Validates a draft and freezes it as the version to start. Errors: PT404 workflow_not_found, PT422 workflow_invalid.';

-- Housekeeping --------------------------------------------------------------------------------------------------

-- Dead letters are failed runs: their open steps are still in the cursor.
create function private.redrive_runs(p_user_id uuid, p_run_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_map private.run_maps;
  v_node private.version_nodes;
  v_count int := 0;
begin
  for r in select * from public.mira_workflow_state
    where id = any (p_run_ids) and (p_user_id is null or user_id = p_user_id) and status = 'failed'
    order by id for update loop
    continue when r.cursor -> 'o' = '{}' and not r.cursor ? 'q';
    -- attempts begin anew; what was recorded, inside steps too, is kept and not paid for again;
    -- what the engine itself does (a route, a child) is entered afresh
    select jsonb_build_object('o', coalesce(jsonb_object_agg(o.key, case when o.value ? 'k' then o.value else o.value - 'a' - 'at' - 'i' end)
          filter (where n.type not in ('router', 'subworkflow') or n.is_task), '{}'),
        'q', coalesce(r.cursor -> 'q', '[]') || coalesce(jsonb_agg(n.key) filter (where n.type in ('router', 'subworkflow') and not n.is_task), '[]'))
      || case when r.cursor ? 'j' then jsonb_build_object('j', r.cursor -> 'j') else '{}' end
      || case when r.cursor ? 'g' then jsonb_build_object('g', r.cursor -> 'g') else '{}' end
      into r.cursor
      from jsonb_each(r.cursor -> 'o') o
      join private.version_nodes n on n.version_id = r.version_id and n.key = (o.value ->> 'n')::int;
    update private.run_maps m set is_open = true, failed = 0,
        remaining = (select count(*) from private.run_items i where i.run_id = m.run_id and i.seq = m.seq and (i.output is null))
      where m.run_id = r.id and r.cursor -> 'o' ? m.seq::text;
    update private.run_items i set is_open = n.node #>> '{config,each,type}' <> 'subworkflow', due_at = now(), attempt = 0,
        error = null
      from private.run_maps m join private.version_nodes n on n.version_id = m.version_id and n.key = m.node
      where i.run_id = r.id and i.output is null and r.cursor -> 'o' ? i.seq::text and m.run_id = i.run_id and m.seq = i.seq;
    r.error := null;
    r.finished_at := null;
    r.stalls := 0;
    r.status := 'running';
    for v_map in select * from private.run_maps m where m.run_id = r.id and r.cursor -> 'o' ? m.seq::text order by m.seq loop
      select * into strict v_node from private.version_nodes where version_id = v_map.version_id and key = v_map.node;
      if v_node.node #>> '{config,each,type}' = 'subworkflow' then
        r := private.open_children(r, v_node, v_map.seq);
      end if;
    end loop;
    if r.deadline_at <= now() then
      r.deadline_at := now() + (r.deadline_at - r.created_at);
      update public.mira_workflow_state set deadline_at = r.deadline_at where id = r.id;
    end if;
    r := private.save(r, 'failed');
    v_count := v_count + 1;
  end loop;
  return jsonb_build_object('redriven', v_count);
end $$;
comment on function private.redrive_runs(uuid, uuid[]) is 'Failed runs go on where they failed: attempts anew, recorded work kept.';

create function private.purge_runs(p_keep interval default '30 days', p_limit int default 5000) returns int
language plpgsql security definer set search_path = '' as $$
declare
  v_count int;
begin
  -- the ledger row goes and takes the checkpoint, steps, items, messages and tool calls with it;
  -- task_history stays, as what the person asked for
  delete from public.workflow_executions e
  where e.id in (
    select s.id from public.mira_workflow_state s
    where s.finished_at < now() - p_keep
    order by s.finished_at limit p_limit for update skip locked);
  get diagnostics v_count = row_count;
  delete from private.workflow_versions v
  where v.workflow_id is null and v.used_at < now() - p_keep
    and not exists (select from public.mira_workflow_state s where s.version_id = v.id);
  delete from private.user_spend where day < (now() - interval '400 days')::date;
  return v_count;
end $$;
comment on function private.purge_runs(interval, int) is
  'Deletes up to p_limit runs that ended longer ago than p_keep, with everything recorded under them, and inline graphs nobody started since. Returns how many runs.';

-- The public faces: for the server's key only. plpgsql, because it keeps its plans for the session; the

-- Nobody calls these but the server.
select private.close_functions('{
  read_run,event_data,run_events,read_graph,input_schema,validate_workflow,activate,redrive_runs,purge_runs}');
grant execute on function
  private.read_run(uuid, uuid), private.run_events(uuid, uuid, int, int), private.read_graph(uuid, uuid, uuid), private.input_schema(uuid, uuid),
  private.validate_workflow(uuid, uuid, jsonb), private.activate(uuid, uuid), private.redrive_runs(uuid, uuid[]),
  private.purge_runs(interval, int)
  to service_role;
