-- Engine, the forks: a run as another stood before one of its steps, with the state it had or an edited one.

-- Where a node led that was closed so: the queue that complete_step or fail_step made of it.
create function private.led_to(n private.version_nodes, p_kind text, p_output json, p_error jsonb) returns int[]
language sql immutable set search_path = '' as $$
  select case
    when p_kind = 'failed' then array(select jsonb_array_elements_text(n.labels ->
      case when p_error ->> 'code' = 'timed_out' and n.type in ('human', 'wait') and n.labels ? 'timeout' then 'timeout' else 'error' end)::int)
    when n.type = 'router' and n.labels ? coalesce(p_output #>> '{}', '') then
      array(select jsonb_array_elements_text(n.labels -> (p_output #>> '{}'))::int)
    else n.targets end
$$;
comment on function private.led_to(private.version_nodes, text, json, jsonb) is
  'The nodes that a recorded step (kind step or failed) had entered next.';

-- The run as it stood before a step, as a new run that does this step again: its history up to there is
-- replayed, since the checkpoint holds only what is now.
create function private.fork_run(p_user_id uuid, p_run_id uuid, p_seq int, p_state jsonb, p_lease_ms int, p_idempotency_key text)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  o public.mira_workflow_state;
  r public.mira_workflow_state;
  v private.workflow_versions;
  n private.version_nodes;
  s record;
  v_event int;
  v_since int := 0;
  v_queue int[];
  v_state jsonb;
  v_reached int[];
  v_when int[];
  v_next int[];
  v_joins jsonb;
  v_pending int[];
begin
  select * into o from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  if p_idempotency_key is not null then
    -- two at once: the second waits for the first and finds what it made
    perform pg_advisory_xact_lock(hashtextextended('mira:fork:' || p_idempotency_key, 0));
    select * into r from public.mira_workflow_state where user_id = o.user_id and idempotency_key = p_idempotency_key;
    if found then
      return private.continue_run(r.id, p_lease_ms, '{"created": false}');
    end if;
  end if;
  o.cursor := private.cursor_of(o);
  -- the moment: just before the step was recorded, or now if it is still open
  select event into v_event from private.run_steps
    where run = o.number and seq = p_seq and kind in ('step', 'failed') order by event limit 1;
  if v_event is null and not o.cursor -> 'o' ? p_seq::text then
    raise exception using errcode = 'PT404', message = 'step_not_found', detail = 'The run has no such step.';
  end if;
  v_event := coalesce(v_event, o.last_event + 1);
  if p_state is not null and jsonb_typeof(p_state) <> 'object' then
    raise exception using errcode = 'PT422', message = 'state_invalid', detail = 'The state is a JSON object.';
  end if;
  select * into strict v from private.workflow_versions where id = o.version_id;
  -- from the input on, or from the last state that a fork was given
  select e.event, e.state into v_since, v_state from private.run_edits e
    where e.run = o.number and e.event < v_event order by e.event desc limit 1;
  if not found then
    v_since := 0;
    v_state := case when jsonb_typeof(o.input) = 'object' then o.input else jsonb_build_object('input', o.input) end;
  end if;
  select vn.targets, array_fill(1, array[cardinality(vn.targets)]) into v_reached, v_when
    from private.version_nodes vn where vn.version_id = o.version_id and vn.type = 'start';
  for s in select t.event, t.output, t.error, t.kind, vn as node from private.run_steps t
    join private.version_nodes vn on vn.version_id = o.version_id and vn.key = t.node
    where t.run = o.number and t.event < v_event and t.kind in ('step', 'failed') order by t.event loop
    n := s.node;
    v_next := private.led_to(n, s.kind, s.output, s.error);
    v_reached := v_reached || v_next;
    v_when := v_when || array_fill(s.event, array[cardinality(v_next)]);
    if s.event <= v_since then
      null;
    elsif s.kind = 'failed' then
      if v_next <> '{}' then
        v_state := v_state || jsonb_build_object('error', jsonb_build_object('node', n.node -> 'name',
          'code', s.error -> 'code', 'message', s.error -> 'message'));
      end if;
    elsif n.type <> 'router' or n.node -> 'config' ? 'output_key' then
      v_state := private.reduce_output(v_state, n, s.output::jsonb);
    end if;
  end loop;
  -- steps that were open at that moment, the one asked for first, then its siblings; joins that had been reached
  -- and had not fired since; nodes that had been reached and not entered yet. An end leaves no step: it is
  -- entered again, for the output.
  with opening as (
    select seq, node, min(opened) as opened, max(event) as event from (
      select seq, node, coalesce(opened, event - 1) as opened, event from private.run_steps where run = o.number and kind in ('step', 'failed')
      union all
      select key::int, (value ->> 'n')::int, (value ->> 'f')::int, 2147483647 from jsonb_each(o.cursor -> 'o')) e
    group by seq, node having min(opened) < v_event
  ), reached as (
    select t.node, max(t.at) as at, vn.feeders is not null as is_join,
      case when vn.type = 'end' then 1 else count(*) - (select count(*) from opening where opening.node = t.node) end as times
    from unnest(v_reached, v_when) t(node, at)
    join private.version_nodes vn on vn.version_id = o.version_id and vn.key = t.node
    group by t.node, vn.feeders, vn.type
  )
  select array(select t.node from opening t where t.event >= v_event order by t.seq <> p_seq, t.seq),
    (select jsonb_agg(t.node order by t.at, t.node) from reached t
      where t.is_join and not exists (select from opening where opening.node = t.node and opening.opened >= t.at)),
    array(select t.node from reached t, generate_series(1, t.times) where not t.is_join order by t.at, t.node)
    into v_queue, v_joins, v_pending;
  r := private.new_run(v, o.user_id, o.input, jsonb_build_object('priority', o.priority,
    'forked_from', jsonb_build_object('run_id', o.id, 'seq', p_seq)));
  r.idempotency_key := p_idempotency_key;
  r.thread_id := o.thread_id;
  r.max_steps := o.max_steps;
  r.max_tokens := o.max_tokens;
  r.max_cost_micros := o.max_cost_micros;
  r.deadline_at := now() + (o.deadline_at - o.created_at);
  r.state_data := coalesce(p_state, v_state);
  r.next_seq := o.next_seq;
  r.last_event := v_event - 1;
  r.steps_used := (select count(*) from private.run_steps where run = o.number and event < v_event and kind = 'step');
  r.cursor := jsonb_strip_nulls(jsonb_build_object('o', '{}'::jsonb, 'q', to_jsonb(v_queue || v_pending), 'j', v_joins, 'g', o.cursor -> 'g'));
  perform pg_advisory_xact_lock_shared(hashtextextended('mira:limits:' || r.user_id::text, 0));
  perform private.insert_run(r);
  insert into private.run_steps (run, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call,
      call_item, call_index)
    select r.number, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call, call_item, call_index
    from private.run_steps where run = o.number and event < v_event;
  insert into private.run_edits (run, event, state)
    select r.number, e.event, e.state from private.run_edits e where e.run = o.number and e.event < v_event
      and (p_state is null or e.event < v_event - 1)
    union all
    select r.number, v_event - 1, p_state where p_state is not null;
  r := private.move(r, cardinality(v_queue));
  r := private.save(r, 'pending');
  return private.continue_run(r.id, p_lease_ms, jsonb_build_object('created', true, 'forked_from', o.id));
end $$;
comment on function private.fork_run(uuid, uuid, int, jsonb, int, text) is
  'A new run with the history, state and open steps another had just before a step, or the one the same idempotency key made. Errors: PT404 run_not_found, PT404 step_not_found, PT422 state_invalid.';

-- Nobody calls these but the server.
select private.close_functions('{led_to,fork_run}');
grant execute on function private.fork_run(uuid, uuid, int, jsonb, int, text) to service_role;
