-- Engine, the moves: a step ends, and everything that needs no worker (routers, joins, timers, ends) is walked.

create function private.enqueue(p_cursor jsonb, p_keys jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return p_cursor || jsonb_build_object('q', coalesce(p_cursor -> 'q', '[]') || p_keys);
end $$;
comment on function private.enqueue(jsonb, jsonb) is 'The cursor with more nodes to enter.';

create function private.misfit(r public.mira_workflow_state, n private.version_nodes, p_value jsonb) returns text
language sql stable set search_path = '' as $$
  select format('The output does not fit the state key "%s" (%s).', t.key, t.reducer)
  from (
    select n.output_key as key, n.reducer as reducer where n.output_key <> '.'
    union all
    select o.key, coalesce(v.reducers ->> o.key, 'replace')
    from private.workflow_versions v, jsonb_each(case when n.output_key = '.' then p_value else '{}' end) o
    where v.id = r.version_id and private.reduce(r.state_data, o.key, coalesce(v.reducers ->> o.key, 'replace'), o.value) is null) t
  limit 1
$$;
comment on function private.misfit(public.mira_workflow_state, private.version_nodes, jsonb) is
  'Which key of the state an output does not fit, and by which reducer.';

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
    if n.output_key = '.' and jsonb_typeof(p_outcome -> 'output') is distinct from 'object' then
      r := private.fail_run(r, 'output_not_object', 'The output is to be spread over the state and is no object.', n.node ->> 'name', p_seq);
    else
      r := private.fail_run(r, 'reducer_type', private.misfit(r, n, p_outcome -> 'output'), n.node ->> 'name', p_seq);
    end if;
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

create function private.backoff_ms(p_retry jsonb, p_attempt int) returns float8
language sql volatile set search_path = '' as $$
  select greatest(0, least(coalesce((p_retry ->> 'base_ms')::float8, 500)
      * power(coalesce((p_retry ->> 'factor')::float8, 2), least(p_attempt - 1, 30)), coalesce((p_retry ->> 'max_ms')::float8, 60000))
    * (1 + coalesce((p_retry ->> 'jitter')::float8, 0.2) * (2 * random() - 1)))
$$;
comment on function private.backoff_ms(jsonb, int) is
  'How long to wait after the attempt of that number failed, by a node''s retry {base_ms, factor, max_ms, jitter}.';

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

create function private.fail_child(inout r public.mira_workflow_state, n private.version_nodes, p_seq int, p_code text, p_why text)
language plpgsql set search_path = '' as $$
begin
  r := private.fail_step(r, n, p_seq, jsonb_build_object('error', jsonb_build_object('code', p_code, 'message',
    concat_ws(' ', 'The sub-workflow could not be started.', case when p_code <> 'workflow_invalid' then p_why end))));
end $$;
comment on function private.fail_child(public.mira_workflow_state, private.version_nodes, int, text, text) is
  'Fails a step whose sub-workflow is no longer there, not active or nested too deep, or wants another input.';

-- Enter the queued nodes and everything behind them that needs no worker.
create function private.move(inout r public.mira_workflow_state, p_past_joins int default 0)
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
  v_why text;
begin
  loop
    exit when r.status in ('failed', 'completed', 'cancelled');
    v_key := (r.cursor #>> '{q,0}')::int;
    if v_key is not null then
      r.cursor := r.cursor #- '{q,0}';
      v_gated := p_past_joins <= 0;
      p_past_joins := p_past_joins - 1;
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
        v_why := private.create_child(r, n, v_seq, null, private.pick(coalesce(n.node #> '{config,input}', '"$"'), r.state_data, r.input));
        if v_why is not null then
          r := private.fail_child(r, n, v_seq, 'input_invalid', v_why);
        end if;
      exception when sqlstate 'PT404' or sqlstate 'PT409' or sqlstate 'PT422' then
        get stacked diagnostics v_why = pg_exception_detail;
        r := private.fail_child(r, n, v_seq, sqlerrm, v_why);
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
        v_why := case when v_at is null then 'until gave no time.'
          when v_at > now() + private.longest_wait() then 'A wait lasts ten years at most.' end;
        if v_why is not null then
          r.cursor := jsonb_set(r.cursor, array['o', v_seq::text], v_entry);
          r := private.fail_step(r, n, v_seq, jsonb_build_object('error', jsonb_build_object('code', 'bad_wait_time', 'message', v_why)));
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
comment on function private.move(public.mira_workflow_state, int) is
  'Enters the queued nodes and everything behind them that no worker is needed for; opens steps, fires joins, ends the run. So many of the queue''s first nodes (p_past_joins) wait for nobody: their joins had fired.';

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

-- Nobody calls these but the server.
select private.close_functions('{
  enqueue,misfit,complete_step,backoff_ms,fail_step,fail_child,move,wake}');
