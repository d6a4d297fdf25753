-- Engine, from outside: answers, signals, cancels.

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
  -- children before parents, as everywhere; a child born while we walk is stopped with its parent
  with recursive tree as (
    select s.id, 0 as level from public.mira_workflow_state s where s.id = p_run_id
    union all
    select s.id, tree.level + 1 from public.mira_workflow_state s join tree on s.parent_run_id = tree.id
  )
  select array_agg(tree.id order by tree.level desc, tree.id) into v_ids from tree
    join public.mira_workflow_state s on s.id = tree.id where s.status not in ('completed', 'failed', 'cancelled');
  foreach v_id in array coalesce(v_ids, '{}') loop
    select * into r from public.mira_workflow_state where id = v_id for update;
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
  select * into strict r from public.mira_workflow_state where id = p_run_id;
  return private.reply(r, '[]', jsonb_build_object('accepted', v_accepted));
end $$;
comment on function private.cancel_run(uuid, uuid, text) is
  'Cancels a run and its children; a finished run stays as it is (accepted=false). Errors: PT404 run_not_found.';

-- Nobody calls these but the server.
select private.close_functions('{
  lock_run,continue_run,resume_run,signal_run,cancel_run}');
grant execute on function
  private.resume_run(uuid, uuid, jsonb, int, int, text), private.signal_run(uuid, uuid, text, jsonb, text, int),
  private.cancel_run(uuid, uuid, text)
  to service_role;
