-- Engine, the step: a report is fenced, recorded once and answered with the next task.

create function private.refusal(p_run_id uuid, p_status text, p_reason text, p_tasks jsonb default '[]') returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('run_id', p_run_id, 'status', p_status, 'accepted', false, 'reason', p_reason, 'tasks', p_tasks)
$$;
comment on function private.refusal(uuid, text, text, jsonb) is 'The answer to a report that changes nothing, and why.';

-- The straight road: a step that succeeded with nothing to add, alone in its run, with one successor
-- that is a task or the end. One read, one fenced write, and the same rows the long road writes; the fence is the
-- event number, so no lock is taken ahead of the write. Null = take the long road.
-- A lean answer leaves out of the next task what the caller knows from the last one.
create function private.advance_straight(p_run_id uuid, p_epoch int, p_seq int, p_outcome jsonb, p_lease interval, p_lean boolean)
returns json
language plpgsql security definer set search_path = '' as $$
declare
  v_output jsonb := p_outcome -> 'output';
  v_ms int;
  v_user uuid;
  v_run bigint;
  v_event int;
  v_steps int;
  v_tokens bigint;
  v_cost bigint;
  v_started timestamptz;
  v_state jsonb;
  v_result jsonb;
  v_left int;
  v_due timestamptz;
  v_deadline timestamptz;
  v_node int;
  v_type text;
  v_name text;
  v_tool text;
  v_is_end boolean;
  v_next text;
begin
  update public.mira_workflow_state s set
    finished_at = case when n.next_is_end then now() end,
    leased_at = case when n.next_is_end then null else s.leased_at end,
    due_at = case when n.next_is_end then null else s.due_at end,
    stalls = 0,
    status = case when n.next_is_end then 'completed' else s.status end,
    updated_at = now(),
    current_node_id = n.next_id,
    steps_used = case when n.next_is_end then s.steps_used else s.steps_used + 1 end,
    next_seq = case when n.next_is_end then s.next_seq else s.next_seq + 1 end,
    last_event = case when n.next_is_end then s.last_event + 2 else s.last_event + 1 end,
    straight_node = n.next_key,
    state_data = s.state_data || jsonb_build_object(n.output_key, v_output),
    output = case when n.next_output is not null then
      private.pick(n.next_output, s.state_data || jsonb_build_object(n.output_key, v_output), s.input) end
  from private.version_nodes n
  where s.id = p_run_id and s.lease_epoch = p_epoch and s.next_seq = p_seq + 1
    and s.leased_at is not null and s.due_at > now() + p_lease / 2 and s.steps_used < s.max_steps
    and n.version_id = s.version_id and n.key = s.straight_node and n.next_is_end is not null
    and (not n.next_is_end or s.parent_run_id is null)
    -- so small a column, however compressed, is far from the largest state there may be
    and pg_column_size(s.state_data) < 8192
  returning s.user_id, s.number, s.last_event, s.steps_used, s.tokens_used, s.cost_micros, s.started_at, s.state_data, s.output,
    s.max_steps - s.steps_used, s.due_at, s.updated_at + n.next_timeout, n.key, n.type, n.name, n.tool, n.next_is_end, n.next_node
  into v_user, v_run, v_event, v_steps, v_tokens, v_cost, v_started, v_state, v_result,
    v_left, v_due, v_deadline, v_node, v_type, v_name, v_tool, v_is_end, v_next;
  if v_is_end is null then
    return null;
  end if;
  if p_outcome ? 'duration_ms' then
    v_ms := greatest((p_outcome ->> 'duration_ms')::numeric, 0);
  end if;
  if v_type = 'tool' then
    insert into public.tool_executions (created_at, user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      started_at, completed_at)
    values (now(), v_user, p_run_id, v_ms, 1, 'completed', v_tool, v_name, private.keep_json(p_outcome -> 'arguments'),
      private.keep_json(v_output), now() - make_interval(secs => coalesce(v_ms, 0)::float8 / 1000), now());
  end if;
  if v_is_end then
    v_result := coalesce(v_result, v_state);
    insert into private.run_steps (run, event, seq, node, kind, duration_ms, created_at, output)
    values (v_run, v_event - 1, p_seq, v_node, 'step', v_ms, now(), v_output);
    insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata) values
      (nextval('public.execution_logs_seq_seq'), v_user, p_run_id, 'worker', v_name, 'success', v_name || ' done.',
        concat('{"seq":', p_seq, '}')::json),
      (nextval('public.execution_logs_seq_seq'), v_user, p_run_id, 'evaluator', v_name, 'success', 'Run completed.',
        concat('{"steps":', v_steps, ',"tokens":' || nullif(v_tokens, 0), ',"cost_micros":' || nullif(v_cost, 0), '}')::json);
    perform private.follow_ledger(p_run_id, v_user, 'completed', v_name, v_started, now(), v_result, null);
    return concat('{"run_id":"', p_run_id, '","status":"completed","accepted":true,"tasks":[],"output":', v_result, '}');
  end if;
  insert into private.run_steps (run, event, seq, node, kind, duration_ms, created_at, output)
  values (v_run, v_event, p_seq, v_node, 'step', v_ms, now(), v_output);
  insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata)
  values (nextval('public.execution_logs_seq_seq'), v_user, p_run_id, 'worker', v_name, 'success', v_name || ' done.',
    concat('{"seq":', p_seq, '}')::json);
  if not p_lean then
    select concat('"run_id":"', s.id, '","epoch":', s.lease_epoch, ',"attempt":1,"key":"', s.id, ':', p_seq + 1, '","user_id":"', s.user_id,
        '","workflow_id":', coalesce(to_json(s.workflow_id), 'null'), ',"thread_id":', coalesce(to_json(s.thread_id), 'null'),
        ',"input":', s.input, ',"node":', v_next)
      into v_next from public.mira_workflow_state s where s.id = p_run_id;
  end if;
  return concat('{"run_id":"', p_run_id, '","status":"running","accepted":true,"tasks":[{"seq":', p_seq + 1,
    ',', case when p_lean then '"node":' end, v_next, ',"state":', v_state, ',"budget_left":{"steps":', v_left,
    ',"tokens":null,"cost_micros":null,"time_ms":null},"lease_until":', to_json(v_due),
    ',"deadline_at":', coalesce(to_json(v_deadline), 'null'), '}]}');
end $$;
comment on function private.advance_straight(uuid, int, int, jsonb, interval, boolean) is
  'private.advance for the commonest step, one task followed by another or by the end; null when the step is not of that kind.';

-- The straight road for many: steps as above, each of another run, in one statement: {ords: positions of
-- those it took, replies: their answers}. The rest goes the long road.
create function private.advance_straights(p_steps jsonb, p_lease interval, p_lean boolean, out ords bigint[], out replies text[])
language plpgsql set search_path = '' as $$
declare
  v_habits uuid[];
begin
  with taken as (
    update public.mira_workflow_state s set
      finished_at = case when n.next_is_end then now() end,
      leased_at = case when n.next_is_end then null else s.leased_at end,
      due_at = case when n.next_is_end then null else s.due_at end,
      stalls = 0,
      status = case when n.next_is_end then 'completed' else s.status end,
      updated_at = now(),
      current_node_id = n.next_id,
      steps_used = case when n.next_is_end then s.steps_used else s.steps_used + 1 end,
      next_seq = case when n.next_is_end then s.next_seq else s.next_seq + 1 end,
      last_event = case when n.next_is_end then s.last_event + 2 else s.last_event + 1 end,
      straight_node = n.next_key,
      state_data = s.state_data || jsonb_build_object(n.output_key, x.outcome -> 'output'),
      output = case when n.next_output is not null then
        private.pick(n.next_output, s.state_data || jsonb_build_object(n.output_key, x.outcome -> 'output'), s.input) end
    -- in the order of run ids, so that two batches cannot wait for one another
    from (select * from rows from (jsonb_to_recordset(p_steps) as (run_id uuid, epoch int, seq int, outcome jsonb))
        with ordinality as t(run_id, epoch, seq, outcome, ord) order by run_id) x, private.version_nodes n
    where s.id = x.run_id and s.lease_epoch = x.epoch and s.next_seq = x.seq + 1
      and s.leased_at is not null and s.due_at > now() + p_lease / 2 and s.steps_used < s.max_steps
      and n.version_id = s.version_id and n.key = s.straight_node and n.next_is_end is not null
      and (not n.next_is_end or s.parent_run_id is null)
      and pg_column_size(s.state_data) < 8192 and pg_column_size(x.outcome) < 1048576
      and x.outcome ? 'output' and not x.outcome ?| '{error,call,usage,messages,logs,tools,log}'
    returning x.ord, x.seq, x.outcome, s.id, s.number, s.user_id, s.workflow_id, s.thread_id, s.lease_epoch, s.last_event, s.steps_used,
      s.max_steps, s.tokens_used, s.cost_micros, s.started_at, s.due_at, s.state_data, s.input, coalesce(s.output, s.state_data) as output,
      n.key, n.type, n.name, n.tool, n.next_is_end, n.next_node, now() + n.next_timeout as deadline_at,
      s.last_event - n.next_is_end::int as event, case when x.outcome ? 'duration_ms' then greatest((x.outcome ->> 'duration_ms')::numeric, 0)::int end as ms
  ), event as (
    insert into private.run_steps (run, event, seq, node, kind, duration_ms, created_at, output)
    select number, event, seq, key, 'step', ms, now(), outcome -> 'output' from taken
  ), tool as (
    insert into public.tool_executions (created_at, user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      started_at, completed_at)
    select now(), user_id, id, ms, 1, 'completed', tool, name, private.keep_json(outcome -> 'arguments'),
      private.keep_json(outcome -> 'output'), now() - make_interval(secs => coalesce(ms, 0)::float8 / 1000), now()
    from taken where type = 'tool'
  ), line as (
    insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata)
    select nextval('public.execution_logs_seq_seq'), user_id, id, agent, name, 'success', message, metadata::json from (
      select user_id, id, 'worker' as agent, name, name || ' done.' as message, concat('{"seq":', seq, '}') as metadata, 1 as n
      from taken
      union all
      select user_id, id, 'evaluator', name, 'Run completed.',
        concat('{"steps":', steps_used, ',"tokens":' || nullif(tokens_used, 0), ',"cost_micros":' || nullif(cost_micros, 0), '}'), 2
      from taken where next_is_end order by n) l
  ), ledger as (
    update public.workflow_executions e set current_state = 'completed', current_step = t.name,
      completed_at = now(), updated_at = now(), results = t.output, error_message = null
    from taken t where t.next_is_end and e.id = t.id
  ), history as (
    update public.task_history h set status = 'completed', completed_at = now(), updated_at = clock_timestamp(),
      result = private.keep_json(t.output, 60000), error_message = null,
      duration_ms = (extract(epoch from now() - t.started_at) * 1000)::bigint
    from taken t where t.next_is_end and h.user_id = t.user_id and h.id = t.id and h.status <> 'completed'
  )
  select array_agg(t.ord order by t.ord), array_agg(case when t.next_is_end then
      concat('{"run_id":"', t.id, '","status":"completed","accepted":true,"tasks":[],"output":', t.output, '}')
    else concat('{"run_id":"', t.id, '","status":"running","accepted":true,"tasks":[{"seq":', t.seq + 1,
      case when not p_lean then concat(',"run_id":"', t.id, '","epoch":', t.lease_epoch, ',"attempt":1,"key":"', t.id, ':', t.seq + 1,
        '","user_id":"', t.user_id, '","workflow_id":', coalesce(to_json(t.workflow_id), 'null'),
        ',"thread_id":', coalesce(to_json(t.thread_id), 'null'), ',"input":', t.input) end,
      ',"node":', t.next_node, ',"state":', t.state_data, ',"budget_left":{"steps":', t.max_steps - t.steps_used,
      ',"tokens":null,"cost_micros":null,"time_ms":null},"lease_until":', to_json(t.due_at),
      ',"deadline_at":', coalesce(to_json(t.deadline_at), 'null'), '}]}') end order by t.ord),
    array_agg(t.id) filter (where t.next_is_end
      and exists (select from public.mira_learned_patterns p where p.workflow_id = t.workflow_id and p.valid_to is null))
    into ords, replies, v_habits from taken t;
  if v_habits is not null then
    perform private.learn_from_run(e.user_id, e.workflow_id, true)
      from public.workflow_executions e where e.id = any (v_habits) order by e.workflow_id;
  end if;
end $$;
comment on function private.advance_straights(jsonb, interval, boolean) is
  'private.advance_straight for any number of runs in one statement: the positions it took, and their replies.';

create function private.advance(p_run_id uuid, p_epoch int, p_seq int, p_outcome jsonb, p_lease interval) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  n private.version_nodes;
  v_tasks jsonb := '[]';
  v_entry jsonb;
  v_old text;
  v_tokens bigint;
  v_cost bigint;
  v_retry jsonb;
  v_attempt int;
  v_wait float8;
  v_call jsonb;
begin
  select * into r from public.mira_workflow_state where id = p_run_id for update;
  if not found then
    return private.refusal(p_run_id, null, 'run_not_found');
  elsif r.status in ('completed', 'failed', 'cancelled') then
    return private.reply(r, '[]', '{"accepted": false, "reason": "run_finished"}');
  elsif r.lease_epoch <> p_epoch then
    return private.refusal(r.id, r.status, 'stale_epoch');
  end if;
  v_old := r.status;
  r := private.with_cursor(r);
  v_entry := r.cursor -> 'o' -> p_seq::text;
  if v_entry is null or v_entry ? 'k' or (v_entry ->> 'i')::int is distinct from p_epoch then
    if p_seq >= r.next_seq then
      return private.refusal(r.id, r.status, 'stale_step');
    end if;
    -- the report came before and its answer was lost: repeat what is out under this epoch
    return private.refusal(r.id, r.status, 'already_recorded', coalesce((
      select jsonb_agg(private.task(r, vn, o.key::int, o.value, p_lease) order by o.key::int)
      from jsonb_each(r.cursor -> 'o') o
      join private.version_nodes vn on vn.version_id = r.version_id and vn.key = (o.value ->> 'n')::int
      where not o.value ? 'k' and (o.value ->> 'i')::int = p_epoch), '[]'));
  end if;
  select * into strict n from private.version_nodes where version_id = r.version_id and key = (v_entry ->> 'n')::int;

  v_call := p_outcome -> 'call';
  if v_call is not null then
    select s.call into v_call from private.run_steps s
      where s.run = r.number and s.seq = p_seq and s.call_index = (v_call ->> 'index')::int;
    if found then
      return private.refusal(r.id, r.status, 'call_recorded') || jsonb_build_object('call', v_call);
    end if;
  end if;

  r.stalls := 0;
  if n.type <> 'tool' then
    -- a model's answer is reported before anything follows from it: no call is under way now
    perform private.settle_spend(r.id, p_seq, '{-1}');
  end if;
  if p_outcome ? 'usage' then
    v_tokens := private.tokens_of(p_outcome -> 'usage');
    v_cost := private.cost_of(p_outcome -> 'usage');
    r.tokens_used := r.tokens_used + v_tokens;
    r.cost_micros := r.cost_micros + v_cost;
    if v_tokens <> 0 or v_cost <> 0 then
      perform private.spend(r.user_id, v_tokens, v_cost);
    end if;
  end if;
  if n.type = 'tool' or p_outcome ?| '{logs,messages,tools}' then
    if not p_outcome ? 'call' or p_outcome ?| '{logs,messages,tools}' then
      perform private.write_reported(r, n, p_seq, coalesce((v_entry ->> 'a')::int, 1), p_outcome);
    end if;
  end if;

  if p_outcome ? 'call' then
    r.cursor := jsonb_set(r.cursor, array['o', p_seq::text, 'c'], to_jsonb(coalesce((v_entry ->> 'c')::int, 0) + 1));
    r := private.write_event(r, n.key, p_seq, 'call', v_entry, p_outcome);
  elsif p_outcome ? 'confirm' then
    v_entry := (v_entry - 'i') || jsonb_build_object('k', 'human', 'ask', jsonb_build_object(
      'key', p_outcome #> '{confirm,key}', 'schema', '{"type": "boolean"}'::jsonb,
      'prompt', format('Allow the tool "%s"?', p_outcome #>> '{confirm,tool}'),
      'confirm', jsonb_build_object('tool', p_outcome #> '{confirm,tool}',
        'arguments', private.keep_json(p_outcome #> '{confirm,arguments}'))));
    r.cursor := jsonb_set(r.cursor, array['o', p_seq::text], v_entry);
    r := private.write_event(r, n.key, p_seq, 'waiting', v_entry, jsonb_build_object('call', v_entry -> 'ask'));
    perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info',
      format('Asks whether it may call %s.', p_outcome #>> '{confirm,tool}'), jsonb_build_object('seq', p_seq));
  elsif p_outcome ? 'error' then
    v_retry := coalesce(n.node #> '{config,retry}', '{}');
    v_attempt := coalesce((v_entry ->> 'a')::int, 1);
    if coalesce((p_outcome #>> '{error,retryable}')::boolean, true)
      and v_attempt < coalesce((v_retry ->> 'max_attempts')::numeric, 3) then
      v_wait := greatest(private.backoff_ms(v_retry, v_attempt), coalesce((p_outcome #>> '{error,retry_after_ms}')::float8, 0));
      r.cursor := jsonb_set(r.cursor, array['o', p_seq::text], (v_entry - 'i')
        || jsonb_build_object('a', v_attempt + 1, 'at', now() + make_interval(secs => v_wait / 1000)));
      r := private.write_event(r, n.key, p_seq, 'retry', v_entry, p_outcome);
      perform private.write_log(r.user_id, r.id, 'worker', n.node ->> 'name', 'warning',
        private.clip_text(private.redact_text(format('%s will be tried again: %s', n.node ->> 'name', p_outcome #>> '{error,message}')), 4096),
        jsonb_build_object('seq', p_seq, 'attempt', v_attempt, 'wait_ms', round(v_wait), 'code', p_outcome #> '{error,code}'));
    else
      r := private.fail_step(r, n, p_seq, p_outcome);
    end if;
  else
    perform private.write_log(r.user_id, r.id,
      coalesce(nullif(left(p_outcome #>> '{log,agent_type}', 64), ''), 'worker'), n.node ->> 'name',
      case when p_outcome #>> '{log,level}' in ('info', 'success', 'error', 'warning') then p_outcome #>> '{log,level}' else 'success' end,
      case when p_outcome #>> '{log,message}' <> '' then private.clip_text(private.redact_text(p_outcome #>> '{log,message}'), 4096)
           else (n.node ->> 'name') || ' done.' end,
      jsonb_build_object('seq', p_seq) || private.clip_json(private.keep_json(p_outcome #> '{log,metadata}', 8192), 8192)
        || case when p_outcome ? 'usage' then jsonb_build_object('usage', private.keep_json(p_outcome -> 'usage', 2048)) else '{}' end);
    r := private.complete_step(r, n, p_seq, p_outcome);
  end if;

  if r.status not in ('failed', 'completed') and (r.tokens_used > r.max_tokens or r.cost_micros > r.max_cost_micros) then
    r := private.fail_run(r, 'budget_exceeded', 'The run spent more than its budget.', n.node ->> 'name', p_seq);
  end if;
  if r.status not in ('failed', 'completed') then
    r := private.wake(r);
  end if;
  if r.status not in ('failed', 'completed') then
    v_issued := private.issue(r, p_lease);
    r := v_issued.r;
    v_tasks := v_issued.tasks;
  end if;
  r := private.save(r, v_old, p_lease);
  return private.reply(r, v_tasks || private.tasks_around(r, p_lease));
end $$;
comment on function private.advance(uuid, int, int, jsonb, interval) is
  'One worker''s report on one step, and what to do next. Never raises for a stale report: accepted=false and a reason.';

create function private.advance_batch(p_steps jsonb, p_lease interval, p_lean boolean) returns json
language plpgsql security definer set search_path = '' as $$
declare
  v_straight record := private.advance_straights(p_steps, p_lease, p_lean);
  v_replies text[];
  x record;
begin
  if cardinality(v_straight.ords) = jsonb_array_length(p_steps) then
    return concat('[', array_to_string(v_straight.replies, ','), ']')::json;
  end if;
  for i in 1..coalesce(cardinality(v_straight.ords), 0) loop
    v_replies[v_straight.ords[i]] := v_straight.replies[i];
  end loop;
  -- Locks in one order here, too. Who ends a child goes on to its parent: parent after parent, each after its children,
  -- so that two batches with children of the same parents meet at the first of them.
  for x in select t.run_id, t.epoch, t.seq, t.outcome, t.ord from rows from (
      jsonb_to_recordset(p_steps) as (run_id uuid, epoch int, seq int, outcome jsonb)) with ordinality t(run_id, epoch, seq, outcome, ord)
    left join public.mira_workflow_state s on s.id = t.run_id
    where v_straight.ords is null or t.ord <> all (v_straight.ords) order by coalesce(s.parent_run_id, t.run_id), s.parent_run_id is null, t.run_id, t.seq loop
    v_replies[x.ord] := private.advance(x.run_id, x.epoch, x.seq, x.outcome, p_lease);
  end loop;
  return concat('[', array_to_string(v_replies, ','), ']')::json;
end $$;
comment on function private.advance_batch(jsonb, interval, boolean) is 'private.advance for many runs in one transaction; replies in the order of the steps.';

-- Nobody calls these but the server.
select private.close_functions('{
  refusal,advance_straight,advance_straights,advance,advance_batch}');
grant execute on function
  private.advance(uuid, int, int, jsonb, interval), private.advance_straight(uuid, int, int, jsonb, interval, boolean),
  private.advance_batch(jsonb, interval, boolean)
  to service_role;
