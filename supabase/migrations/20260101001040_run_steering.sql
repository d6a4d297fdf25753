-- Engine, from outside: answers, signals, cancel, fork, re-drive.

-- A run that may be acted on, locked. Another person's run does not exist.
create function private.lock_run(p_user_id uuid, p_run_id uuid) returns public.mira_workflow_state
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
begin
  select * into r from public.mira_workflow_state
    where id = p_run_id and (p_user_id is null or user_id = p_user_id) for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  r := private.with_cursor(r);
  return r;
end $$;
comment on function private.lock_run(uuid, uuid) is 'The run, locked. Errors: PT404 run_not_found.';

create function private.continue_run(p_run_id uuid, p_lease_ms int, p_extra jsonb default '{}') returns jsonb
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_tasks jsonb := '[]';
begin
  if p_lease_ms > 0 then
    v_tasks := private.claim_run(p_run_id, private.lease(p_lease_ms));
  end if;
  select * into strict r from public.mira_workflow_state where id = p_run_id;
  r := private.with_cursor(r);
  if p_lease_ms > 0 and r.status in ('completed', 'failed', 'cancelled') and v_tasks = '[]' then
    v_tasks := private.tasks_around(r, private.lease(p_lease_ms));
  end if;
  return private.reply(r, v_tasks, p_extra);
end $$;
comment on function private.continue_run(uuid, int, jsonb) is 'The reply after something outside moved a run; with a lease the caller takes it on.';

-- An answer leaves the id of its request in the mailbox, under a name that no signal has: the same request
-- again finds it and does not answer the next question.
create function private.resume_run(p_user_id uuid, p_run_id uuid, p_value jsonb, p_seq int, p_lease_ms int, p_request_id text)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state := private.lock_run(p_user_id, p_run_id);
  n private.version_nodes;
  v_open int[];
  v_entry jsonb;
  v_old text := r.status;
begin
  if exists (select from private.run_signals a where a.run_id = r.id and a.name = ' answer' and a.dedup_id = p_request_id) then
    return private.continue_run(r.id, p_lease_ms);
  end if;
  v_open := array(select key::int from jsonb_each(r.cursor -> 'o')
    where value ->> 'k' = 'human' and (p_seq is null or key::int = p_seq) order by 1);
  if r.status in ('completed', 'failed', 'cancelled') or cardinality(v_open) = 0 then
    raise exception using errcode = 'PT409', message = 'run_not_waiting', detail = 'No step of this run waits for an answer.';
  elsif cardinality(v_open) > 1 then
    raise exception using errcode = 'PT409', message = 'ambiguous_step',
      detail = format('Several steps wait for an answer: name one of %s.', array_to_string(v_open, ', '));
  end if;
  v_entry := r.cursor #> array['o', v_open[1]::text];
  select * into strict n from private.version_nodes where version_id = r.version_id and key = (v_entry ->> 'n')::int;
  if v_entry ? 'ask' then
    -- the step goes on, told what was said: a call is allowed or not, its answer is the worker's
    if jsonb_typeof(p_value) is distinct from 'boolean' then
      raise exception using errcode = 'PT422', message = 'answer_invalid', detail = 'Whether the tool may be called: true or false.';
    end if;
    r.cursor := jsonb_set(r.cursor, array['o', v_open[1]::text], (v_entry - 'k' - 'ask') || jsonb_build_object('g',
      coalesce(v_entry -> 'g', '{}') || jsonb_build_object(v_entry #>> '{ask,key}', p_value)));
    perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info', format('%s: %s.',
      v_entry #>> '{ask,confirm,tool}', case when p_value = 'true' then 'allowed' else 'refused' end), jsonb_build_object('seq', v_open[1]));
  else
    r := private.complete_step(r, n, v_open[1], jsonb_build_object('output', coalesce(p_value, 'null')));
    perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info', 'Answered.', jsonb_build_object('seq', v_open[1]));
  end if;
  if p_request_id is not null then
    insert into private.run_signals (run_id, name, dedup_id, consumed_seq) values (r.id, ' answer', p_request_id, v_open[1]);
  end if;
  if r.status <> 'failed' then
    r := private.move(r);
  end if;
  r := private.save(r, v_old);
  return private.continue_run(r.id, p_lease_ms);
end $$;
comment on function private.resume_run(uuid, uuid, jsonb, int, int, text) is
  'Answers a human step, or a step that asks whether it may call a tool, once per request id. Errors: PT404 run_not_found, PT409 run_not_waiting, PT409 ambiguous_step, PT422 answer_invalid.';

create function private.signal_run(p_user_id uuid, p_run_id uuid, p_name text, p_payload jsonb, p_dedup_id text, p_lease_ms int)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  v_seq int;
  v_old text;
  v_dedup text := coalesce(p_dedup_id, gen_random_uuid()::text);
begin
  perform from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  elsif coalesce(p_name, '') = '' or length(p_name) > 200 or length(v_dedup) not between 1 and 255 then
    raise exception using errcode = 'PT422', message = 'signal_invalid', detail = 'A signal has a name of 1 to 200 and a dedup id of 1 to 255 characters.';
  end if;
  -- first the letter into the box …
  insert into private.run_signals (run_id, name, dedup_id, payload) values (p_run_id, p_name, v_dedup, p_payload)
  on conflict do nothing;
  if not found then
    return private.continue_run(p_run_id, 0, '{"delivered": false, "duplicate": true}');
  end if;
  -- … then a look whether somebody waits for it
  r := private.lock_run(p_user_id, p_run_id);
  select o.key::int into v_seq from jsonb_each(r.cursor -> 'o') o
    join private.version_nodes vn on vn.version_id = r.version_id and vn.key = (o.value ->> 'n')::int
    where o.value ->> 'k' = 'signal' and vn.node #>> '{config,signal}' = p_name order by 1 limit 1;
  if v_seq is null or r.status in ('completed', 'failed', 'cancelled') then
    return private.reply(r, '[]', '{"delivered": false, "duplicate": false}');
  end if;
  v_old := r.status;
  select * into strict n from private.version_nodes
    where version_id = r.version_id and key = (r.cursor #>> array['o', v_seq::text, 'n'])::int;
  update private.run_signals set consumed_seq = v_seq where run_id = r.id and name = p_name and dedup_id = v_dedup;
  r := private.complete_step(r, n, v_seq, jsonb_build_object('output', coalesce(p_payload, 'null')));
  perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info', format('Signal %s came.', p_name), jsonb_build_object('seq', v_seq));
  if r.status <> 'failed' then
    r := private.move(r);
  end if;
  r := private.save(r, v_old);
  return private.continue_run(r.id, p_lease_ms, '{"delivered": true, "duplicate": false}');
end $$;
comment on function private.signal_run(uuid, uuid, text, jsonb, text, int) is
  'Puts a signal into a run''s mailbox once per dedup id and wakes the step that waits for it. Errors: PT404 run_not_found, PT422 signal_invalid.';

create function private.cancel_run(p_user_id uuid, p_run_id uuid, p_reason text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_ids uuid[];
  v_id uuid;
  v_old text;
  v_accepted boolean := false;
begin
  perform from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  -- children before parents, as everywhere; a child born while we walk is found in the second pass
  for v_pass in 1..2 loop
    with recursive tree as (
      select s.id, 0 as level from public.mira_workflow_state s where s.id = p_run_id
      union all
      select s.id, tree.level + 1 from public.mira_workflow_state s join tree on s.parent_run_id = tree.id
    )
    select array_agg(tree.id order by tree.level desc, tree.id) into v_ids from tree
      join public.mira_workflow_state s on s.id = tree.id where s.status not in ('completed', 'failed', 'cancelled');
    foreach v_id in array coalesce(v_ids, '{}') loop
      if v_pass = 1 then
        select * into r from public.mira_workflow_state where id = v_id for update;
      else
        select * into r from public.mira_workflow_state where id = v_id for update skip locked;
      end if;
      continue when not found or r.status in ('completed', 'failed', 'cancelled');
      r := private.with_cursor(r);
      v_old := r.status;
      r.status := 'cancelled';
      r.error := jsonb_build_object('code', 'cancelled', 'message', coalesce(private.clip_text(p_reason, 1000), 'Cancelled.'));
      if v_id <> p_run_id then
        r.parent_run_id := null;  -- in memory only: its parent is being cancelled too and need not hear of it
      end if;
      r := private.save(r, v_old);
      v_accepted := v_accepted or v_id = p_run_id;
    end loop;
  end loop;
  select * into strict r from public.mira_workflow_state where id = p_run_id;
  return private.reply(r, '[]', jsonb_build_object('accepted', v_accepted));
end $$;
comment on function private.cancel_run(uuid, uuid, text) is
  'Cancels a run and its children; a finished run stays as it is (accepted=false). Errors: PT404 run_not_found.';

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
  insert into private.run_steps (run, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call)
    select r.number, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call
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
select private.close_functions('{
  lock_run,continue_run,resume_run,signal_run,cancel_run,led_to,fork_run}');
grant execute on function
  private.resume_run(uuid, uuid, jsonb, int, int, text), private.signal_run(uuid, uuid, text, jsonb, text, int),
  private.cancel_run(uuid, uuid, text), private.fork_run(uuid, uuid, int, jsonb, int, text)
  to service_role;
