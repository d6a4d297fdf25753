-- Engine, the doors: what the edge functions call, with the server's key only.

-- busy ones plan for keys, not for today's table sizes, since a plan may outlive them by far; the two that begin
-- and advance a run spell private.lease out, whose call would cost more than it does

-- p_boxed: the value comes as {"value": …}. A Data API may hand a bare JSON string to a jsonb parameter
-- as text, which is no JSON any more (or another JSON: "12" would become 12).
create function public.mira_start_run(p_user_id uuid, p_workflow_id uuid default null, p_workflow jsonb default null,
  p_input jsonb default '{}', p_thread_id uuid default null, p_idempotency_key text default null,
  p_options jsonb default '{}', p_lease_ms int default 0, p_boxed boolean default false) returns json
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_reply text;
begin
  if p_boxed then
    p_input := p_input -> 'value';
  end if;
  if p_lease_ms > 0 and p_workflow_id is not null and p_idempotency_key is null and p_options = '{}' and p_input is not null then
    v_reply := private.start_straight(p_user_id, p_workflow_id, jsonb_build_array(p_input), p_thread_id,
      least(greatest(p_lease_ms, 1000), 900000) * interval '1 ms');
    if v_reply is not null then
      return v_reply::json;
    end if;
  end if;
  return private.start_run(p_user_id, p_workflow_id, p_workflow, p_input, p_thread_id, p_idempotency_key, p_options, p_lease_ms);
end $$;
create function public.mira_start_runs(p_user_id uuid, p_workflow_id uuid, p_inputs jsonb, p_lease_ms int default 0) returns json
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_replies text;
begin
  if p_lease_ms > 0 then
    v_replies := private.start_straight(p_user_id, p_workflow_id, p_inputs, null, private.lease(p_lease_ms));
  end if;
  return coalesce('[' || v_replies || ']', (select coalesce(json_agg(private.start_run(p_user_id, p_workflow_id, null, i.value, null, null, '{}', p_lease_ms)
    order by i.ordinality)::text, '[]') from jsonb_array_elements(p_inputs) with ordinality i))::json;
end $$;
create function public.mira_claim_tasks(p_limit int default 10, p_lease_ms int default 60000, p_item_batch int default null,
  p_user_id uuid default null, p_run_id uuid default null) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.claim_tasks(p_limit, p_lease_ms, p_item_batch, p_user_id, p_run_id);
end $$;
create function public.mira_advance(p_run_id uuid, p_epoch int, p_seq int, p_outcome jsonb, p_lease_ms int default 60000,
  p_lean boolean default false)
returns json
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
declare
  v_lease interval := least(greatest(p_lease_ms, 1000), 900000) * interval '1 ms';
  v_reply json;
begin
  if p_outcome ? 'output' and not p_outcome ?| '{error,call,usage,messages,logs,tools,log}'
    and pg_column_size(p_outcome) < 1048576 then
    v_reply := private.advance_straight(p_run_id, p_epoch, p_seq, p_outcome, v_lease, p_lean);
    if v_reply is not null then
      return v_reply;
    end if;
  end if;
  return private.advance(p_run_id, p_epoch, p_seq, p_outcome, v_lease)::json;
end $$;
create function public.mira_advance_items(p_run_id uuid, p_seq int, p_results jsonb, p_take int default null,
  p_lease_ms int default 60000, p_lean boolean default false) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.advance_items(p_run_id, p_seq, p_results, p_take, private.lease(p_lease_ms), p_lean);
end $$;
create function public.mira_advance_batch(p_steps jsonb, p_lease_ms int default 60000, p_lean boolean default false) returns json
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.advance_batch(p_steps, private.lease(p_lease_ms), p_lean);
end $$;
create function public.mira_renew_leases(p_leases jsonb, p_lease_ms int default 60000) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.renew_leases(p_leases, private.lease(p_lease_ms));
end $$;
create function public.mira_release_runs(p_leases jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.release_runs(p_leases);
end $$;
create function public.mira_resume_run(p_user_id uuid, p_run_id uuid, p_value jsonb, p_seq int default null,
  p_lease_ms int default 0, p_boxed boolean default false, p_request_id text default null) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.resume_run(p_user_id, p_run_id, case when p_boxed then p_value -> 'value' else p_value end,
    p_seq, p_lease_ms, p_request_id);
end $$;
create function public.mira_signal_run(p_user_id uuid, p_run_id uuid, p_name text, p_payload jsonb default null,
  p_dedup_id text default null, p_lease_ms int default 0, p_boxed boolean default false) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.signal_run(p_user_id, p_run_id, p_name, case when p_boxed then p_payload -> 'value' else p_payload end,
    p_dedup_id, p_lease_ms);
end $$;
create function public.mira_cancel_run(p_user_id uuid, p_run_id uuid, p_reason text default null) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.cancel_run(p_user_id, p_run_id, p_reason);
end $$;
create function public.mira_fork_run(p_user_id uuid, p_run_id uuid, p_seq int, p_state jsonb default null,
  p_lease_ms int default 0, p_idempotency_key text default null) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.fork_run(p_user_id, p_run_id, p_seq, p_state, p_lease_ms, p_idempotency_key);
end $$;
create function public.mira_read_run(p_user_id uuid, p_run_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return private.read_run(p_user_id, p_run_id);
end $$;
create function public.mira_run_events(p_user_id uuid, p_run_id uuid, p_after int default 0, p_limit int default 200)
returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return private.run_events(p_user_id, p_run_id, p_after, p_limit);
end $$;
create function public.mira_read_graph(p_user_id uuid, p_workflow_id uuid default null, p_run_id uuid default null)
returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return private.read_graph(p_user_id, p_workflow_id, p_run_id);
end $$;
create function public.mira_input_schema(p_user_id uuid, p_workflow_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return private.input_schema(p_user_id, p_workflow_id);
end $$;
create function public.mira_validate_workflow(p_user_id uuid, p_workflow_id uuid default null, p_workflow jsonb default null)
returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  return private.validate_workflow(p_user_id, p_workflow_id, p_workflow);
end $$;
create function public.mira_activate_workflow(p_user_id uuid, p_workflow_id uuid) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.activate(p_user_id, p_workflow_id);
end $$;
create function public.mira_redrive_runs(p_user_id uuid, p_run_ids uuid[]) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.redrive_runs(p_user_id, p_run_ids);
end $$;

comment on function public.mira_start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int, boolean) is
  'Starts a run of an active workflow or of an inline graph; p_lease_ms > 0: the caller drives it and gets tasks.';
comment on function public.mira_start_runs(uuid, uuid, jsonb, int) is
  'Starts one run of an active workflow per element of p_inputs, in one call; replies in the same order.';
comment on function public.mira_claim_tasks(int, int, int, uuid, uuid) is 'Tasks of due and abandoned runs, users taking turns.';
comment on function public.mira_advance(uuid, int, int, jsonb, int, boolean) is 'Reports one step and returns what to do next; p_lean: the next task of the run may come without what its last one said (run_id, epoch, attempt 1, key, user_id, workflow_id, thread_id, input).';
comment on function public.mira_advance_items(uuid, int, jsonb, int, int, boolean) is 'Reports a batch of fan-out items and takes the next; p_lean: without state, input and node, which the caller has.';
comment on function public.mira_advance_batch(jsonb, int, boolean) is 'mira_advance for many runs in one call; replies in the same order.';
comment on function public.mira_renew_leases(jsonb, int) is 'Keeps leases of long steps alive; says which runs are lost.';
comment on function public.mira_release_runs(jsonb) is 'Gives leased work back at once.';
comment on function public.mira_resume_run(uuid, uuid, jsonb, int, int, boolean, text) is 'Answers a step that waits for a person, once per request id.';
comment on function public.mira_signal_run(uuid, uuid, text, jsonb, text, int, boolean) is 'Sends a run a named signal, once per dedup id.';
comment on function public.mira_cancel_run(uuid, uuid, text) is 'Cancels a run and its children.';
comment on function public.mira_fork_run(uuid, uuid, int, jsonb, int, text) is 'A new run from just before a step, with the same or an edited state; one per idempotency key.';
comment on function public.mira_read_run(uuid, uuid) is 'A run: status, state, steps, spend, what it waits for.';
comment on function public.mira_run_events(uuid, uuid, int, int) is 'A run''s events after a number, for following it.';
comment on function public.mira_read_graph(uuid, uuid, uuid) is 'A graph for drawing; with a run, the path it took.';
comment on function public.mira_input_schema(uuid, uuid) is 'The JSON Schema of the input that a start of this workflow takes; null = any.';
comment on function public.mira_validate_workflow(uuid, uuid, jsonb) is 'What is wrong with a graph.';
comment on function public.mira_activate_workflow(uuid, uuid) is 'Freezes a draft as the version that starts use.';
comment on function public.mira_redrive_runs(uuid, uuid[]) is 'Lets failed runs go on where they failed.';

-- Nobody calls these but the server.
select private.close_functions('{
  mira_start_run,mira_start_runs,mira_claim_tasks,mira_advance,mira_advance_items,mira_advance_batch,mira_renew_leases,
  mira_release_runs,mira_resume_run,mira_signal_run,mira_cancel_run,mira_fork_run,mira_read_run,mira_run_events,
  mira_read_graph,mira_input_schema,mira_validate_workflow,mira_activate_workflow,mira_redrive_runs}');
grant execute on function
  public.mira_start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int, boolean),
  public.mira_start_runs(uuid, uuid, jsonb, int), public.mira_claim_tasks(int, int, int, uuid, uuid), public.mira_advance(uuid, int, int, jsonb, int, boolean),
  public.mira_advance_items(uuid, int, jsonb, int, int, boolean), public.mira_advance_batch(jsonb, int, boolean),
  public.mira_renew_leases(jsonb, int), public.mira_release_runs(jsonb),
  public.mira_resume_run(uuid, uuid, jsonb, int, int, boolean, text),
  public.mira_signal_run(uuid, uuid, text, jsonb, text, int, boolean), public.mira_cancel_run(uuid, uuid, text),
  public.mira_fork_run(uuid, uuid, int, jsonb, int, text), public.mira_read_run(uuid, uuid),
  public.mira_run_events(uuid, uuid, int, int), public.mira_read_graph(uuid, uuid, uuid), public.mira_input_schema(uuid, uuid),
  public.mira_validate_workflow(uuid, uuid, jsonb), public.mira_activate_workflow(uuid, uuid),
  public.mira_redrive_runs(uuid, uuid[])
  to service_role;
