-- Engine, the moves: a step completes or fails, the run walks on through everything that needs no worker,
-- tasks are handed out, the checkpoint is saved, a finished map or child wakes its parent.

-- Moving ------------------------------------------------------------------------------------------------------

create function private.enqueue(p_cursor jsonb, p_keys jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return p_cursor || jsonb_build_object('q', coalesce(p_cursor -> 'q', '[]') || p_keys);
end $$;
comment on function private.enqueue(jsonb, jsonb) is 'The cursor with more nodes to enter.';

-- A step succeeded: state reduced, recorded, closed. What follows goes to the end of the queue.
create function private.complete_step(inout r public.mira_workflow_state, n private.version_nodes, p_seq int, p_outcome jsonb)
language plpgsql set search_path = '' as $$
declare
  v_entry jsonb := r.cursor -> 'o' -> p_seq::text;
  v_state jsonb;
  v_label text;
begin
  if n.type = 'router' then
    v_label := coalesce(p_outcome #>> '{output,label}', p_outcome ->> 'output');
    if not n.labels ? coalesce(v_label, '') then
      v_label := n.node #>> '{config,default}';
    end if;
    if n.labels ? coalesce(v_label, '') then
      r.cursor := private.enqueue(r.cursor, n.labels -> v_label);
    elsif cardinality(n.targets) > 0 then
      r.cursor := private.enqueue(r.cursor, to_jsonb(n.targets));
    else
      r := private.fail_run(r, 'route_not_found', format('No edge for the label "%s".', v_label), n.node ->> 'name', p_seq);
      return;
    end if;
    p_outcome := p_outcome || jsonb_build_object('output', v_label);
    -- a decision is no data: the state keeps it only where the author asked for it
    v_state := case when n.node -> 'config' ? 'output_key' then private.reduce_output(r.state_data, n, p_outcome -> 'output')
                    else r.state_data end;
  else
    v_state := private.reduce_output(r.state_data, n, p_outcome -> 'output');
    r.cursor := private.enqueue(r.cursor, to_jsonb(n.targets));
  end if;
  if v_state is null then
    r := private.fail_run(r, case when n.output_key = '.' then 'output_not_object' else 'reducer_type' end,
      format('The output does not fit the state key "%s" (%s).', n.output_key, n.reducer), n.node ->> 'name', p_seq);
    return;
  elsif pg_column_size(v_state) > 4194304 then
    r := private.fail_run(r, 'state_too_large', 'The state would be larger than 4 MiB.', n.node ->> 'name', p_seq);
    return;
  end if;
  r.state_data := v_state;
  r.cursor := r.cursor #- array['o', p_seq::text];
  r := private.write_event(r, n.key, p_seq, 'step', v_entry, p_outcome);
end $$;
comment on function private.complete_step(public.mira_workflow_state, private.version_nodes, int, jsonb) is
  'Closes a step that succeeded: reduces, records, queues what follows.';

-- A step failed for good: its edge `p_label` (error, timeout) if it has one, else the run fails.
create function private.fail_step(inout r public.mira_workflow_state, n private.version_nodes, p_seq int, p_outcome jsonb, p_label text default 'error')
language plpgsql set search_path = '' as $$
declare
  v_entry jsonb := r.cursor -> 'o' -> p_seq::text;
  v_error jsonb := p_outcome -> 'error';
begin
  r := private.write_event(r, n.key, p_seq, 'failed', v_entry, p_outcome);
  perform private.write_log(r.user_id, r.id, 'worker', n.node ->> 'name', 'error',
    private.clip_text(private.redact_text(format('%s failed: %s', n.node ->> 'name', v_error ->> 'message')), 4096),
    jsonb_build_object('seq', p_seq, 'attempt', coalesce(v_entry -> 'a', '1'), 'code', v_error -> 'code'));
  if n.labels ? p_label or n.labels ? 'error' then
    r.cursor := r.cursor #- array['o', p_seq::text];
    r.state_data := r.state_data || jsonb_build_object('error', jsonb_build_object(
      'node', n.node -> 'name', 'code', v_error -> 'code', 'message', v_error -> 'message'));
    r.cursor := private.enqueue(r.cursor,
      case when n.labels ? p_label then n.labels -> p_label else n.labels -> 'error' end);
  else
    r := private.fail_run(r, coalesce(v_error ->> 'code', 'step_failed'), v_error ->> 'message', n.node ->> 'name', p_seq);
  end if;
end $$;
comment on function private.fail_step(public.mira_workflow_state, private.version_nodes, int, jsonb, text) is
  'Closes a step that finally failed: takes its error edge, or fails the run.';

-- What a sub-workflow that stands for an item begins with.
create function private.item_input(n private.version_nodes, i private.run_items, r public.mira_workflow_state) returns jsonb
language sql stable set search_path = '' as $$
  select private.pick(coalesce(n.node #> '{config,each,config,input}', '"$"'),
    case when jsonb_typeof(i.input) = 'object' then i.input else '{}' end || jsonb_build_object('item', i.input, 'index', i.idx), r.input)
$$;
comment on function private.item_input(private.version_nodes, private.run_items, public.mira_workflow_state) is
  'The input of the run that does an item of a map over a sub-workflow: its template over the item, {item, index}.';

-- Begin a fan-out: its items become rows. An empty list is done at once.
create function private.open_map(inout r public.mira_workflow_state, n private.version_nodes, p_seq int)
language plpgsql set search_path = '' as $$
declare
  c jsonb := n.node -> 'config';
  v_items jsonb := private.pick(c -> 'items', r.state_data, r.input);
  v_total int;
begin
  if jsonb_typeof(v_items) <> 'array' then
    r := private.fail_step(r, n, p_seq, jsonb_build_object('error', jsonb_build_object(
      'code', 'map_items_not_array', 'message', format('%s is no list.', c ->> 'items'))));
    return;
  end if;
  v_total := jsonb_array_length(v_items);
  if v_total = 0 then
    r := private.complete_step(r, n, p_seq, '{"output": []}');
    return;
  end if;
  insert into private.run_maps (run_id, seq, user_id, version_id, node, total, remaining, batch, max_failures)
  values (r.id, p_seq, r.user_id, r.version_id, n.key, v_total, v_total,
    least(greatest(coalesce((c ->> 'batch')::numeric::int, 10), 1), 1000), coalesce((c ->> 'max_failures')::numeric::int, 0));
  insert into private.run_items (run_id, seq, idx, is_open, input)
  select r.id, p_seq, i - 1, c #>> '{each,type}' <> 'subworkflow', v
  from jsonb_array_elements(v_items) with ordinality t(v, i);
  if c #>> '{each,type}' = 'subworkflow' then
    perform private.create_child(r, n, p_seq, i.idx, private.item_input(n, i, r))
    from private.run_items i where i.run_id = r.id and i.seq = p_seq order by i.idx;
  end if;
end $$;
comment on function private.open_map(public.mira_workflow_state, private.version_nodes, int) is
  'Opens a fan-out: one row per item (or one child run per item), a counter for the join.';

-- Enter the queued nodes and everything behind them that needs no worker.
create function private.move(inout r public.mira_workflow_state, p_gated boolean default true)
language plpgsql set search_path = '' as $$
declare
  n private.version_nodes;
  v_joins int[] := array(select value::int from jsonb_array_elements_text(coalesce(r.cursor -> 'j', '[]')));
  v_hops int := 0;
  v_key int;
  v_seq int;
  v_at timestamptz;
  v_entry jsonb;
  v_signal record;
  v_gated boolean;
begin
  loop
    exit when r.status in ('failed', 'completed', 'cancelled');
    v_gated := p_gated;
    v_key := (r.cursor #>> '{q,0}')::int;
    if v_key is not null then
      r.cursor := r.cursor #- '{q,0}';
    else
      -- everything that could move has moved: which reached join has nothing left to wait for?
      exit when cardinality(v_joins) = 0;
      select j into v_key from unnest(v_joins) with ordinality t(j, i)
      join private.version_nodes vn on vn.version_id = r.version_id and vn.key = j
      where not exists (select from jsonb_each(r.cursor -> 'o') o where (o.value ->> 'n')::int = any (vn.feeders))
        and not exists (select from unnest(v_joins) other where other <> j and other = any (vn.feeders))
      order by i limit 1;
      if v_key is null then
        exit when r.cursor -> 'o' <> '{}';
        v_key := v_joins[1];
      end if;
      v_joins := array_remove(v_joins, v_key);
      v_gated := false;
    end if;

    select * into strict n from private.version_nodes where version_id = r.version_id and key = v_key;
    if v_gated and n.feeders is not null then
      if v_key <> all (v_joins) then
        v_joins := v_joins || v_key;
      end if;
      continue;
    end if;
    if n.type = 'start' then
      r.cursor := private.enqueue(r.cursor, to_jsonb(n.targets));
      continue;
    elsif n.type = 'end' then
      r.output := case when n.node -> 'config' ? 'output' then private.pick(n.node #> '{config,output}', r.state_data, r.input) end;
      continue;
    end if;

    if r.steps_used >= r.max_steps then
      r := private.fail_run(r, 'step_limit', format('The run has used its %s steps.', r.max_steps), n.node ->> 'name');
      exit;
    elsif not n.is_task then
      v_hops := v_hops + 1;
      if v_hops > 200 then
        r := private.fail_run(r, 'loop_without_work', 'Two hundred nodes in a row needed no worker: a loop of routers.', n.node ->> 'name');
        exit;
      end if;
    end if;
    v_seq := r.next_seq;
    r.next_seq := v_seq + 1;
    r.steps_used := r.steps_used + 1;
    r.current_node_id := (n.node ->> 'id')::uuid;
    v_entry := jsonb_build_object('n', v_key, 'f', r.last_event);

    if n.is_task then
      r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
    elsif n.type = 'router' then
      r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
      r := private.complete_step(r, n, v_seq,
        jsonb_build_object('output', private.route(n.node -> 'config', r.state_data, r.input)));
    elsif n.type = 'map' then
      r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry || '{"k": "map"}');
      r := private.open_map(r, n, v_seq);
    elsif n.type = 'subworkflow' then
      r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry || jsonb_build_object('k', 'child'));
      begin
        perform private.create_child(r, n, v_seq, null, private.pick(coalesce(n.node #> '{config,input}', '"$"'), r.state_data, r.input));
      exception when sqlstate 'PT404' or sqlstate 'PT409' or sqlstate 'PT422' then
        r := private.fail_step(r, n, v_seq, jsonb_build_object('error',
          jsonb_build_object('code', sqlerrm, 'message', 'The sub-workflow could not be started.')));
      end;
    else -- human, wait
      v_at := now() + make_interval(secs => n.timeout_ms::float8 / 1000);
      if n.type = 'human' then
        v_entry := v_entry || '{"k": "human"}';
      elsif n.node -> 'config' ? 'signal' then
        v_entry := v_entry || '{"k": "signal"}';
        update private.run_signals s set consumed_seq = v_seq
        where (s.run_id, s.name, s.dedup_id) = (
          select q.run_id, q.name, q.dedup_id from private.run_signals q
          where q.run_id = r.id and q.name = n.node #>> '{config,signal}' and q.consumed_seq is null
          order by q.sent_at limit 1)
        returning payload into v_signal;
        if found then
          r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
          r := private.complete_step(r, n, v_seq,
            jsonb_build_object('output', coalesce(v_signal.payload, 'null')));
          continue;
        end if;
      else
        v_entry := v_entry || '{"k": "timer"}';
        begin
          v_at := case when n.node -> 'config' ? 'seconds'
            then now() + make_interval(secs => (n.node #>> '{config,seconds}')::float8)
            else (private.pick(n.node #> '{config,until}', r.state_data, r.input) #>> '{}')::timestamptz end;
        exception when data_exception then
          v_at := null;
        end;
        if v_at is null then
          r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
          r := private.fail_step(r, n, v_seq,
            '{"error": {"code": "bad_wait_time", "message": "until gave no time."}}');
          continue;
        end if;
      end if;
      if v_at is not null then
        v_entry := v_entry || jsonb_build_object('at', v_at);
      end if;
      r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
      r := private.write_event(r, n.key, v_seq, 'waiting', v_entry, '{}');
      perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info',
        case v_entry ->> 'k' when 'human' then 'Waiting for an answer.'
          when 'signal' then format('Waiting for the signal %s.', n.node #>> '{config,signal}')
          else format('Waiting until %s.', v_at) end,
        jsonb_build_object('seq', v_seq));
    end if;
  end loop;
  if r.status not in ('failed', 'cancelled') then
    r.cursor := r.cursor - 'q';
  end if;
  if cardinality(v_joins) > 0 then
    r.cursor := r.cursor || jsonb_build_object('j', to_jsonb(v_joins));
  elsif r.cursor ? 'j' then
    r.cursor := r.cursor - 'j';
  end if;
  if r.status in ('pending', 'running', 'waiting') then
    if r.cursor -> 'o' = '{}' then
      r.status := 'completed';
    else
      r.status := case when jsonb_path_exists(r.cursor, '$.o.* ? (!exists(@.k) || @.k == "map" || @.k == "child")')
        then 'running' else 'waiting' end;
    end if;
  end if;
end $$;
comment on function private.move(public.mira_workflow_state, boolean) is
  'Enters the queued nodes and everything behind them that no worker is needed for; opens steps, fires joins, ends the run.';

-- Timers, time-outs and the run's deadline, whichever have come.
create function private.wake(inout r public.mira_workflow_state)
language plpgsql set search_path = '' as $$
declare
  n private.version_nodes;
  v_seq text;
  v_entry jsonb;
begin
  if r.deadline_at <= now() then
    r := private.fail_run(r, 'deadline_exceeded', 'The run''s time is up.');
    return;
  end if;
  for v_seq, v_entry in
    select key, value from jsonb_each(r.cursor -> 'o')
    where value ? 'k' and (value ->> 'at')::timestamptz <= now() order by key::int
  loop
    exit when r.status = 'failed';
    select * into strict n from private.version_nodes where version_id = r.version_id and key = (v_entry ->> 'n')::int;
    if v_entry ->> 'k' = 'timer' then
      r := private.complete_step(r, n, v_seq::int, '{"output": null}');
    else
      r := private.fail_step(r, n, v_seq::int,
        jsonb_build_object('error', jsonb_build_object('code', 'timed_out', 'message', 'Nobody answered in time.')), 'timeout');
    end if;
  end loop;
  if r.status <> 'failed' then
    r := private.move(r);
  end if;
end $$;
comment on function private.wake(public.mira_workflow_state) is
  'Enters what a run has queued, fires the timers that are due, fails it when its deadline has passed.';

-- Handing out -------------------------------------------------------------------------------------------------

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
      select jsonb_agg(s.call order by (s.call ->> 'index')::int) from private.run_steps s
      where s.run = r.number and s.seq = p_seq and s.kind = 'call'));
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

-- Items of one fan-out, as one task; null when none can be had.
create function private.take_items(p_run_id uuid, p_seq int, p_take int, p_lease interval, p_lean boolean default false) returns jsonb
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  m private.run_maps;
  n private.version_nodes;
  v_items jsonb;
begin
  select * into m from private.run_maps where run_id = p_run_id and seq = p_seq;
  with taken as (
    -- a list of keys, not a join: whatever the planner believes, no other item is looked at
    update private.run_items i set attempt = i.attempt + 1, due_at = now() + p_lease
    where i.run_id = p_run_id and i.seq = p_seq and i.idx = any (array(
      select f.idx from private.run_items f
      where f.run_id = p_run_id and f.seq = p_seq and f.is_open and f.due_at <= now()
      order by f.idx limit coalesce(p_take, m.batch) for update skip locked))
    returning i.idx, i.attempt, i.input
  )
  select jsonb_agg(jsonb_build_object('idx', idx, 'attempt', attempt, 'value', input) order by idx) into v_items from taken;
  if v_items is null then
    return null;
  end if;
  -- if they are there, so is their run: whoever deletes it waits for them
  select * into strict r from public.mira_workflow_state where id = p_run_id;
  select * into strict n from private.version_nodes where version_id = m.version_id and key = m.node;
  r.tokens_used := r.tokens_used + m.tokens;
  r.cost_micros := r.cost_micros + m.cost_micros;
  n.timeout_ms := coalesce((n.node #>> '{config,each,config,timeout_ms}')::int, n.timeout_ms);
  n.type := n.node #>> '{config,each,type}';
  n.node := n.node || jsonb_build_object('type', n.type, 'config', coalesce(n.node #> '{config,each,config}', '{}'));
  if n.type = 'llm' then
    v_items := private.with_calls(r.number, p_seq, v_items);
  end if;
  if p_lean then
    -- what the worker has already may be as large as the list itself: it is not even read
    r.state_data := '{}';
    r.input := '{}';
    return private.task(r, n, p_seq, '{}', p_lease) - '{state,input,node}'::text[] || jsonb_build_object('items', v_items);
  end if;
  return private.task(r, n, p_seq, '{}', p_lease) || jsonb_build_object('items', v_items);
end $$;
comment on function private.take_items(uuid, int, int, interval, boolean) is
  'Claims up to p_take items of a fan-out (null: its own batch size): a task with items [{idx, attempt, value}], or null. p_lean: without state, input and node.';

create function private.items_left(p_run_id uuid, p_seq int) returns int
language sql stable set search_path = '' as $$
  select count(*)::int from private.run_items i where i.run_id = p_run_id and i.seq = p_seq and i.is_open
$$;
comment on function private.items_left(uuid, int) is 'How many items of a fan-out workers have still to do.';

create function private.waiting(r public.mira_workflow_state) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'seq', o.key::int, 'node_id', n.node -> 'id', 'node', n.node -> 'name', 'kind', coalesce(o.value ->> 'k', 'retry'),
      'prompt', coalesce(o.value #> '{ask,prompt}', case when n.type = 'human' then n.node #> '{config,prompt}' end),
      'schema', coalesce(o.value #> '{ask,schema}', case when n.type = 'human' then n.node #> '{config,schema}' end),
      'confirm', o.value #> '{ask,confirm}',
      'signal', n.node #> '{config,signal}', 'until', o.value -> 'at',
      'child_run_id', case when o.value ->> 'k' = 'child' then (select c.id from public.mira_workflow_state c
        where c.parent_run_id = r.id and c.parent_seq = o.key::int and c.parent_item is null) end,
      'remaining', case when o.value ->> 'k' <> 'map' then null when n.node #>> '{config,each,type}' <> 'subworkflow'
        then private.items_left(r.id, o.key::int) else (select m.remaining from private.run_maps m
        where m.run_id = r.id and m.seq = o.key::int) end)) order by o.key::int)
  from jsonb_each(private.cursor_of(r) -> 'o') o
  join private.version_nodes n on n.version_id = r.version_id and n.key = (o.value ->> 'n')::int
  where o.value ? 'k' or o.value ? 'at'
$$;
comment on function private.waiting(public.mira_workflow_state) is 'What an unfinished run waits for, open step by open step.';

-- Saving ------------------------------------------------------------------------------------------------------

-- Ledger and history follow the status of a run; the commentary tells its end.
create function private.follow_ledger(p_run_id uuid, p_user_id uuid, p_status text, p_step text, p_started_at timestamptz,
  p_finished_at timestamptz, p_output jsonb, p_error text) returns void
language plpgsql set search_path = '' as $$
begin
  update public.workflow_executions e set current_state = p_status, current_step = p_step,
    started_at = p_started_at, completed_at = p_finished_at, updated_at = now(),
    results = p_output, error_message = p_error
  where e.id = p_run_id;
  update public.task_history t set status = p_status, started_at = p_started_at, completed_at = p_finished_at,
    updated_at = now(), result = private.keep_json(p_output, 60000), error_message = p_error,
    duration_ms = (extract(epoch from p_finished_at - p_started_at) * 1000)::bigint
  where t.user_id = p_user_id and t.id = p_run_id and t.status <> p_status;
end $$;
comment on function private.follow_ledger(uuid, uuid, text, text, timestamptz, timestamptz, jsonb, text) is
  'Brings ledger and task history in line with a run''s status.';

create function private.close_ledger(p_run_id uuid, p_user_id uuid, p_status text, p_step text, p_started_at timestamptz,
  p_finished_at timestamptz, p_output jsonb, p_error text, p_steps int, p_tokens bigint, p_cost bigint) returns void
language plpgsql set search_path = '' as $$
begin
  perform private.follow_ledger(p_run_id, p_user_id, p_status, p_step, p_started_at, p_finished_at, p_output, p_error);
  if p_finished_at is not null then
    insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata)
    values (p_user_id, p_run_id, 'evaluator', p_step,
      case p_status when 'completed' then 'success' when 'failed' then 'error' else 'warning' end,
      case p_status when 'completed' then 'Run completed.' when 'cancelled' then 'Run cancelled.'
        else 'Run failed: ' || coalesce(p_error, '') end,
      jsonb_build_object('steps', p_steps, 'tokens', p_tokens, 'cost_micros', p_cost));
  end if;
end $$;
comment on function private.close_ledger(uuid, uuid, text, text, timestamptz, timestamptz, jsonb, text, int, bigint, bigint) is
  'private.follow_ledger, and the last line of the commentary when the run has ended.';

create function private.follow_status(r public.mira_workflow_state) returns void
language plpgsql set search_path = '' as $$
begin
  perform private.close_ledger(r.id, r.user_id, r.status,
    (select n.node ->> 'name' from private.version_nodes n
      where n.version_id = r.version_id and (n.node ->> 'id')::uuid = r.current_node_id),
    r.started_at, r.finished_at, private.output_of(r),
    private.clip_text(private.redact_text(r.error ->> 'message'), 4000), r.steps_used, r.tokens_used, r.cost_micros);
end $$;
comment on function private.follow_status(public.mira_workflow_state) is 'private.close_ledger for a run at hand.';

-- Elements that nobody need do any more. Those that are being reported at this moment are passed over: their
-- report comes too late and finds the map closed.
create function private.close_items(p_run_id uuid, p_seq int default null) returns void
language sql set search_path = '' as $$
  update private.run_items i set is_open = false
  from (select o.seq, o.idx from private.run_items o
    where o.run_id = p_run_id and o.is_open and (p_seq is null or o.seq = p_seq) for update skip locked) o
  where i.run_id = p_run_id and i.seq = o.seq and i.idx = o.idx
$$;
comment on function private.close_items(uuid, int) is
  'Takes what is open of a run''s fan-outs, or of one, off the queue, without waiting for anybody.';

-- May the run's next step take the straight road?
create function private.straight_node(r public.mira_workflow_state) returns int
language plpgsql stable set search_path = '' as $$
declare
  v_node int := (r.cursor #>> array['o', (r.next_seq - 1)::text, 'n'])::int;
begin
  if v_node is null or r.deadline_at is not null or r.max_tokens is not null or r.max_cost_micros is not null
    or r.cursor <> jsonb_build_object('o', jsonb_build_object((r.next_seq - 1)::text,
      jsonb_build_object('n', v_node, 'f', r.last_event, 'i', r.lease_epoch)))
    or exists (select from private.user_limits l where l.user_id = r.user_id) then
    return null;
  end if;
  return v_node;
end $$;
comment on function private.straight_node(public.mira_workflow_state) is
  'The node of a leased run''s only open step, when nothing else is in its cursor and nothing limits it; else null.';

-- Write the checkpoint: keep, renew or give back the lease; follow the status.
create function private.save(inout r public.mira_workflow_state, p_old text, p_lease interval default null)
language plpgsql set search_path = '' as $$
declare
  v_done boolean := r.status in ('completed', 'failed', 'cancelled');
  v_ready boolean;
begin
  if v_done then
    r.finished_at := coalesce(r.finished_at, now());
    r.leased_at := null;
    r.due_at := null;
    r.last_event := r.last_event + 1;
    if r.cursor @? '$.o.* ? (@.k == "map")' then
      perform private.close_items(r.id);
    end if;
    update private.run_maps set is_open = false where run_id = r.id and is_open;
  elsif r.leased_at is not null and jsonb_path_exists(r.cursor, '$.o.* ? (!exists(@.k) && @.i == $e)',
      jsonb_build_object('e', r.lease_epoch)) then
    -- work is out under this lease; a lease that still has half its time is not written again
    if p_lease is not null and r.due_at < now() + p_lease / 2 then
      r.due_at := now() + p_lease;
    end if;
  else
    v_ready := r.cursor ? 'q' or jsonb_path_exists(r.cursor, '$.o.* ? (!exists(@.k) && !exists(@.at))');
    r.leased_at := null;
    r.due_at := case when v_ready then now() else least(r.deadline_at, (
      select min((value ->> 'at')::timestamptz) from jsonb_each(r.cursor -> 'o') where value ? 'at')) end;
  end if;
  if r.status <> 'pending' then
    r.started_at := coalesce(r.started_at, now());
  end if;
  r.updated_at := now();
  r.straight_node := case when r.leased_at is not null then private.straight_node(r) end;
  update public.mira_workflow_state s set
    started_at = r.started_at, finished_at = r.finished_at, leased_at = r.leased_at, due_at = r.due_at,
    lease_epoch = r.lease_epoch, stalls = r.stalls, status = r.status, updated_at = r.updated_at,
    current_node_id = r.current_node_id, steps_used = r.steps_used, next_seq = r.next_seq, last_event = r.last_event,
    straight_node = r.straight_node, tokens_used = r.tokens_used, cost_micros = r.cost_micros, 
    cursor = case when r.straight_node is null then r.cursor else '{"o": {}}' end, state_data = r.state_data,
    output = r.output, error = r.error
  where s.id = r.id;
  if r.status <> p_old then
    perform private.follow_status(r);
    if v_done and r.parent_run_id is not null then
      perform private.child_finished(r);
    end if;
  end if;
end $$;
comment on function private.save(public.mira_workflow_state, text, interval) is
  'Writes a run''s checkpoint, decides about its lease and when it is next due, and follows a changed status.';

-- The last item is in: the map's step is done, or failed if too many items are.
create function private.finish_map(p_map private.run_maps) returns void
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  v_old text;
  v_output jsonb;
  v_first jsonb;
begin
  select * into r from public.mira_workflow_state where id = p_map.run_id for update;
  r := private.with_cursor(r);
  if r.status in ('completed', 'failed', 'cancelled') or not r.cursor -> 'o' ? p_map.seq::text then
    return;
  end if;
  v_old := r.status;
  r.tokens_used := r.tokens_used + p_map.tokens;
  r.cost_micros := r.cost_micros + p_map.cost_micros;
  select * into strict n from private.version_nodes where version_id = r.version_id and key = p_map.node;
  update private.run_maps set is_open = false where run_id = p_map.run_id and seq = p_map.seq;
  if p_map.failed > p_map.max_failures then
    select i.error || jsonb_build_object('item', i.idx) into v_first from private.run_items i
      where i.run_id = r.id and i.seq = p_map.seq and i.error is not null and not i.is_open order by i.idx limit 1;
    perform private.close_items(r.id, p_map.seq);
    r := private.fail_step(r, n, p_map.seq, jsonb_build_object('error',
      jsonb_build_object('code', coalesce(v_first ->> 'code', 'item_failed'), 'item', v_first -> 'item', 'message',
        format('%s of %s items failed; item %s: %s', p_map.failed, p_map.total, v_first ->> 'item', v_first ->> 'message'))));
  else
    select jsonb_agg(case when i.error is null then i.output end order by i.idx) into v_output
      from private.run_items i where i.run_id = r.id and i.seq = p_map.seq;
    perform private.write_log(r.user_id, r.id, 'worker', n.node ->> 'name', 'success',
      format('%s finished %s items.', n.node ->> 'name', p_map.total),
      jsonb_build_object('seq', p_map.seq, 'items', p_map.total, 'failed', p_map.failed));
    r := private.complete_step(r, n, p_map.seq, jsonb_build_object('output', v_output));
  end if;
  r := private.move(r);
  perform private.save(r, v_old);
end $$;
comment on function private.finish_map(private.run_maps) is
  'Joins a fan-out whose counter reached zero (or whose failures are too many): outputs in item order.';

-- A child ended: its parent's step (or item) ends with it.
create function private.child_finished(c public.mira_workflow_state) returns void
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  m private.run_maps;
  v_old text;
  v_ok boolean := c.status = 'completed';
  v_error jsonb := jsonb_build_object('code', 'child_failed', 'message',
    format('The sub-workflow %s: %s', c.status, c.error ->> 'message'), 'child_run_id', c.id);
begin
  if c.parent_item is not null then
    perform from public.mira_workflow_state where id = c.parent_run_id for update;
    update private.run_items i set output = case when v_ok then private.output_of(c) end, error = case when not v_ok then v_error end
      where i.run_id = c.parent_run_id and i.seq = c.parent_seq and i.idx = c.parent_item
        and i.output is null and i.error is null;
    if not found then
      return; -- the item has its outcome, from another child
    end if;
    update private.run_maps set remaining = remaining - 1, failed = failed + (not v_ok)::int,
        tokens = tokens + c.tokens_used, cost_micros = cost_micros + c.cost_micros
      where run_id = c.parent_run_id and seq = c.parent_seq and is_open returning * into m;
    if found and (m.remaining = 0 or m.failed > m.max_failures) then
      perform private.finish_map(m);
    end if;
    return;
  end if;
  select * into r from public.mira_workflow_state where id = c.parent_run_id for update;
  r := private.with_cursor(r);
  if r.status in ('completed', 'failed', 'cancelled') or not r.cursor -> 'o' ? c.parent_seq::text then
    return;
  end if;
  v_old := r.status;
  r.tokens_used := r.tokens_used + c.tokens_used;
  r.cost_micros := r.cost_micros + c.cost_micros;
  select * into strict n from private.version_nodes
    where version_id = r.version_id and key = (r.cursor #>> array['o', c.parent_seq::text, 'n'])::int;
  if v_ok then
    r := private.complete_step(r, n, c.parent_seq, jsonb_build_object('output', private.output_of(c)));
  else
    r := private.fail_step(r, n, c.parent_seq, jsonb_build_object('error', v_error));
  end if;
  r := private.move(r);
  perform private.save(r, v_old);
end $$;
comment on function private.child_finished(public.mira_workflow_state) is
  'Reports a finished child run to the step, or the fan-out item, of its parent.';

-- Nobody calls these but the server.
select private.close_functions('{
  enqueue,complete_step,fail_step,item_input,open_map,move,wake,task,issue,take_items,items_left,waiting,follow_ledger,close_ledger,
  follow_status,close_items,straight_node,save,finish_map,child_finished}');
