-- Engine, the start: a run of a frozen version or of an inline graph, idempotent, and children.

-- A caller may withhold what the author grants, and the other way round; neither may widen the other's grant.
create function private.tool_grants(p_inherited jsonb, p_author jsonb, p_caller jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_grants jsonb := p_inherited || coalesce(p_author, '[]') || coalesce(p_caller, '[]');
begin
  if p_caller is not null and not private.is_tool_grant(p_caller) then
    raise exception using errcode = 'PT422', message = 'tools_invalid',
      detail = 'tools is {allow: [tool names], otherwise: refuse or confirm}.';
  end if;
  return case when v_grants = '[]' then '{}' else jsonb_build_object('g', v_grants) end;
end $$;
comment on function private.tool_grants(jsonb, jsonb, jsonb) is
  'The part of a new run''s cursor that says which tools with side effects it may call; empty when nobody withholds any. Errors: PT422 tools_invalid.';

-- The row pair of a new run, in memory and in the ledger; the checkpoint is inserted by the caller.
create function private.new_run(v private.workflow_versions, p_user_id uuid, p_input jsonb, p_options jsonb)
returns public.mira_workflow_state
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_budget jsonb := coalesce(v.limits -> 'budget', '{}');
begin
  r.id := private.ordered_uuid();
  r.number := nextval('public.mira_workflow_state_number_seq');
  r.user_id := p_user_id;
  r.workflow_id := v.workflow_id;
  r.version_id := v.id;
  r.depth := 0;
  r.priority := least(greatest(coalesce((p_options ->> 'priority')::numeric::int, 5), 0), 9);
  -- a caller may tighten the author's budget, not widen it
  r.max_steps := least((v_budget ->> 'steps')::bigint, (p_options #>> '{budget,steps}')::bigint, 100000);
  if not v_budget ? 'steps' and not coalesce(p_options -> 'budget', '{}') ? 'steps' then
    r.max_steps := 1000;
  end if;
  r.max_tokens := least((v_budget ->> 'tokens')::bigint, (p_options #>> '{budget,tokens}')::bigint);
  r.max_cost_micros := least((v_budget ->> 'cost_micros')::bigint, (p_options #>> '{budget,cost_micros}')::bigint);
  r.deadline_at := now() + make_interval(secs =>
    least((v_budget ->> 'time_ms')::float8, (p_options #>> '{budget,time_ms}')::float8) / 1000);
  r.created_at := now();
  r.updated_at := now();
  r.lease_epoch := 0;
  r.stalls := 0;
  r.status := 'pending';
  r.steps_used := 0;
  r.next_seq := 1;
  r.last_event := 1;
  r.tokens_used := 0;
  r.cost_micros := 0;
  r.input := coalesce(p_input, '{}');
  r.state_data := case when jsonb_typeof(r.input) = 'object' then r.input else jsonb_build_object('input', r.input) end;
  r.cursor := jsonb_build_object('o', '{}'::jsonb, 'q', jsonb_build_array(v.start_key))
    || private.tool_grants(coalesce(p_options -> 'grants', '[]'), v.limits -> 'tools', p_options -> 'tools');
  r.due_at := now() + make_interval(secs => coalesce((p_options ->> 'delay_ms')::float8, 0) / 1000);
  insert into public.workflow_executions (id, user_id, workflow_id, conversation_id, workflow_type, current_state,
    participating_agents, workflow_config, execution_plan, created_at, updated_at)
  values (r.id, p_user_id, v.workflow_id, p_options ->> 'conversation_id', v.name, 'pending', v.agents,
    jsonb_strip_nulls(jsonb_build_object('input', r.input, 'version', v.version, 'metadata', p_options -> 'metadata')),
    jsonb_strip_nulls(jsonb_build_object('priority', nullif(r.priority, 5), 'budget', p_options -> 'budget',
      'tools', p_options -> 'tools', 'parent_run_id', p_options -> 'parent_run_id', 'forked_from', p_options -> 'forked_from')), now(), now());
  insert into public.task_history (id, user_id, execution_id, description, updated_at)
  values (r.id, p_user_id, r.id, v.name, now());
  return r;
end $$;
comment on function private.new_run(private.workflow_versions, uuid, jsonb, jsonb) is
  'A pending run of a version: ledger and history rows written, checkpoint returned for the caller to finish and insert.';

create function private.insert_run(r public.mira_workflow_state) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.mira_workflow_state select r.*;
end $$;
comment on function private.insert_run(public.mira_workflow_state) is 'Inserts a run''s checkpoint.';

-- The version a start would use.
create function private.current_version(p_workflow_id uuid, p_user_id uuid) returns private.workflow_versions
language plpgsql set search_path = '' as $$
declare
  w public.mira_workflows;
  v private.workflow_versions;
begin
  select * into w from public.mira_workflows where id = p_workflow_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
  elsif not w.is_active then
    raise exception using errcode = 'PT409', message = 'workflow_not_active',
      detail = 'The workflow is a draft: activate it first.';
  end if;
  select * into v from private.workflow_versions where workflow_id = w.id and version = w.version;
  if not found then
    v := private.freeze_graph(w.user_id, w.id, private.draft_graph(w));
  end if;
  return v;
end $$;
comment on function private.current_version(uuid, uuid) is
  'The frozen version of an active workflow. Errors: PT404 workflow_not_found, PT409 workflow_not_active, PT422 workflow_invalid.';

create function private.missing_key(p_required text[], p_input jsonb) returns text
language sql immutable set search_path = '' as $$
  -- a text that is the name, or a list that holds it, is no object that has it
  select k from unnest(p_required) k where jsonb_typeof(p_input) is distinct from 'object' or not p_input ? k limit 1
$$;
comment on function private.missing_key(text[], jsonb) is 'The first key that an input must have and has not; null when it has them all.';

-- What a parent hands to a child passes no door that checks it by the whole schema.
create function private.input_fault(v private.workflow_versions, p_input jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_schema jsonb := coalesce(v.graph -> 'input_schema', '{}');
  v_missing text := private.missing_key(v.required, p_input);
begin
  return coalesce('The input lacks "' || v_missing || '".', (
    select format('The input%s is %s, and %s is wanted.', ' "' || t.key || '"', jsonb_typeof(t.value),
      replace(btrim((t.schema -> 'type')::text, '[]"'), '"', ''))
    from (
      select null as key, v_schema as schema, p_input as value
      union all
      select p.key, p.value, p_input -> p.key
      from jsonb_each(case jsonb_typeof(v_schema -> 'properties') when 'object' then v_schema -> 'properties' else '{}' end) p
      where jsonb_typeof(p_input) = 'object' and p_input ? p.key) t
    where jsonb_typeof(t.schema -> 'type') in ('string', 'array') and not t.schema -> 'type' ? jsonb_typeof(t.value)
      and not (t.schema -> 'type' ? 'integer' and case jsonb_typeof(t.value) when 'number' then t.value::text::numeric % 1 = 0 else false end)
    order by t.key nulls first limit 1));
end $$;
comment on function private.input_fault(private.workflow_versions, jsonb) is
  'What keeps a value from being the input of a sub-workflow, null when nothing does: a required key that is missing, a declared key of another type. What else the schema says only the doors check.';

-- The straight road of starting: runs of an active workflow that begin with a task, with nothing to limit them
-- and nothing to be said about them. However many there are, one statement writes ledger, history and
-- checkpoint. Null = take the long road.
create function private.start_straight(p_user_id uuid, p_workflow_id uuid, p_inputs jsonb, p_thread_id uuid, p_lease interval)
returns text
language plpgsql security definer set search_path = '' as $$
declare
  v_lock text;
  v_version bigint;
  v_number int;
  v_name text;
  v_agents text[];
  v_required text[];
  v_key int;
  v_id uuid;
  v_step text;
  v_node text;
  v_timeout interval;
  v_replies text;
begin
  -- an assignment, since PERFORM would run a query; and ahead of the look at the limits, which sees what the lock waited for
  v_lock := pg_advisory_xact_lock_shared(hashtextextended('mira:limits:' || p_user_id::text, 0));
  select v.id, v.version, v.name, v.agents, v.required, n.next_key, n.next_id, n.next_name, n.next_node, n.next_timeout
    into v_version, v_number, v_name, v_agents, v_required, v_key, v_id, v_step, v_node, v_timeout
  from public.mira_workflows w
  join private.workflow_versions v on v.workflow_id = w.id and v.version = w.version
  join private.version_nodes n on n.version_id = v.id and n.key = v.start_key
  where w.id = p_workflow_id and w.user_id = p_user_id and w.is_active and n.next_key is not null and v.limits = '{}'
    and not exists (select from private.user_limits l where l.user_id = p_user_id);
  if v_version is null then
    return null;
  end if;
  if v_required <> '{}' then
    if exists (select from jsonb_array_elements(p_inputs) i where jsonb_typeof(i) <> 'object' or not i ?& v_required) then
      return null;
    end if;
  end if;
  with run as materialized (
    select private.ordered_uuid() as id, i.value as input, i.ordinality as ord,
      case when jsonb_typeof(i.value) = 'object' then i.value else jsonb_build_object('input', i.value) end as state
    from jsonb_array_elements(p_inputs) with ordinality i
  ), ledger as (
    insert into public.workflow_executions (id, user_id, workflow_id, workflow_type, current_state, current_step, started_at,
      participating_agents, workflow_config, execution_plan)
    select run.id, p_user_id, p_workflow_id, v_name, 'running', v_step, now(), v_agents,
      jsonb_build_object('input', run.input, 'version', v_number), '{}' from run
  ), history as (
    insert into public.task_history (id, user_id, execution_id, description, status, started_at, updated_at)
    select run.id, p_user_id, run.id, v_name, 'running', now(), now() from run
  ), checkpoint as (
    insert into public.mira_workflow_state (id, user_id, workflow_id, version_id, thread_id, max_steps, started_at, leased_at,
      due_at, lease_epoch, status, current_node_id, steps_used, next_seq, last_event, straight_node, cursor, state_data, input)
    select run.id, p_user_id, p_workflow_id, v_version, p_thread_id, 1000, now(), now(),
      now() + p_lease, 1, 'running', v_id, 1, 2, 1, v_key, '{"o": {}}', run.state, run.input from run
  )
  select string_agg(concat('{"run_id":"', run.id, '","status":"running","accepted":true,"created":true,"tasks":[{"run_id":"', run.id,
      '","seq":1,"epoch":1,"attempt":1,"key":"', run.id, ':1","user_id":"', p_user_id, '","workflow_id":"', p_workflow_id,
      '","thread_id":', coalesce(to_json(p_thread_id), 'null'), ',"node":', v_node, ',"state":', run.state, ',"input":', run.input,
      ',"budget_left":{"steps":999,"tokens":null,"cost_micros":null,"time_ms":null},"lease_until":', to_json(now() + p_lease),
      ',"deadline_at":', coalesce(to_json(now() + v_timeout), 'null'), '}]}'), ',' order by run.ord)
    into v_replies from run;
  return v_replies;
end $$;
comment on function private.start_straight(uuid, uuid, jsonb, uuid, interval) is
  'Starts one run per input of a workflow that begins with a task and has no limits, and leases them: replies in order, as JSON texts with commas between, or null.';

create function private.start_run(p_user_id uuid, p_workflow_id uuid, p_workflow jsonb, p_input jsonb, p_thread_id uuid,
  p_idempotency_key text, p_options jsonb, p_lease_ms int) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  v private.workflow_versions;
  v_user uuid := p_user_id;
  v_tasks jsonb := '[]';
  v_lease interval;
  v_old text;
  v_missing text;
  u record;
begin
  if length(p_idempotency_key) > 255 then
    raise exception using errcode = 'PT422', message = 'idempotency_key_invalid', detail = 'An idempotency key has at most 255 characters.';
  elsif p_idempotency_key is not null then
    select * into r from public.mira_workflow_state where user_id = v_user and idempotency_key = p_idempotency_key;
    if found then
      return private.reply(r, '[]', '{"created": false}');
    end if;
  end if;
  if p_workflow_id is not null then
    v := private.current_version(p_workflow_id, v_user);
    v_user := coalesce(v_user, v.user_id);
  elsif p_workflow is not null and v_user is not null then
    v := private.freeze_graph(v_user, null, p_workflow);
  else
    raise exception using errcode = 'PT422', message = 'workflow_required',
      detail = 'Name a workflow_id, or send a workflow (the service then names the user, too).';
  end if;
  v_missing := private.missing_key(v.required, p_input);
  if v_missing is not null then
    raise exception using errcode = 'PT422', message = 'input_invalid', detail = format('The input lacks "%s".', v_missing);
  end if;
  select * into u from private.user_left(v_user);
  if u.tokens <= 0 or u.cost_micros <= 0 then
    raise exception using errcode = 'PT402', message = 'user_budget_exceeded', detail = 'Today''s budget of this user is spent.';
  end if;
  begin
    perform pg_advisory_xact_lock_shared(hashtextextended('mira:limits:' || v_user::text, 0));
    r := private.new_run(v, v_user, p_input, p_options);
    r.thread_id := p_thread_id;
    r.idempotency_key := p_idempotency_key;
    if p_lease_ms > 0 and r.due_at <= now() and private.may_run(r) then
      v_lease := private.lease(p_lease_ms);
      r.lease_epoch := 1;
      r.leased_at := now();
      r.due_at := now() + v_lease;
      v_old := r.status;
      perform private.insert_run(r);
      r := private.wake(r);
      if r.status not in ('failed', 'completed') then
        v_issued := private.issue(r, v_lease);
        r := v_issued.r;
        v_tasks := v_issued.tasks;
      end if;
      r := private.save(r, v_old, v_lease);
      v_tasks := v_tasks || private.tasks_around(r, v_lease);
    else
      perform private.insert_run(r);
    end if;
  exception when unique_violation then
    -- the same key at the same moment: the other start is the one
    select * into r from public.mira_workflow_state where user_id = v_user and idempotency_key = p_idempotency_key;
    if not found then
      raise;
    end if;
    return private.reply(r, '[]', '{"created": false}');
  end;
  return private.reply(r, v_tasks, '{"created": true}');
end $$;
comment on function private.start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int) is
  'Starts a run, or finds the one the same idempotency key started; with a lease the caller drives it at once.';

create function private.create_child(p_parent public.mira_workflow_state, n private.version_nodes, p_seq int, p_item int,
  p_input jsonb, p_delay_ms float8 default 0) returns text
language plpgsql set search_path = '' as $$
declare
  c public.mira_workflow_state;
  v private.workflow_versions;
  v_fault text;
begin
  if p_parent.depth >= 8 then
    raise exception using errcode = 'PT422', message = 'too_deep', detail = 'Sub-workflows nest at most 8 deep.';
  end if;
  v := private.current_version(
    (case when p_item is null then n.node #>> '{config,workflow_id}' else n.node #>> '{config,each,config,workflow_id}' end)::uuid,
    p_parent.user_id);
  v_fault := private.input_fault(v, p_input);
  if v_fault is not null then
    return v_fault;
  end if;
  c := private.new_run(v, p_parent.user_id, p_input,
    jsonb_strip_nulls(jsonb_build_object('priority', p_parent.priority, 'delay_ms', p_delay_ms, 'parent_run_id', p_parent.id, 'grants', p_parent.cursor -> 'g', 'budget', jsonb_strip_nulls(jsonb_build_object(
      'tokens', case when p_parent.max_tokens is not null then greatest(p_parent.max_tokens - p_parent.tokens_used, 0) end,
      'cost_micros', case when p_parent.max_cost_micros is not null then greatest(p_parent.max_cost_micros - p_parent.cost_micros, 0) end)))));
  c.deadline_at := least(c.deadline_at, p_parent.deadline_at, now() + make_interval(secs => (p_delay_ms + case when p_item is null then n.timeout_ms
    else coalesce((n.node #>> '{config,each,config,timeout_ms}')::bigint, n.timeout_ms) end)::float8 / 1000));
  c.thread_id := p_parent.thread_id;
  c.parent_run_id := p_parent.id;
  c.parent_seq := p_seq;
  c.parent_item := p_item;
  c.depth := p_parent.depth + 1;
  perform private.insert_run(c);
  return null;
end $$;
comment on function private.create_child(public.mira_workflow_state, private.version_nodes, int, int, jsonb, float8) is
  'A pending run of a sub-workflow, within what its parent may still spend and the time its node gives it; it may begin later. Null, or why its input is none (private.input_fault) and there is no run. Errors as private.current_version, PT422 too_deep.';

-- Nobody calls these but the server.
select private.close_functions('{
  new_run,insert_run,current_version,missing_key,input_fault,start_straight,start_run,create_child}');
grant execute on function
  private.start_straight(uuid, uuid, jsonb, uuid, interval), private.start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int)
  to service_role;
