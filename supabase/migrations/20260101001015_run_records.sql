-- Engine, the record: what a step writes beside the checkpoint, what it spends, and the end of a run that
-- may spend no more.

-- What a step writes beside the checkpoint ------------------------------------------------------------------

create function private.write_log(
  p_user_id uuid, p_run_id uuid, p_agent text, p_step text, p_level text, p_message text, p_metadata jsonb default '{}'
) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata)
  values (nextval('public.execution_logs_seq_seq'), p_user_id, p_run_id, p_agent, p_step, p_level, p_message, p_metadata);
end $$;
comment on function private.write_log(uuid, uuid, text, text, text, text, jsonb) is
  'One line the engine itself words, in the run''s commentary.';

-- What is kept beside the checkpoint is redacted and never too large: a record must not fail its run. One look
-- for a long word, an address or a telling key spares most values the search for secrets.
create function private.keep_json(p_value jsonb, p_bytes int default 16384) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_text text collate "C";
begin
  if p_value is null then
    return null;
  elsif pg_column_size(p_value) > p_bytes then
    return jsonb_build_object('truncated', true, 'bytes', pg_column_size(p_value));
  elsif pg_column_size(p_value) < 4096 then
    v_text := lower(p_value::text collate "C");
    if v_text !~ '[a-z0-9._~+/=-]{12}' and v_text not like all (array['%-----begin%', '%://%'] || private.secret_key_endings()) then
      return p_value;
    end if;
  end if;
  p_value := private.redact_json(p_value);
  return case when pg_column_size(p_value) > p_bytes then '{"truncated": true}' else p_value end;
end $$;
comment on function private.keep_json(jsonb, int) is 'A value redacted and clipped for the record; null stays null.';

-- Lines, messages and tool calls a worker reported. They come from outside: redacted and clipped.
create function private.write_reported(p_run public.mira_workflow_state, p_node private.version_nodes,
  p_seq int, p_attempt int, p_outcome jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_name text := p_node.node ->> 'name';
begin
  if p_outcome ? 'logs' then
    insert into public.execution_logs (seq, user_id, task_id, agent_type, step, level, message, metadata)
    select nextval('public.execution_logs_seq_seq'), p_run.user_id, p_run.id, coalesce(nullif(left(l ->> 'agent_type', 64), ''), 'worker'), v_name,
      case when l ->> 'level' in ('info', 'success', 'error', 'warning') then l ->> 'level' else 'info' end,
      coalesce(nullif(private.clip_text(private.redact_text(l ->> 'message'), 4096), ''), v_name),
      private.clip_json(private.keep_json(l -> 'metadata', 8192), 8192)
    from jsonb_array_elements(p_outcome -> 'logs') l;
  end if;
  if p_outcome ? 'messages' then
    insert into public.agent_messages (workflow_execution_id, user_id, agent_name, message_type, content, status,
      tool_calls, context_data, error_details, processed_at)
    select p_run.id, p_run.user_id, coalesce(m ->> 'agent_name', p_node.node #>> '{config,agent_name}', v_name),
      case when m ->> 'message_type' in ('input', 'output', 'system', 'error', 'tool_call') then m ->> 'message_type' else 'output' end,
      private.clip_text(private.redact_text(coalesce(m ->> 'content', '')), 262144),
      case when m ->> 'status' in ('pending', 'processing', 'completed', 'failed') then m ->> 'status' else 'completed' end,
      private.keep_json(m -> 'tool_calls', 262144),
      jsonb_build_object('step', p_seq, 'node', v_name) || coalesce(private.clip_json(private.keep_json(m -> 'context_data', 65536), 65536), '{}'),
      private.clip_text(private.redact_text(m ->> 'error_details'), 4096), now()
    from jsonb_array_elements(p_outcome -> 'messages') m;
  end if;
  if p_outcome ? 'tools' then
    insert into public.tool_executions (created_at, user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments,
      result, error_message, started_at, completed_at)
    select now(), p_run.user_id, p_run.id, case when t ->> 'duration_ms' is not null then greatest((t ->> 'duration_ms')::numeric::bigint, 0) end, p_attempt,
      case when t ? 'error' or t ->> 'status' in ('error', 'failed') then 'failed' else 'completed' end,
      coalesce(nullif(left(t ->> 'tool_name', 200), ''), v_name), v_name,
      private.keep_json(t -> 'input'),
      private.keep_json(t -> 'output'),
      private.clip_text(private.redact_text(t #>> '{error}'), 4096),
      now() - make_interval(secs => coalesce((t ->> 'duration_ms')::numeric, 0)::float8 / 1000), now()
    from jsonb_array_elements(p_outcome -> 'tools') t;
  elsif p_node.type = 'tool' then
    insert into public.tool_executions (created_at, user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments,
      result, error_message, started_at, completed_at)
    values (now(), p_run.user_id, p_run.id, case when p_outcome ->> 'duration_ms' is not null then greatest((p_outcome ->> 'duration_ms')::numeric::bigint, 0) end, p_attempt,
      case when p_outcome ? 'error' then 'failed' else 'completed' end,
      p_node.node #>> '{config,tool}', v_name,
      private.keep_json(p_outcome -> 'arguments'),
      private.keep_json(p_outcome -> 'output'),
      private.clip_text(private.redact_text(p_outcome #>> '{error,message}'), 4096),
      now() - make_interval(secs => coalesce((p_outcome ->> 'duration_ms')::numeric, 0)::float8 / 1000), now());
  end if;
end $$;
comment on function private.write_reported(public.mira_workflow_state, private.version_nodes, int, int, jsonb) is
  'Writes what a worker''s outcome carries for execution_logs, agent_messages and tool_executions, redacted and clipped.';

-- Recorded: event number taken, row written.
create function private.write_event(inout r public.mira_workflow_state, p_node int, p_seq int, p_kind text,
  p_entry jsonb, p_outcome jsonb)
language plpgsql set search_path = '' as $$
begin
  r.last_event := r.last_event + 1;
  insert into private.run_steps (run, event, seq, node, opened, attempt, kind, duration_ms, output, error, usage, call,
    call_item, call_index)
  values (r.number, r.last_event, p_seq, p_node, nullif((p_entry ->> 'f')::int, r.last_event - 1),
    nullif((p_entry ->> 'a')::smallint, 1), p_kind, (p_outcome ->> 'duration_ms')::numeric::int,
    p_outcome -> 'output', p_outcome -> 'error', p_outcome -> 'usage', p_outcome -> 'call',
    (p_outcome #>> '{call,item}')::int, (p_outcome #>> '{call,index}')::int);
end $$;
comment on function private.write_event(public.mira_workflow_state, int, int, text, jsonb, jsonb) is
  'Records one event of a run and takes the next event number.';

-- Spend -------------------------------------------------------------------------------------------------------

-- What a report says it used. Nobody's report gives anything back.
create function private.tokens_of(p_usage jsonb) returns bigint
language sql immutable set search_path = '' as $$
  select (greatest(coalesce((p_usage ->> 'input_tokens')::numeric, 0), 0)
    + greatest(coalesce((p_usage ->> 'output_tokens')::numeric, 0), 0))::bigint
$$;
comment on function private.tokens_of(jsonb) is 'Tokens of a usage {input_tokens, output_tokens}; 0 for none.';

create function private.cost_of(p_usage jsonb) returns bigint
language sql immutable set search_path = '' as $$
  select greatest(coalesce((p_usage ->> 'cost_micros')::numeric, 0), 0)::bigint
$$;
comment on function private.cost_of(jsonb) is 'Millionths of a dollar of a usage {cost_micros}; 0 for none.';

create function private.spend(p_user_id uuid, p_tokens bigint, p_cost bigint) returns void
language plpgsql set search_path = '' as $$
begin
  insert into private.user_spend as s (user_id, day, tokens, cost_micros)
  values (p_user_id, (now() at time zone 'utc')::date, p_tokens, p_cost)
  on conflict (user_id, day) do update
    set tokens = s.tokens + excluded.tokens, cost_micros = s.cost_micros + excluded.cost_micros;
end $$;
comment on function private.spend(uuid, bigint, bigint) is 'Adds tokens and millionths of a dollar to a user''s day.';

create function private.user_left(p_user_id uuid, out tokens bigint, out cost_micros bigint)
language plpgsql stable set search_path = '' as $$
begin
  select l.day_tokens - coalesce(s.tokens, 0), l.day_cost_micros - coalesce(s.cost_micros, 0) into tokens, cost_micros
  from private.user_limits l
  left join private.user_spend s on s.user_id = l.user_id and s.day = (now() at time zone 'utc')::date
  where l.user_id = p_user_id;
end $$;
comment on function private.user_left(uuid) is 'What a user may still spend today; null = unlimited.';

create function private.budget_left(r public.mira_workflow_state, p_spends boolean) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_tokens bigint := r.max_tokens - r.tokens_used;
  v_cost bigint := r.max_cost_micros - r.cost_micros;
  u record;
begin
  if p_spends then
    select * into u from private.user_left(r.user_id);
    v_tokens := least(v_tokens, u.tokens);
    v_cost := least(v_cost, u.cost_micros);
  end if;
  return jsonb_build_object('steps', r.max_steps - r.steps_used, 'tokens', v_tokens, 'cost_micros', v_cost,
    'time_ms', (extract(epoch from r.deadline_at - clock_timestamp()) * 1000)::bigint);
end $$;
comment on function private.budget_left(public.mira_workflow_state, boolean) is
  'What a run may still use {steps, tokens, cost_micros, time_ms}; with p_spends the user''s day counts too.';

create function private.fail_run(inout r public.mira_workflow_state, p_code text, p_message text,
  p_node text default null, p_seq int default null)
language plpgsql set search_path = '' as $$
begin
  r.status := 'failed';
  r.error := jsonb_strip_nulls(jsonb_build_object('code', p_code, 'message', p_message, 'node', p_node, 'seq', p_seq));
end $$;
comment on function private.fail_run(public.mira_workflow_state, text, text, text, int) is
  'Marks a run failed; its open steps stay in the cursor, so that it can be re-driven.';

-- Nobody calls these but the server.
select private.close_functions('{
  write_log,keep_json,write_reported,write_event,tokens_of,cost_of,spend,user_left,budget_left,fail_run}');
