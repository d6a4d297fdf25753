-- Engine, the checkpoint: written with what follows from it, the lease, the ledger, the history, the parent.

-- Ledger and history follow the status of a run; the commentary tells its end.
create function private.follow_ledger(p_run_id uuid, p_user_id uuid, p_status text, p_step text, p_started_at timestamptz,
  p_finished_at timestamptz, p_output jsonb, p_error text) returns void
language plpgsql set search_path = '' as $$
declare
  v_workflow uuid;
begin
  update public.workflow_executions e set current_state = p_status, current_step = p_step,
    started_at = p_started_at, completed_at = p_finished_at, updated_at = now(),
    results = p_output, error_message = p_error
  where e.id = p_run_id returning workflow_id into v_workflow;
  -- stamped with the clock: within one transaction a stamp of its beginning would look like none (private.check_task)
  update public.task_history t set status = p_status, started_at = p_started_at, completed_at = p_finished_at,
    updated_at = clock_timestamp(), result = private.keep_json(p_output, 60000), error_message = p_error,
    duration_ms = (extract(epoch from p_finished_at - p_started_at) * 1000)::bigint
  where t.user_id = p_user_id and t.id = p_run_id and t.status <> p_status;
  if p_status in ('completed', 'failed')
    and exists (select from public.mira_learned_patterns t where t.workflow_id = v_workflow and t.valid_to is null) then
    perform private.learn_from_run(p_user_id, v_workflow, p_status = 'completed');
  end if;
end $$;
comment on function private.follow_ledger(uuid, uuid, text, text, timestamptz, timestamptz, jsonb, text) is
  'Brings ledger and task history in line with a run''s status.';

create function private.close_ledger(p_run_id uuid, p_user_id uuid, p_status text, p_step text, p_started_at timestamptz,
  p_finished_at timestamptz, p_output jsonb, p_error text, p_steps int, p_tokens bigint, p_cost bigint) returns void
language plpgsql set search_path = '' as $$
begin
  perform private.follow_ledger(p_run_id, p_user_id, p_status, p_step, p_started_at, p_finished_at, p_output, p_error);
  if p_finished_at is not null then
    insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata)
    values (nextval('public.execution_logs_seq_seq'), p_user_id, p_run_id, 'evaluator', p_step,
      case p_status when 'completed' then 'success' when 'failed' then 'error' else 'warning' end,
      case p_status when 'completed' then 'Run completed.' when 'cancelled' then 'Run cancelled.'
        else 'Run failed: ' || coalesce(p_error, '') end,
      jsonb_strip_nulls(jsonb_build_object('steps', p_steps, 'tokens', nullif(p_tokens, 0), 'cost_micros', nullif(p_cost, 0))));
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
    r.due_at := case when exists (select from public.mira_workflow_state c where c.parent_run_id = r.id and c.finished_at is null)
      and not private.stop_children(r.id) then now() + interval '1 second' end;
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

-- Nobody waits any more for the children of a run that has ended, or of a fan-out that has failed. Locks are taken
-- child before parent and the parent is held already, so that a child which somebody holds is passed over: of a
-- run that has ended it is stopped by whoever claims the run a moment later (private.lease_run).
create function private.stop_children(p_run_id uuid, p_seq int default null) returns boolean
language plpgsql set search_path = '' as $$
declare
  c public.mira_workflow_state;
  v_old text;
begin
  for c in select * from public.mira_workflow_state s
    where s.parent_run_id = p_run_id and (p_seq is null or s.parent_seq = p_seq) and s.finished_at is null
    order by s.id desc for update skip locked loop
    v_old := c.status;
    c := private.with_cursor(c);
    c.status := 'cancelled';
    c.error := '{"code": "cancelled", "message": "The run that it was part of needs it no longer."}';
    c.parent_run_id := null; -- in memory only: who needs it no longer need not hear of its end
    perform private.save(c, v_old);
  end loop;
  return not exists (select from public.mira_workflow_state s
    where s.parent_run_id = p_run_id and (p_seq is null or s.parent_seq = p_seq) and s.finished_at is null);
end $$;
comment on function private.stop_children(uuid, int) is
  'Cancels the unfinished children of a run, or of one of its steps, that nobody holds at this moment; whether none is left.';

-- A sub-workflow that failed is begun anew as often as its node's retry says, by default never: its steps have
-- had their own attempts.
create function private.child_again(r public.mira_workflow_state, n private.version_nodes, p_seq int, p_item int, p_input jsonb,
  p_retry jsonb, p_attempt int) returns boolean
language plpgsql set search_path = '' as $$
begin
  if p_attempt >= coalesce((p_retry ->> 'max_attempts')::numeric, 1) then
    return false;
  end if;
  return private.create_child(r, n, p_seq, p_item, p_input, private.backoff_ms(p_retry, p_attempt)) is null;
exception when sqlstate 'PT404' or sqlstate 'PT409' or sqlstate 'PT422' then
  return false; -- the workflow is no longer to be had
end $$;
comment on function private.child_again(public.mira_workflow_state, private.version_nodes, int, int, jsonb, jsonb, int) is
  'Makes the next run of a sub-workflow whose attempt of that number failed, if its retry allows one more.';

-- A child ended: its parent's step (or item) ends with it.
create function private.child_finished(c public.mira_workflow_state) returns void
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  m private.run_maps;
  v_item private.run_items;
  v_entry jsonb;
  v_attempt int;
  v_old text;
  v_ok boolean := c.status = 'completed';
  v_error jsonb := jsonb_build_object('code', 'child_failed', 'message',
    format('The sub-workflow %s: %s', case c.status when 'cancelled' then 'was cancelled' else c.status end, c.error ->> 'message'), 'child_run_id', c.id);
begin
  if c.parent_item is not null then
    select * into r from public.mira_workflow_state where id = c.parent_run_id for update;
    select * into m from private.run_maps where run_id = c.parent_run_id and seq = c.parent_seq;
    if c.status = 'failed' and m.is_open then
      select * into n from private.version_nodes where version_id = m.version_id and key = m.node;
      update private.run_items set attempt = attempt + 1
        where run_id = c.parent_run_id and seq = c.parent_seq and idx = c.parent_item and output is null and error is null returning * into v_item;
      if found and private.child_again(r, n, c.parent_seq, c.parent_item, private.item_input(n, v_item, r.input),
          coalesce(n.node #> '{config,each,config,retry}', n.node #> '{config,retry}'), v_item.attempt) then
        update private.run_maps set tokens = tokens + c.tokens_used, cost_micros = cost_micros + c.cost_micros
          where run_id = c.parent_run_id and seq = c.parent_seq;
        return;
      end if;
    end if;
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
    v_entry := r.cursor #> array['o', c.parent_seq::text];
    v_attempt := coalesce((v_entry ->> 'a')::int, 1);
    if c.status = 'failed' and private.child_again(r, n, c.parent_seq, null,
        private.pick(coalesce(n.node #> '{config,input}', '"$"'), r.state_data, r.input), n.node #> '{config,retry}', v_attempt) then
      r.cursor := jsonb_set(r.cursor, array['o', c.parent_seq::text], v_entry || jsonb_build_object('a', v_attempt + 1));
      r := private.write_event(r, n.key, c.parent_seq, 'retry', v_entry, jsonb_build_object('error', v_error));
      perform private.write_log(r.user_id, r.id, 'worker', n.node ->> 'name', 'warning',
        private.clip_text(private.redact_text(format('%s will be tried again: %s', n.node ->> 'name', v_error ->> 'message')), 4096),
        jsonb_build_object('seq', c.parent_seq, 'attempt', v_attempt, 'code', v_error -> 'code'));
    else
      r := private.fail_step(r, n, c.parent_seq, jsonb_build_object('error', v_error));
    end if;
  end if;
  r := private.move(r);
  perform private.save(r, v_old);
end $$;
comment on function private.child_finished(public.mira_workflow_state) is
  'Reports a finished child run to the step, or the fan-out item, of its parent.';

-- Nobody calls these but the server.
select private.close_functions('{
  follow_ledger,close_ledger,follow_status,straight_node,save,stop_children,child_again,child_finished}');
