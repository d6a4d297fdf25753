-- Engine, the fan-out: a map is opened, its elements are taken, reported and joined in order, batch by batch.

-- What a sub-workflow that stands for an item begins with.
create function private.item_input(n private.version_nodes, i private.run_items, p_input jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select private.pick(coalesce(n.node #> '{config,each,config,input}', '"$"'),
    case when jsonb_typeof(i.input) = 'object' then i.input else '{}' end || jsonb_build_object('item', i.input, 'index', i.idx), p_input)
$$;
comment on function private.item_input(private.version_nodes, private.run_items, jsonb) is
  'The input of the run that does an item of a map over a sub-workflow: its template over the item, {item, index}.';

-- Begin a fan-out: its items become rows. An empty list is done at once.
create function private.open_map(inout r public.mira_workflow_state, n private.version_nodes, p_seq int)
language plpgsql set search_path = '' as $$
declare
  c jsonb := n.node -> 'config';
  v_items jsonb := private.pick_list(c -> 'items', r.state_data, r.input);
  v_total int;
  v_why text;
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
  elsif v_total > 10000 and c #>> '{each,type}' = 'subworkflow' then
    -- they are made in one transaction, for which somebody waits
    r := private.fail_step(r, n, p_seq, jsonb_build_object('error', jsonb_build_object(
      'code', 'map_too_large', 'message', format('%s has %s elements; a map over sub-workflows takes 10000 at most.', c ->> 'items', v_total))));
    return;
  end if;
  begin
    insert into private.run_maps (run_id, seq, user_id, version_id, node, total, remaining, batch, max_failures)
    values (r.id, p_seq, r.user_id, r.version_id, n.key, v_total, v_total,
      least(greatest(coalesce((c ->> 'batch')::numeric::int, 10), 1), 1000), coalesce((c ->> 'max_failures')::numeric::int, 0));
    insert into private.run_items (run_id, seq, idx, is_open, input)
    select r.id, p_seq, i - 1, c #>> '{each,type}' <> 'subworkflow', v
    from jsonb_array_elements(v_items) with ordinality t(v, i);
    if c #>> '{each,type}' = 'subworkflow' then
      r := private.open_children(r, n, p_seq);
    end if;
  exception when sqlstate 'PT404' or sqlstate 'PT409' or sqlstate 'PT422' then
    get stacked diagnostics v_why = pg_exception_detail;
    r := private.fail_child(r, n, p_seq, sqlerrm, v_why);
  end;
end $$;
comment on function private.open_map(public.mira_workflow_state, private.version_nodes, int) is
  'Opens a fan-out: one row per item (or one child run per item), a counter for the join.';

-- A child run for every item that has no outcome and none on its way. An item whose input its workflow does not
-- take has failed, as if a run had been made and had said so.
create function private.open_children(inout r public.mira_workflow_state, n private.version_nodes, p_seq int)
language plpgsql set search_path = '' as $$
declare
  m private.run_maps;
  v_failed int;
  v_parent public.mira_workflow_state := r;
  v_begun int[] := array(select c.parent_item from public.mira_workflow_state c
    where c.parent_run_id = r.id and c.parent_seq = p_seq and c.finished_at is null);
begin
  -- what may be as large as the list itself is not handed around with every item of it
  v_parent.state_data := '{}';
  v_parent.input := '{}';
  with born as materialized (
    select i.idx, private.create_child(v_parent, n, p_seq, i.idx, private.item_input(n, i, r.input)) as fault
    from private.run_items i
    where i.run_id = r.id and i.seq = p_seq and i.output is null and i.error is null and i.idx <> all (v_begun)
    order by i.idx
  )
  update private.run_items i set error = jsonb_build_object('code', 'input_invalid', 'message',
    'The sub-workflow could not be started. ' || born.fault)
  from born where born.fault is not null and i.run_id = r.id and i.seq = p_seq and i.idx = born.idx;
  get diagnostics v_failed = row_count;
  if v_failed > 0 then
    update private.run_maps set failed = failed + v_failed, remaining = remaining - v_failed
      where run_id = r.id and seq = p_seq returning * into m;
    if m.remaining = 0 or m.failed > m.max_failures then
      r := private.end_map(r, n, m);
    end if;
  end if;
end $$;
comment on function private.open_children(public.mira_workflow_state, private.version_nodes, int) is
  'Makes the runs of a fan-out over a sub-workflow that are still to be made; ends it when too few can be. Errors as private.create_child.';

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

-- One batch of a fan-out in, the next batch out.
-- The run's row is locked before its items and those before their map, wherever several are needed. A batch
-- needs the run only when it turns out to be the last; p_locked: the run is to be locked first.
create function private.report_items(p_run_id uuid, p_seq int, p_results jsonb, p_take int, p_lease interval, p_lean boolean,
  p_locked boolean) returns jsonb
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  m private.run_maps;
  n private.version_nodes;
  v_retry jsonb;
  v_failed int;
  v_tokens bigint;
  v_cost bigint;
  v_type text;
  v_task jsonb;
  v_out text;
  v_given int[] := array(select (x ->> 'idx')::int from jsonb_array_elements(p_results) x);
  v_put int[];
  v_over boolean;
  v_is_last boolean := false;
begin
  if p_locked then
    select * into r from public.mira_workflow_state where id = p_run_id for update;
  else
    select * into r from public.mira_workflow_state where id = p_run_id;
  end if;
  select * into m from private.run_maps where run_id = p_run_id and seq = p_seq;
  select * into n from private.version_nodes where version_id = m.version_id and key = m.node;
  if n.key is null or r.id is null then
    return private.refusal(p_run_id, r.status, 'run_not_found');
  elsif not m.is_open then
    return private.refusal(p_run_id, r.status, case when r.status in ('completed', 'failed', 'cancelled') then 'run_finished' else 'stale_step' end);
  end if;
  v_retry := coalesce(n.node #> '{config,each,config,retry}', n.node #> '{config,retry}', '{}');
  v_type := n.node #>> '{config,each,type}';
  -- an item counts once, from the attempt that still holds it; a failure with attempts left goes back
  with result as (
    select x.idx, x.attempt, x.output, x.error, x.usage, x.error is not null
        and coalesce((x.error ->> 'retryable')::boolean, true)
        and x.attempt < coalesce((v_retry ->> 'max_attempts')::numeric, 3) as again
    from jsonb_to_recordset(p_results) as x(idx int, attempt int, output jsonb, error jsonb, usage jsonb)
  ), put as (
    update private.run_items i set
      output = case when x.error is null then coalesce(x.output, 'null') end,
      error = x.error,
      is_open = x.again,
      due_at = case when not x.again then i.due_at else now() + make_interval(secs => greatest(
          private.backoff_ms(v_retry, x.attempt), coalesce((x.error ->> 'retry_after_ms')::float8, 0)) / 1000) end
    from result x
    -- the keys are named once more, as a list: whatever the planner believes, no other item is looked at
    where i.run_id = p_run_id and i.seq = p_seq and i.idx = any (v_given) and i.idx = x.idx and i.attempt = x.attempt
      and i.is_open
    returning x.idx, x.again, x.error is not null as bad, x.usage
  )
  select array_agg(idx), count(*) filter (where bad and not again),
    coalesce(sum(private.tokens_of(usage)) filter (where usage is not null), 0),
    coalesce(sum(private.cost_of(usage)) filter (where usage is not null), 0)
    into v_put, v_failed, v_tokens, v_cost from put;
  if v_type = 'llm' then
    perform private.settle_spend(p_run_id, p_seq, v_put);
  end if;
  if p_results @? '$[*] ? (exists(@.logs) || exists(@.messages))' then
    perform private.write_reported(r, n, p_seq, (x ->> 'attempt')::int, x - 'tools')
    from jsonb_array_elements(p_results) x where (x ->> 'idx')::int = any (v_put);
  end if;
  if v_type = 'tool' then
    insert into public.tool_executions (created_at, user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      error_message, started_at, completed_at)
    select now(), r.user_id, r.id, greatest((x ->> 'duration_ms')::numeric::bigint, 0), greatest((x ->> 'attempt')::int, 1),
      case when x ? 'error' then 'failed' else 'completed' end, n.node #>> '{config,each,config,tool}',
      left((n.node ->> 'name') || ' ' || (x ->> 'idx'), 200),
      private.keep_json(x -> 'arguments'), private.keep_json(x -> 'output'),
      private.clip_text(private.redact_text(x #>> '{error,message}'), 4096), now(), now()
    from jsonb_array_elements(p_results) x where (x ? 'arguments' or x ? 'error') and (x ->> 'idx')::int = any (v_put);
  end if;
  if v_tokens <> 0 or v_cost <> 0 then
    perform private.spend(r.user_id, v_tokens, v_cost);
  end if;
  -- the next items before the map: its row is what all workers wait for, so it is locked last, or not at all
  if p_take is distinct from 0 then
    v_task := private.take_items(p_run_id, p_seq, p_take, p_lease, p_lean);
  end if;
  if v_task is null or v_failed > 0 or v_tokens <> 0 or v_cost <> 0 then
    update private.run_maps set failed = failed + v_failed, tokens = tokens + v_tokens, cost_micros = cost_micros + v_cost
      where run_id = p_run_id and seq = p_seq and is_open returning * into m;
    if not found then
      return private.refusal(p_run_id, r.status, 'stale_step');
    end if;
    -- a statement of its own: it must see what those wrote who had the lock before
    v_is_last := v_task is null and private.items_left(p_run_id, p_seq) = 0;
  end if;
  v_over := coalesce(r.tokens_used + m.tokens > r.max_tokens, false) or coalesce(r.cost_micros + m.cost_micros > r.max_cost_micros, false);
  if not p_locked and (v_over or v_is_last or m.failed > m.max_failures) then
    raise exception using errcode = 'MR001', message = 'run_lock_needed';
  end if;
  if v_over then
    if r.status not in ('completed', 'failed', 'cancelled') then
      v_out := r.status;
      r := private.with_cursor(r);
      r.tokens_used := r.tokens_used + m.tokens;
      r.cost_micros := r.cost_micros + m.cost_micros;
      r := private.fail_run(r, 'budget_exceeded', 'The run spent more than its budget.', n.node ->> 'name', p_seq);
      r := private.save(r, v_out, p_lease);
    end if;
    return private.reply(r, private.tasks_around(r, p_lease));
  end if;
  if v_is_last or m.failed > m.max_failures then
    perform private.finish_map(m);
    v_task := private.claim_run(p_run_id, p_lease);
    select * into r from public.mira_workflow_state where id = p_run_id;
    if r.status in ('completed', 'failed', 'cancelled') then
      v_task := v_task || private.tasks_around(r, p_lease);
    end if;
    return private.reply(r, v_task);
  end if;
  return jsonb_build_object('run_id', p_run_id, 'status', r.status, 'accepted', true,
    'tasks', case when v_task is null then '[]' else jsonb_build_array(v_task) end);
end $$;
comment on function private.report_items(uuid, int, jsonb, int, interval, boolean, boolean) is
  'private.advance_items under one lock or the other; MR001 when the run''s row must be locked first.';

create function private.advance_items(p_run_id uuid, p_seq int, p_results jsonb, p_take int, p_lease interval, p_lean boolean default false) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_given int := jsonb_array_length(p_results);
  v_open int;
begin
  -- is this likely to be the last batch?
  select count(*) into v_open from (select from private.run_items i
    where i.run_id = p_run_id and i.seq = p_seq and i.is_open limit v_given + 1) open;
  begin
    return private.report_items(p_run_id, p_seq, p_results, p_take, p_lease, p_lean, v_open <= v_given);
  exception when sqlstate 'MR001' then
    -- somebody else was faster and this is the last batch after all: once more, in the order of the locks
  end;
  return private.report_items(p_run_id, p_seq, p_results, p_take, p_lease, p_lean, true);
end $$;
comment on function private.advance_items(uuid, int, jsonb, int, interval, boolean) is
  'Reports a batch of items (each counts once, from the attempt that holds it) and takes the next; the last one joins.';

create function private.items_left(p_run_id uuid, p_seq int) returns int
language sql stable set search_path = '' as $$
  select count(*)::int from private.run_items i where i.run_id = p_run_id and i.seq = p_seq and i.is_open
$$;
comment on function private.items_left(uuid, int) is 'How many items of a fan-out workers have still to do.';

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

-- The last item is in: the map's step is done, or failed if too many items are.
create function private.end_map(inout r public.mira_workflow_state, n private.version_nodes, p_map private.run_maps)
language plpgsql set search_path = '' as $$
declare
  v_output jsonb;
  v_first jsonb;
begin
  r.tokens_used := r.tokens_used + p_map.tokens;
  r.cost_micros := r.cost_micros + p_map.cost_micros;
  update private.run_maps set is_open = false where run_id = p_map.run_id and seq = p_map.seq;
  if p_map.failed > p_map.max_failures then
    select i.error || jsonb_build_object('item', i.idx) into v_first from private.run_items i
      where i.run_id = r.id and i.seq = p_map.seq and i.error is not null and not i.is_open order by i.idx limit 1;
    perform private.close_items(r.id, p_map.seq);
    perform private.stop_children(r.id, p_map.seq);
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
end $$;
comment on function private.end_map(public.mira_workflow_state, private.version_nodes, private.run_maps) is
  'Joins a fan-out whose counter reached zero (or whose failures are too many): outputs in item order.';

create function private.finish_map(p_map private.run_maps) returns void
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  v_old text;
begin
  select * into r from public.mira_workflow_state where id = p_map.run_id for update;
  r := private.with_cursor(r);
  if r.status in ('completed', 'failed', 'cancelled') or not r.cursor -> 'o' ? p_map.seq::text then
    return;
  end if;
  v_old := r.status;
  select * into strict n from private.version_nodes where version_id = r.version_id and key = p_map.node;
  r := private.end_map(r, n, p_map);
  r := private.move(r);
  perform private.save(r, v_old);
end $$;
comment on function private.finish_map(private.run_maps) is 'private.end_map for a run that nobody holds yet, and what follows from it.';

-- Nobody calls these but the server.
select private.close_functions('{
  item_input,open_map,open_children,take_items,report_items,advance_items,items_left,close_items,end_map,finish_map}');
grant execute on function private.advance_items(uuid, int, jsonb, int, interval, boolean) to service_role;
