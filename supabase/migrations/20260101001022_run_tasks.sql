-- Engine, the tasks: what a worker is handed, and what a run waits for when nobody can be handed anything.

-- The task object of the interface.
create function private.task(r public.mira_workflow_state, n private.version_nodes, p_seq int, p_entry jsonb,
  p_lease interval) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_task jsonb;
begin
  v_task := jsonb_build_object(
    'run_id', r.id, 'seq', p_seq, 'epoch', r.lease_epoch, 'attempt', coalesce(p_entry -> 'a', '1'),
    'key', r.id::text || ':' || p_seq::text, 'user_id', r.user_id, 'workflow_id', r.workflow_id, 'thread_id', r.thread_id,
    'node', n.node, 'state', r.state_data, 'input', r.input,
    'budget_left', private.budget_left(r, n.type <> 'tool'),
    'lease_until', now() + p_lease,
    'deadline_at', least(r.deadline_at, now() + make_interval(secs => n.timeout_ms::float8 / 1000)));
  if p_entry ? 'c' then
    v_task := v_task || jsonb_build_object('calls', (
      select jsonb_agg(s.call order by s.call_index) from private.run_steps s
      where s.run = r.number and s.seq = p_seq and s.call_index is not null));
  end if;
  if r.cursor ? 'g' then
    v_task := v_task || jsonb_build_object('grants', r.cursor -> 'g', 'confirmed', coalesce(p_entry -> 'g', '{}'));
  end if;
  return v_task;
end $$;
comment on function private.task(public.mira_workflow_state, private.version_nodes, int, jsonb, interval) is
  'What a worker is handed for one open step.';

-- Issue every step that is ready and that nobody holds under this epoch.
create function private.issue(inout r public.mira_workflow_state, p_lease interval, out tasks jsonb)
language plpgsql set search_path = '' as $$
declare
  n private.version_nodes;
  v_seq text;
  v_entry jsonb;
  v_left jsonb;
begin
  tasks := '[]';
  for v_seq, v_entry in
    select key, value from jsonb_each(r.cursor -> 'o')
    where not value ? 'k' and (value ->> 'i')::int is distinct from r.lease_epoch
      and (not value ? 'at' or (value ->> 'at')::timestamptz <= now())
    order by key::int
  loop
    select * into strict n from private.version_nodes where version_id = r.version_id and key = (v_entry ->> 'n')::int;
    if n.type <> 'tool' then
      v_left := private.budget_left(r, true);
      if (v_left ->> 'tokens')::bigint <= 0 or (v_left ->> 'cost_micros')::bigint <= 0 then
        r := private.fail_run(r, 'budget_exceeded', 'Nothing is left to spend on this step.', n.node ->> 'name', v_seq::int);
        tasks := '[]';
        return;
      end if;
    end if;
    tasks := tasks || private.task(r, n, v_seq::int, v_entry, p_lease);
    r.cursor := jsonb_set(r.cursor, array['o', v_seq], (v_entry - 'at') || jsonb_build_object('i', r.lease_epoch));
  end loop;
end $$;
comment on function private.issue(public.mira_workflow_state, interval) is
  'Tasks for the ready steps of a leased run, each marked as held under the current epoch.';

create function private.waiting(r public.mira_workflow_state) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'seq', o.key::int, 'node_id', n.node -> 'id', 'node', n.node -> 'name', 'kind', coalesce(o.value ->> 'k', 'retry'),
      'prompt', coalesce(o.value #> '{ask,prompt}', case when n.type = 'human' then n.node #> '{config,prompt}' end),
      'schema', coalesce(o.value #> '{ask,schema}', case when n.type = 'human' then n.node #> '{config,schema}' end),
      'confirm', o.value #> '{ask,confirm}',
      'signal', n.node #> '{config,signal}', 'until', o.value -> 'at',
      'child_run_id', case when o.value ->> 'k' = 'child' then (select c.id from public.mira_workflow_state c
        where c.parent_run_id = r.id and c.parent_seq = o.key::int and c.parent_item is null order by c.created_at desc, c.id desc limit 1) end,
      'remaining', case when o.value ->> 'k' <> 'map' then null when n.node #>> '{config,each,type}' <> 'subworkflow'
        then private.items_left(r.id, o.key::int) else (select m.remaining from private.run_maps m
        where m.run_id = r.id and m.seq = o.key::int) end)) order by o.key::int)
  from jsonb_each(private.cursor_of(r) -> 'o') o
  join private.version_nodes n on n.version_id = r.version_id and n.key = (o.value ->> 'n')::int
  where o.value ? 'k' or o.value ? 'at'
$$;
comment on function private.waiting(public.mira_workflow_state) is 'What an unfinished run waits for, open step by open step.';

-- Nobody calls these but the server.
select private.close_functions('{
  task,issue,waiting}');
