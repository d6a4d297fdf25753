-- Engine: durable agent graphs in plain SQL.
--
-- One call per step. A worker holds a task, does it (a model, a tool), and says how it went:
-- `advance(run, epoch, seq, outcome)`. In that one transaction the engine fences the report, records
-- the step once, reduces the output into the state, walks everything that needs no worker (routers,
-- joins, timers, ends), writes the ledger and the logs, renews the lease and hands back the next
-- task. A worker that loops on the reply drives a whole run with steps + 1 statements, no session
-- state and nothing to listen to, so it works through a transaction pooler and over HTTP.
--
-- Leases. A claim raises the run's `lease_epoch` and moves `due_at` to the end of the lease; whoever
-- reports under an older epoch is refused. `due_at` is the only clock of a run: reached = anybody
-- may claim it. The same column is a lease's end, a retry's turn, a timer, a deadline; it is null
-- for runs that are finished or wait for somebody, and so the one index a claim reads holds live
-- work only. A lease is written anew when less than half of it is left: a step that leaves `due_at`
-- alone changes no indexed column, so PostgreSQL updates the checkpoint in place (HOT).
--
-- The cursor (`mira_workflow_state.cursor`) is the program counter:
--   o  open steps by sequence number: {n: node, f: event that opened it, a: attempt, i: epoch that
--      has it, k: what a step waits for when no worker is needed (human, signal, timer, map, child),
--      at: when it is due, c: calls recorded inside it}
--   j  joins that were reached and wait;  q  nodes to enter when the run is first claimed
-- Sequence numbers name steps (`run:seq` is the idempotency key of a step's side effects), event
-- numbers count what was recorded, without gaps and in commit order, for whoever follows the run.
--
-- Joins wait for every predecessor that was activated and for no other: a join that was reached
-- fires as soon as no open step and no other reached join can still lead to it (its `feeders`,
-- computed when the version was frozen). Branches a router did not take therefore never block, and
-- loops need no special case. Two joins that could feed one another: the first reached goes first.
--
-- Fan-out (`map`) keeps its items in rows of their own. Workers take and return them in batches;
-- a batch costs two updates and one decrement of the map's counter, and the run's row is locked
-- once, by the batch that brings the counter to zero.
--
-- Signals are inserted first and matched second, from both sides: a sender inserts, then locks the
-- run and looks for a waiting step; a step that begins to wait looks into the mailbox under the same
-- lock. One of the two always sees the other. Locks are taken child before parent, everywhere.
--
-- Tables of steps and items carry no foreign key to the run: the check would cost every step an
-- extra row lock. Triggers on the run's deletion take them along instead.

-- Tables ----------------------------------------------------------------------------------------------

create table private.run_steps (
  run_id uuid not null,
  event int not null,
  seq int not null,
  node int not null,
  opened int not null,
  attempt smallint not null,
  kind text not null,
  duration_ms int,
  created_at timestamptz not null default now(),
  output jsonb,
  error jsonb,
  usage jsonb,
  call jsonb,
  primary key (run_id, event)
);
comment on table private.run_steps is
  'What happened in a run, one row per event: step done, step failed, retry, call inside a step, began to wait.';
comment on column private.run_steps.kind is 'step (done), failed (for good), retry, call (inside a step), waiting (began to).';
comment on column private.run_steps.opened is 'The event that opened the step; a fork finds the steps open at any moment with it.';
comment on column private.run_steps.call is '{index, kind: model|tool, name, input, output, error, duration_ms}: replayed, not repeated, after a crash.';

create table private.run_maps (
  run_id uuid not null references public.mira_workflow_state (id) on delete cascade,
  seq int not null,
  user_id uuid not null references auth.users (id) on delete cascade,
  version_id bigint not null,
  node int not null,
  total int not null,
  batch int not null,
  max_failures int not null,
  is_open boolean not null default true,
  remaining int not null,
  failed int not null default 0,
  tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (run_id, seq)
) with (fillfactor = 50);
create index run_maps_user_id_idx on private.run_maps (user_id);
create index run_maps_open_idx on private.run_maps (run_id) where is_open;
comment on table private.run_maps is 'One row per fan-out: how many items are left, failed, and what they have spent.';

create table private.run_items (
  run_id uuid not null,
  seq int not null,
  idx int not null,
  attempt smallint not null default 0,
  due_at timestamptz default now(),
  input jsonb,
  output jsonb,
  error jsonb,
  primary key (run_id, seq, idx)
) with (fillfactor = 70);
create index run_items_live_idx on private.run_items (run_id, seq, idx) where due_at is not null;
comment on table private.run_items is 'The items of a fan-out. due_at: claimable from then on (a lease''s end, a retry''s turn); null = done.';

create table private.run_signals (
  run_id uuid not null references public.mira_workflow_state (id) on delete cascade,
  name text not null check (length(name) between 1 and 200),
  dedup_id text not null check (length(dedup_id) between 1 and 255),
  payload jsonb,
  sent_at timestamptz not null default clock_timestamp(),
  consumed_seq int,
  primary key (run_id, name, dedup_id)
);
create index run_signals_unread_idx on private.run_signals (run_id, name, sent_at) where consumed_seq is null;
comment on table private.run_signals is 'The mailbox of a run: a signal may come before, during or after its wait, and twice.';

create table private.user_limits (
  user_id uuid primary key references auth.users (id) on delete cascade,
  max_running int check (max_running > 0),
  day_tokens bigint check (day_tokens >= 0),
  day_cost_micros bigint check (day_cost_micros >= 0)
);
comment on table private.user_limits is 'What one user''s runs may use: runs at work at once, tokens and money per UTC day. No row, no limit.';

create table private.user_spend (
  user_id uuid not null references auth.users (id) on delete cascade,
  day date not null,
  tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (user_id, day)
) with (fillfactor = 50);
comment on table private.user_spend is 'Tokens and money each user''s runs used, per UTC day.';

alter table private.run_steps enable row level security;
alter table private.run_maps enable row level security;
alter table private.run_items enable row level security;
alter table private.run_signals enable row level security;
alter table private.user_limits enable row level security;
alter table private.user_spend enable row level security;
revoke all on private.run_steps, private.run_maps, private.run_items, private.run_signals,
  private.user_limits, private.user_spend from public, anon, authenticated;
grant select, insert, update, delete on private.run_steps, private.run_maps, private.run_items,
  private.run_signals, private.user_limits, private.user_spend to service_role;
create policy run_steps_all_service on private.run_steps for all to service_role using (true) with check (true);
create policy run_maps_all_service on private.run_maps for all to service_role using (true) with check (true);
create policy run_items_all_service on private.run_items for all to service_role using (true) with check (true);
create policy run_signals_all_service on private.run_signals for all to service_role using (true) with check (true);
create policy user_limits_all_service on private.user_limits for all to service_role using (true) with check (true);
create policy user_spend_all_service on private.user_spend for all to service_role using (true) with check (true);

create function private.delete_run_rows() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from private.run_steps s using gone where s.run_id = gone.id;
  delete from private.run_items i using gone where i.run_id = gone.id;
  return null;
end $$;
comment on function private.delete_run_rows() is 'Trigger: a deleted run takes its steps and items with it.';
create trigger mira_workflow_state_delete_rows after delete on public.mira_workflow_state
  referencing old table as gone for each statement execute function private.delete_run_rows();

-- State -------------------------------------------------------------------------------------------------

-- One value into the state. Null = the value does not fit the reducer.
create function private.reduce(p_state jsonb, p_key text, p_reducer text, p_value jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_old jsonb := p_state -> p_key;
  v_new jsonb := coalesce(p_value, 'null');
  v_message jsonb;
  v_at int;
begin
  if p_reducer = 'replace' then
    null;
  elsif p_reducer = 'append' then
    if coalesce(jsonb_typeof(v_old), 'array') <> 'array' then
      return null;
    end if;
    v_new := coalesce(v_old, '[]') || case when jsonb_typeof(v_new) = 'array' then v_new else jsonb_build_array(v_new) end;
  elsif p_reducer = 'add' then
    if coalesce(jsonb_typeof(v_old), 'number') <> 'number' or jsonb_typeof(v_new) <> 'number' then
      return null;
    end if;
    v_new := to_jsonb(coalesce(v_old::text::numeric, 0) + v_new::text::numeric);
  elsif p_reducer = 'merge' then
    if coalesce(jsonb_typeof(v_old), 'object') <> 'object' or jsonb_typeof(v_new) <> 'object' then
      return null;
    end if;
    v_new := coalesce(v_old, '{}') || v_new;
  else -- messages: a message with a known id replaces it in its place, every other one is appended
    if coalesce(jsonb_typeof(v_old), 'array') <> 'array' then
      return null;
    end if;
    v_old := coalesce(v_old, '[]');
    for v_message in select value from jsonb_array_elements(
        case when jsonb_typeof(v_new) = 'array' then v_new else jsonb_build_array(v_new) end) loop
      v_at := null;
      if v_message ? 'id' then
        select i - 1 into v_at from jsonb_array_elements(v_old) with ordinality t(m, i)
          where m -> 'id' = v_message -> 'id' limit 1;
      end if;
      v_old := case when v_at is null then v_old || jsonb_build_array(v_message)
                    else jsonb_set(v_old, array[v_at::text], v_message) end;
    end loop;
    v_new := v_old;
  end if;
  return p_state || jsonb_build_object(p_key, v_new);
end $$;
comment on function private.reduce(jsonb, text, text, jsonb) is
  'The state with a value joined in under a key: replace, append, add, merge or messages. Null when the types do not fit.';

create function private.reduce_output(p_state jsonb, p_node private.version_nodes, p_value jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_reducers jsonb;
  v_key text;
  v_value jsonb;
begin
  if p_node.output_key <> '.' then
    return private.reduce(p_state, p_node.output_key, p_node.reducer, p_value);
  end if;
  if jsonb_typeof(p_value) is distinct from 'object' then
    return null;
  end if;
  select reducers into v_reducers from private.workflow_versions where id = p_node.version_id;
  for v_key, v_value in select key, value from jsonb_each(p_value) loop
    p_state := private.reduce(p_state, v_key, coalesce(v_reducers ->> v_key, 'replace'), v_value);
  end loop;
  return p_state;
end $$;
comment on function private.reduce_output(jsonb, private.version_nodes, jsonb) is
  'The state after a node''s output; "." spreads an object over the state, each key by its own reducer.';

-- A jsonpath ("$…") or an object of them over the state; anything else is itself.
create function private.pick(p_spec jsonb, p_state jsonb, p_input jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  if jsonb_typeof(p_spec) = 'string' and left(p_spec #>> '{}', 1) = '$' then
    return coalesce(jsonb_path_query_first(p_state, (p_spec #>> '{}')::jsonpath,
      jsonb_build_object('input', p_input), true), 'null');
  elsif jsonb_typeof(p_spec) = 'object' then
    return coalesce((select jsonb_object_agg(key, private.pick(value, p_state, p_input)) from jsonb_each(p_spec)), '{}');
  end if;
  return coalesce(p_spec, 'null');
end $$;
comment on function private.pick(jsonb, jsonb, jsonb) is
  'Evaluates a jsonpath, or an object whose values may be jsonpaths, over the state ($input = the run''s input).';

create function private.route(p_config jsonb, p_state jsonb, p_input jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
  c jsonb;
  v jsonb;
begin
  for c in select value from jsonb_array_elements(coalesce(p_config -> 'conditions', '[]')) loop
    v := jsonb_path_query_first(p_state, (c ->> 'when')::jsonpath, jsonb_build_object('input', p_input), true);
    if v is not null and v not in ('false', 'null') then
      return c ->> 'label';
    end if;
  end loop;
  return p_config ->> 'default';
end $$;
comment on function private.route(jsonb, jsonb, jsonb) is
  'The label of the first condition whose first jsonpath item is neither false nor null, else the default.';

-- What a step writes beside the checkpoint ------------------------------------------------------------------

create function private.write_log(
  p_user_id uuid, p_run_id uuid, p_agent text, p_step text, p_level text, p_message text, p_metadata jsonb default '{}'
) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata)
  values (p_user_id, p_run_id, p_agent, p_step, p_level, p_message, p_metadata);
end $$;
comment on function private.write_log(uuid, uuid, text, text, text, text, jsonb) is
  'One line the engine itself words, in the run''s commentary.';

-- What is kept beside the checkpoint is redacted and never too large: a record must not fail its run.
-- Small values without a long word hold no secret's shape and skip the search.
create function private.keep_json(p_value jsonb, p_bytes int default 16384) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  if p_value is null or pg_column_size(p_value) < 64 and p_value::text !~ '[A-Za-z0-9_+/-]{12}' then
    return p_value;
  elsif pg_column_size(p_value) > p_bytes then
    return jsonb_build_object('truncated', true, 'bytes', pg_column_size(p_value));
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
    insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata)
    select p_run.user_id, p_run.id, coalesce(nullif(left(l ->> 'agent_type', 64), ''), 'worker'), v_name,
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
    insert into public.tool_executions (user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments,
      result, error_message, started_at, completed_at)
    select p_run.user_id, p_run.id, greatest((t ->> 'duration_ms')::numeric::bigint, 0), p_attempt,
      case when t ? 'error' or t ->> 'status' in ('error', 'failed') then 'failed' else 'completed' end,
      coalesce(nullif(left(t ->> 'tool_name', 200), ''), v_name), v_name,
      private.keep_json(t -> 'input'),
      private.keep_json(t -> 'output'),
      private.clip_text(private.redact_text(t #>> '{error}'), 4096),
      now() - make_interval(secs => coalesce((t ->> 'duration_ms')::numeric, 0)::float8 / 1000), now()
    from jsonb_array_elements(p_outcome -> 'tools') t;
  elsif p_node.type = 'tool' then
    insert into public.tool_executions (user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments,
      result, error_message, started_at, completed_at)
    values (p_run.user_id, p_run.id, greatest((p_outcome ->> 'duration_ms')::numeric::bigint, 0), p_attempt,
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
  insert into private.run_steps (run_id, event, seq, node, opened, attempt, kind, duration_ms, output, error, usage, call)
  values (r.id, r.last_event, p_seq, p_node, coalesce((p_entry ->> 'f')::int, r.last_event - 1),
    coalesce((p_entry ->> 'a')::smallint, 1), p_kind, (p_outcome ->> 'duration_ms')::numeric::int,
    p_outcome -> 'output', p_outcome -> 'error', p_outcome -> 'usage', p_outcome -> 'call');
end $$;
comment on function private.write_event(public.mira_workflow_state, int, int, text, jsonb, jsonb) is
  'Records one event of a run and takes the next event number.';

-- Spend -------------------------------------------------------------------------------------------------------

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
  insert into private.run_items (run_id, seq, idx, due_at, input)
  select r.id, p_seq, i - 1, case when c #>> '{each,type}' <> 'subworkflow' then now() end, v
  from jsonb_array_elements(v_items) with ordinality t(v, i);
  if c #>> '{each,type}' = 'subworkflow' then
    perform private.create_child(r, n, p_seq, i::int - 1,
      private.pick(coalesce(c #> '{each,config,input}', '"$"'),
        case when jsonb_typeof(v) = 'object' then v else '{}' end || jsonb_build_object('item', v, 'index', i - 1), r.input))
    from jsonb_array_elements(v_items) with ordinality t(v, i);
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
      r.output := coalesce(r.output, r.state_data);
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
      where s.run_id = r.id and s.seq = p_seq and s.kind = 'call'));
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
create function private.take_items(p_run_id uuid, p_seq int, p_take int, p_lease interval) returns jsonb
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  m private.run_maps;
  n private.version_nodes;
  v_items jsonb;
begin
  select * into strict m from private.run_maps where run_id = p_run_id and seq = p_seq;
  with free as (
    select i.idx from private.run_items i
    where i.run_id = p_run_id and i.seq = p_seq and i.due_at <= now()
    order by i.idx limit coalesce(p_take, m.batch) for update skip locked
  ), taken as (
    update private.run_items i set attempt = i.attempt + 1, due_at = now() + p_lease
    from free where i.run_id = p_run_id and i.seq = p_seq and i.idx = free.idx
    returning i.idx, i.attempt, i.input
  )
  select jsonb_agg(jsonb_build_object('idx', idx, 'attempt', attempt, 'value', input) order by idx) into v_items from taken;
  if v_items is null then
    return null;
  end if;
  select * into strict r from public.mira_workflow_state where id = p_run_id;
  select * into strict n from private.version_nodes where version_id = m.version_id and key = m.node;
  r.tokens_used := r.tokens_used + m.tokens;
  r.cost_micros := r.cost_micros + m.cost_micros;
  n.timeout_ms := coalesce((n.node #>> '{config,each,config,timeout_ms}')::int, n.timeout_ms);
  n.type := n.node #>> '{config,each,type}';
  n.node := n.node || jsonb_build_object('type', n.type, 'config', coalesce(n.node #> '{config,each,config}', '{}'));
  return private.task(r, n, p_seq, '{}', p_lease) || jsonb_build_object('items', v_items);
end $$;
comment on function private.take_items(uuid, int, int, interval) is
  'Claims up to p_take items of a fan-out (null: its own batch size): a task with items [{idx, attempt, value}], or null.';

create function private.waiting(r public.mira_workflow_state) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'seq', o.key::int, 'node_id', n.node -> 'id', 'node', n.node -> 'name', 'kind', coalesce(o.value ->> 'k', 'retry'),
      'prompt', case when n.type = 'human' then n.node #> '{config,prompt}' end,
      'schema', case when n.type = 'human' then n.node #> '{config,schema}' end,
      'signal', n.node #> '{config,signal}', 'until', o.value -> 'at',
      'child_run_id', case when o.value ->> 'k' = 'child' then (select c.id from public.mira_workflow_state c
        where c.parent_run_id = r.id and c.parent_seq = o.key::int and c.parent_item is null) end,
      'remaining', case when o.value ->> 'k' = 'map' then (select m.remaining from private.run_maps m
        where m.run_id = r.id and m.seq = o.key::int) end)) order by o.key::int)
  from jsonb_each(r.cursor -> 'o') o
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
    result = private.keep_json(p_output, 60000), error_message = p_error,
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
    r.started_at, r.finished_at, case when r.status = 'completed' then r.output end,
    private.clip_text(private.redact_text(r.error ->> 'message'), 4000), r.steps_used, r.tokens_used, r.cost_micros);
end $$;
comment on function private.follow_status(public.mira_workflow_state) is 'private.close_ledger for a run at hand.';

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
    update private.run_maps set is_open = false where run_id = r.id and is_open;
    update private.run_items i set due_at = null
      where i.run_id = r.id and i.due_at is not null and r.cursor @? '$.o.* ? (@.k == "map")';
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
  update public.mira_workflow_state s set
    started_at = r.started_at, finished_at = r.finished_at, leased_at = r.leased_at, due_at = r.due_at,
    lease_epoch = r.lease_epoch, stalls = r.stalls, status = r.status, updated_at = r.updated_at,
    current_node_id = r.current_node_id, steps_used = r.steps_used, next_seq = r.next_seq, last_event = r.last_event,
    tokens_used = r.tokens_used, cost_micros = r.cost_micros, cursor = r.cursor, state_data = r.state_data,
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
      where i.run_id = r.id and i.seq = p_map.seq and i.error is not null and i.due_at is null order by i.idx limit 1;
    update private.run_items set due_at = null where run_id = r.id and seq = p_map.seq and due_at is not null;
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
    update private.run_items i set output = case when v_ok then c.output end, error = case when not v_ok then v_error end
      where i.run_id = c.parent_run_id and i.seq = c.parent_seq and i.idx = c.parent_item
        and i.output is null and i.error is null;
    update private.run_maps set remaining = remaining - 1, failed = failed + (not v_ok)::int,
        tokens = tokens + c.tokens_used, cost_micros = cost_micros + c.cost_micros
      where run_id = c.parent_run_id and seq = c.parent_seq and is_open returning * into m;
    if found and (m.remaining = 0 or m.failed > m.max_failures) then
      perform private.finish_map(m);
    end if;
    return;
  end if;
  select * into r from public.mira_workflow_state where id = c.parent_run_id for update;
  if r.status in ('completed', 'failed', 'cancelled') or not r.cursor -> 'o' ? c.parent_seq::text then
    return;
  end if;
  v_old := r.status;
  r.tokens_used := r.tokens_used + c.tokens_used;
  r.cost_micros := r.cost_micros + c.cost_micros;
  select * into strict n from private.version_nodes
    where version_id = r.version_id and key = (r.cursor #>> array['o', c.parent_seq::text, 'n'])::int;
  if v_ok then
    r := private.complete_step(r, n, c.parent_seq, jsonb_build_object('output', c.output));
  else
    r := private.fail_step(r, n, c.parent_seq, jsonb_build_object('error', v_error));
  end if;
  r := private.move(r);
  perform private.save(r, v_old);
end $$;
comment on function private.child_finished(public.mira_workflow_state) is
  'Reports a finished child run to the step, or the fan-out item, of its parent.';

-- Claiming ----------------------------------------------------------------------------------------------------

-- May one more run of this user and this workflow be at work? Serialised per limit, so that two
-- claims cannot both take the last place.
create function private.may_run(r public.mira_workflow_state) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_max int;
begin
  select (v.limits ->> 'max_running')::int into v_max from private.workflow_versions v where v.id = r.version_id;
  if v_max is not null then
    perform pg_advisory_xact_lock(hashtextextended('mira:running:' || coalesce(r.workflow_id::text, r.version_id::text), 0));
    if (select count(*) from public.mira_workflow_state s where s.leased_at is not null and s.due_at > now()
        and s.user_id = r.user_id and s.id <> r.id
        and (s.workflow_id = r.workflow_id or (r.workflow_id is null and s.version_id = r.version_id))) >= v_max then
      return false;
    end if;
  end if;
  select l.max_running into v_max from private.user_limits l where l.user_id = r.user_id;
  if v_max is not null then
    perform pg_advisory_xact_lock(hashtextextended('mira:running:' || r.user_id::text, 0));
    return (select count(*) from public.mira_workflow_state s
      where s.leased_at is not null and s.due_at > now() and s.user_id = r.user_id and s.id <> r.id) < v_max;
  end if;
  return true;
end $$;
comment on function private.may_run(public.mira_workflow_state) is
  'True when the workflow''s and the user''s limits on runs at work leave room for this one.';

-- Claim one run that is due: new epoch, timers fired, ready steps issued. [] when it is not to be had.
create function private.claim_run(p_run_id uuid, p_lease interval, p_item_batch int default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  v_old text;
  v_tasks jsonb;
begin
  -- by id alone: the planner must not be tempted by the index of live work
  select * into r from public.mira_workflow_state where id = p_run_id for update skip locked;
  if not found or r.due_at is null or r.due_at > now() then
    return '[]';
  end if;
  v_old := r.status;
  if not private.may_run(r) then
    -- back in the queue, a little later, so that it does not stand in the way of runs that may go
    update public.mira_workflow_state set due_at = now() + make_interval(secs => 0.5 + random()) where id = r.id;
    return '[]';
  end if;
  if r.leased_at is not null then
    r.stalls := r.stalls + 1;
  end if;
  r.lease_epoch := r.lease_epoch + 1;
  r.leased_at := now();
  r.due_at := now() + p_lease;
  if r.stalls >= 5 then
    r := private.fail_run(r, 'crash_loop', 'Abandoned five times in a row without finishing a step.');
  else
    r := private.wake(r);
  end if;
  if r.status not in ('failed', 'completed') then
    v_issued := private.issue(r, p_lease);
    r := v_issued.r;
    v_tasks := v_issued.tasks;
  end if;
  r := private.save(r, v_old, p_lease);
  return coalesce(v_tasks, '[]') || private.tasks_around(r, p_lease, p_item_batch);
end $$;
comment on function private.claim_run(uuid, interval, int) is
  'Claims one due run and returns its tasks (and those of runs it woke); [] when it is locked, not due or over a limit.';

-- What else came up in the same transaction: items of fan-outs, children just made, a parent to go on with.
create function private.tasks_around(r public.mira_workflow_state, p_lease interval, p_item_batch int default null)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_tasks jsonb := '[]';
  v_task jsonb;
  v_id uuid;
  v_seq text;
begin
  if r.status in ('completed', 'failed', 'cancelled') then
    if r.parent_run_id is not null then
      v_tasks := private.claim_run(r.parent_run_id, p_lease, p_item_batch);
    end if;
    return v_tasks;
  end if;
  if not r.cursor @? '$.o.* ? (@.k == "map" || @.k == "child")' then
    return v_tasks;
  end if;
  for v_seq in select key from jsonb_each(r.cursor -> 'o') where value ->> 'k' = 'map' order by key::int loop
    v_task := private.take_items(r.id, v_seq::int, p_item_batch, p_lease);
    if v_task is not null then
      v_tasks := v_tasks || v_task;
    end if;
  end loop;
  for v_id in select s.id from public.mira_workflow_state s
    where s.parent_run_id = r.id and s.lease_epoch = 0 and s.due_at <= now() order by s.id limit coalesce(p_item_batch, 10) loop
    v_tasks := v_tasks || private.claim_run(v_id, p_lease, p_item_batch);
  end loop;
  return v_tasks;
end $$;
comment on function private.tasks_around(public.mira_workflow_state, interval, int) is
  'Tasks beside a run''s own: its fan-outs'' items, its new children''s, or its parent''s when it has ended.';

create function private.reply(r public.mira_workflow_state, p_tasks jsonb, p_extra jsonb default '{}') returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_reply jsonb := jsonb_build_object('run_id', r.id, 'status', r.status, 'accepted', true, 'tasks', p_tasks);
begin
  if r.status in ('completed', 'failed', 'cancelled') then
    v_reply := v_reply || jsonb_strip_nulls(jsonb_build_object('error', r.error));
    if r.status = 'completed' then
      v_reply := v_reply || jsonb_build_object('output', r.output);
    end if;
  elsif p_tasks = '[]' then
    v_reply := v_reply || jsonb_strip_nulls(jsonb_build_object('waiting', private.waiting(r), 'wake_at', r.due_at));
  end if;
  return v_reply || p_extra;
end $$;
comment on function private.reply(public.mira_workflow_state, jsonb, jsonb) is 'The common answer: run, status, tasks, and output, error or what it waits for.';

create function private.lease(p_ms int) returns interval
language plpgsql immutable set search_path = '' as $$
begin
  return make_interval(secs => least(greatest(p_ms, 1000), 900000)::float8 / 1000);
end $$;
comment on function private.lease(int) is 'A lease of 1 second to 15 minutes.';

-- The straight road of claiming: runs nobody has begun, that begin with a task and have no limit to be
-- checked. However many there are, one statement leases them. The caller has locked them.
create function private.claim_straight(p_ids uuid[], p_lease interval, out tasks jsonb, out claimed uuid[])
language plpgsql set search_path = '' as $$
begin
  with ready as materialized (
    select s.id, m.key, m.node, m.timeout_ms
    from public.mira_workflow_state s
    join private.workflow_versions v on v.id = s.version_id
    join private.version_nodes n on n.version_id = v.id and n.key = v.start_key
    join private.version_nodes m on m.version_id = v.id and m.key = n.sole_target
    where s.id = any (p_ids) and s.status = 'pending' and (m.type = 'tool'
        or m.type = 'llm' and s.max_tokens is null and s.max_cost_micros is null) and s.lease_epoch = 0 and s.due_at <= now()
      and s.deadline_at is null and s.max_steps > 0 and v.limits ->> 'max_running' is null
      and s.cursor = jsonb_build_object('o', '{}'::jsonb, 'q', jsonb_build_array(v.start_key))
      and not exists (select from private.user_limits l where l.user_id = s.user_id)
  ), taken as (
    update public.mira_workflow_state s set lease_epoch = 1, leased_at = now(), due_at = now() + p_lease, status = 'running',
      started_at = now(), updated_at = now(), current_node_id = (t.node ->> 'id')::uuid, steps_used = 1, next_seq = 2,
      cursor = jsonb_build_object('o', jsonb_build_object('1', jsonb_build_object('n', t.key, 'f', 1, 'i', 1)))
    from ready t where s.id = t.id
    returning s.*, t.node, t.timeout_ms
  ), ledger as (
    update public.workflow_executions e set current_state = 'running', current_step = t.node ->> 'name', started_at = now(),
      updated_at = now()
    from taken t where e.id = t.id
  ), history as (
    update public.task_history h set status = 'running', started_at = now()
    from taken t where h.user_id = t.user_id and h.id = t.id
  )
  select coalesce(jsonb_agg(jsonb_build_object('run_id', t.id, 'seq', 1, 'epoch', 1, 'attempt', 1, 'key', t.id::text || ':1',
      'user_id', t.user_id, 'workflow_id', t.workflow_id, 'thread_id', t.thread_id, 'node', t.node, 'state', t.state_data,
      'input', t.input, 'budget_left', jsonb_build_object('steps', t.max_steps - 1, 'tokens', t.max_tokens,
        'cost_micros', t.max_cost_micros, 'time_ms', null),
      'lease_until', now() + p_lease, 'deadline_at', now() + make_interval(secs => t.timeout_ms::float8 / 1000))), '[]'),
    coalesce(array_agg(t.id), '{}')
    into tasks, claimed from taken t;
end $$;
comment on function private.claim_straight(uuid[], interval) is
  'Leases those of the locked runs that begin with a task and have no limit to check, in one statement; says which.';

-- Claim due runs and open items, fairly: users take turns. The walk starts at a random user and
-- skips from user to user through the index, so its cost does not grow with the backlog.
create function private.claim_tasks(p_limit int, p_lease_ms int, p_item_batch int, p_user_id uuid, p_run_id uuid)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_lease interval := private.lease(p_lease_ms);
  v_tasks jsonb := '[]';
  v_task jsonb;
  v_straight record;
  v_from uuid := coalesce(p_user_id, gen_random_uuid());
  v_user uuid := v_from;
  v_wrapped boolean := false;
  v_users uuid[] := '{}';
  v_runs uuid[] := '{}';
  v_run uuid;
  v_claimed int := 0;
  v_before int;
  v_seen int := 0;
  v_share int;
  m record;
begin
  p_limit := least(greatest(p_limit, 1), 1000);
  if p_run_id is not null then
    v_tasks := private.claim_run(p_run_id, v_lease, p_item_batch);
    v_claimed := jsonb_array_length(v_tasks);
  else
    -- what a worker left lying goes before what nobody has begun, whoever's it is
    foreach v_run in array array(
      select s.id from public.mira_workflow_state s
      where s.leased_at is not null and s.due_at <= now() and (p_user_id is null or s.user_id = p_user_id)
      order by s.due_at limit (p_limit + 1) / 2 for update skip locked) loop
      v_tasks := v_tasks || private.claim_run(v_run, v_lease, p_item_batch);
      v_claimed := v_claimed + 1;
    end loop;
  end if;
  if p_user_id is not null then
    v_users := array[p_user_id];
  elsif p_run_id is null then
    while cardinality(v_users) < p_limit loop
      select s.user_id into v_user from public.mira_workflow_state s
        where s.due_at is not null and s.user_id > v_user
        order by s.user_id limit 1;
      if v_user is null then
        exit when v_wrapped;
        v_wrapped := true;
        v_user := '00000000-0000-0000-0000-000000000000';
        continue;
      end if;
      exit when v_wrapped and v_user >= v_from;
      v_seen := v_seen + 1;
      exit when v_seen > 20 * p_limit;
      if exists (select from public.mira_workflow_state s where s.user_id = v_user and s.due_at <= now()) then
        v_users := v_users || v_user;
      end if;
    end loop;
  end if;
  -- two rounds: everybody's fair share, then whatever capacity is left
  v_before := v_claimed;
  for v_round in 1..2 loop
    exit when cardinality(v_users) = 0 or v_claimed >= p_limit;
    v_share := case v_round when 1 then ceil(p_limit::numeric / cardinality(v_users)) else p_limit end;
    foreach v_user in array v_users loop
      exit when v_claimed >= p_limit;
      v_runs := v_runs || array(
        select s.id from public.mira_workflow_state s
        where s.user_id = v_user and s.due_at <= now() and s.id <> all (v_runs)
        order by s.priority desc, s.due_at limit least(v_share, p_limit - v_claimed) for update skip locked);
      v_claimed := v_before + cardinality(v_runs);
    end loop;
  end loop;
  if v_runs <> '{}' then
    v_straight := private.claim_straight(v_runs, v_lease);
    v_tasks := v_tasks || v_straight.tasks;
    foreach v_run in array v_runs loop
      if v_run <> all (v_straight.claimed) then
        v_tasks := v_tasks || private.claim_run(v_run, v_lease, p_item_batch);
      end if;
    end loop;
  end if;
  -- fan-outs under way, in no particular order
  if v_claimed < p_limit then
    for m in select rm.run_id, rm.seq from private.run_maps rm
      where rm.is_open and (p_run_id is null or rm.run_id = p_run_id) and (p_user_id is null or rm.user_id = p_user_id)
        and exists (select from private.run_items i where i.run_id = rm.run_id and i.seq = rm.seq and i.due_at <= now())
      order by random() limit p_limit - v_claimed loop
      v_task := private.take_items(m.run_id, m.seq, p_item_batch, v_lease);
      if v_task is not null then
        v_tasks := v_tasks || v_task;
      end if;
    end loop;
  end if;
  return jsonb_build_object('tasks', v_tasks);
end $$;
comment on function private.claim_tasks(int, int, int, uuid, uuid) is
  'Tasks of up to p_limit due or abandoned runs, users taking turns, and item batches of fan-outs under way.';

-- Starting ----------------------------------------------------------------------------------------------------

-- The row pair of a new run, in memory and in the ledger; the checkpoint is inserted by the caller.
create function private.new_run(v private.workflow_versions, p_user_id uuid, p_input jsonb, p_options jsonb,
  p_status text default 'pending', p_step text default null) returns public.mira_workflow_state
language plpgsql set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_budget jsonb := coalesce(v.limits -> 'budget', '{}');
begin
  r.id := private.ordered_uuid();
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
  r.status := p_status;
  r.started_at := case when p_status <> 'pending' then now() end;
  r.steps_used := 0;
  r.next_seq := 1;
  r.last_event := 1;
  r.tokens_used := 0;
  r.cost_micros := 0;
  r.input := coalesce(p_input, '{}');
  r.state_data := case when jsonb_typeof(r.input) = 'object' then r.input else jsonb_build_object('input', r.input) end;
  r.cursor := jsonb_build_object('o', '{}'::jsonb, 'q', jsonb_build_array(v.start_key));
  r.due_at := now() + make_interval(secs => coalesce((p_options ->> 'delay_ms')::float8, 0) / 1000);
  insert into public.workflow_executions (id, user_id, workflow_id, conversation_id, workflow_type, current_state,
    current_step, started_at, participating_agents, workflow_config, execution_plan, created_at, updated_at)
  values (r.id, p_user_id, v.workflow_id, p_options ->> 'conversation_id', v.name, p_status, p_step, r.started_at, v.agents,
    jsonb_strip_nulls(jsonb_build_object('input', r.input, 'version', v.version, 'metadata', p_options -> 'metadata')),
    jsonb_strip_nulls(jsonb_build_object('priority', r.priority, 'budget', p_options -> 'budget',
      'parent_run_id', p_options -> 'parent_run_id', 'forked_from', p_options -> 'forked_from')), now(), now());
  insert into public.task_history (id, user_id, execution_id, description, status, started_at)
  values (r.id, p_user_id, r.id, v.name, p_status, r.started_at);
  return r;
end $$;
comment on function private.new_run(private.workflow_versions, uuid, jsonb, jsonb, text, text) is
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

create function private.start_run(p_user_id uuid, p_workflow_id uuid, p_workflow jsonb, p_input jsonb, p_thread_id uuid,
  p_idempotency_key text, p_options jsonb, p_lease_ms int) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  v private.workflow_versions;
  n private.version_nodes;
  v_straight boolean;
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
  if v.required <> '{}' then
    select k into v_missing from unnest(v.required) k where not coalesce(p_input ? k, false) limit 1;
    if v_missing is not null then
      raise exception using errcode = 'PT422', message = 'input_invalid', detail = format('The input lacks "%s".', v_missing);
    end if;
  end if;
  select * into u from private.user_left(v_user);
  if u.tokens <= 0 or u.cost_micros <= 0 then
    raise exception using errcode = 'PT402', message = 'user_budget_exceeded', detail = 'Today''s budget of this user is spent.';
  end if;
  begin
    select m.* into n from private.version_nodes s
      join private.version_nodes m on m.version_id = s.version_id and m.key = s.sole_target and m.type in ('tool', 'llm')
      where s.version_id = v.id and s.key = v.start_key;
    v_straight := found and p_lease_ms > 0 and not p_options ? 'delay_ms' and v.limits ->> 'max_running' is null
      and not exists (select from private.user_limits l where l.user_id = v_user);
    r := private.new_run(v, v_user, p_input, p_options, case when v_straight then 'running' else 'pending' end, n.node ->> 'name');
    r.thread_id := p_thread_id;
    r.idempotency_key := p_idempotency_key;
    if v_straight and r.max_steps > 0 and r.deadline_at is null and (n.type = 'tool' or r.max_tokens is null and r.max_cost_micros is null) then
      -- the first step is a worker's and nothing limits it: one insert, no move
      v_lease := private.lease(p_lease_ms);
      r.lease_epoch := 1;
      r.leased_at := now();
      r.due_at := now() + v_lease;
      r.current_node_id := (n.node ->> 'id')::uuid;
      r.steps_used := 1;
      r.next_seq := 2;
      r.cursor := jsonb_build_object('o', jsonb_build_object('1', jsonb_build_object('n', n.key, 'f', 1, 'i', 1)));
      perform private.insert_run(r);
      v_tasks := jsonb_build_array(private.task(r, n, 1, r.cursor #> '{o,1}', v_lease));
    elsif p_lease_ms > 0 and r.due_at <= now() and private.may_run(r) then
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
  p_input jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  c public.mira_workflow_state;
begin
  if p_parent.depth >= 8 then
    raise exception using errcode = 'PT422', message = 'too_deep', detail = 'Sub-workflows nest at most 8 deep.';
  end if;
  c := private.new_run(private.current_version(
      (case when p_item is null then n.node #>> '{config,workflow_id}' else n.node #>> '{config,each,config,workflow_id}' end)::uuid,
      p_parent.user_id), p_parent.user_id, p_input,
    jsonb_strip_nulls(jsonb_build_object('priority', p_parent.priority, 'parent_run_id', p_parent.id, 'budget', jsonb_strip_nulls(jsonb_build_object(
      'tokens', greatest(p_parent.max_tokens - p_parent.tokens_used, 0),
      'cost_micros', greatest(p_parent.max_cost_micros - p_parent.cost_micros, 0))))));
  c.deadline_at := least(c.deadline_at, p_parent.deadline_at);
  c.thread_id := p_parent.thread_id;
  c.parent_run_id := p_parent.id;
  c.parent_seq := p_seq;
  c.parent_item := p_item;
  c.depth := p_parent.depth + 1;
  perform private.insert_run(c);
end $$;
comment on function private.create_child(public.mira_workflow_state, private.version_nodes, int, int, jsonb) is
  'A pending run of a sub-workflow, within what its parent may still spend. Errors as private.current_version, PT422 too_deep.';

-- Advancing ---------------------------------------------------------------------------------------------------

create function private.refusal(p_run_id uuid, p_status text, p_reason text, p_tasks jsonb default '[]') returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('run_id', p_run_id, 'status', p_status, 'accepted', false, 'reason', p_reason, 'tasks', p_tasks)
$$;
comment on function private.refusal(uuid, text, text, jsonb) is 'The answer to a report that changes nothing, and why.';

-- The straight road: a step that succeeded with nothing to add, alone in its run, with one successor
-- that is a task or the end. One read, one fenced write, and the same rows the long road writes; the fence is the
-- event number, so no lock is taken ahead of the write. Null = take the long road.
create function private.advance_straight(p_run_id uuid, p_epoch int, p_seq int, p_outcome jsonb, p_lease interval)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  f record;
  v_key text := p_seq::text;
  v_entry jsonb;
  v_state jsonb;
  v_next jsonb;
  v_output jsonb := p_outcome -> 'output';
  v_arguments jsonb := p_outcome -> 'arguments';
  v_ms int := greatest((p_outcome ->> 'duration_ms')::numeric, 0);
  v_now timestamptz := now();
begin
  select s.user_id, s.workflow_id, s.thread_id, s.input, s.state_data, s.cursor, s.due_at, s.steps_used, s.max_steps, s.last_event,
    s.next_seq, s.deadline_at, s.leased_at, s.status, s.lease_epoch, s.max_tokens, s.tokens_used, s.max_cost_micros, s.cost_micros, s.started_at,
    n.key, n.type, n.node ->> 'name' as name, n.node #>> '{config,tool}' as tool, n.output_key, n.reducer,
    m.key as m_key, m.node as m_node, m.type as m_type, m.timeout_ms as m_timeout_ms
    into f
  from public.mira_workflow_state s
  join private.version_nodes n on n.version_id = s.version_id and n.key = (s.cursor #>> array['o', v_key, 'n'])::int
  join private.version_nodes m on m.version_id = s.version_id and m.key = n.sole_target
  where s.id = p_run_id and n.type in ('tool', 'llm') and n.output_key <> '.'
    and (m.type = 'tool' or m.type = 'end' and s.parent_run_id is null
      or m.type = 'llm' and s.max_tokens is null and s.max_cost_micros is null
        and not exists (select from private.user_limits l where l.user_id = s.user_id));
  if not found or f.lease_epoch <> p_epoch or f.leased_at is null or f.status <> 'running' then
    return null;
  end if;
  v_entry := f.cursor #> array['o', v_key];
  if f.cursor <> jsonb_build_object('o', jsonb_build_object(v_key, v_entry)) or v_entry ? 'k'
    or (v_entry ->> 'i')::int is distinct from p_epoch or f.steps_used >= f.max_steps or f.deadline_at <= v_now then
    return null;
  end if;
  v_state := case f.reducer when 'replace' then f.state_data || jsonb_build_object(f.output_key, coalesce(v_output, 'null'))
    else private.reduce(f.state_data, f.output_key, f.reducer, v_output) end;
  if v_state is null or pg_column_size(v_state) > 4194304 then
    return null;
  end if;

  if f.m_type = 'end' then
    v_next := case when f.m_node -> 'config' ? 'output' then private.pick(f.m_node #> '{config,output}', v_state, f.input) else v_state end;
    update public.mira_workflow_state s set
      finished_at = v_now, leased_at = null, due_at = null, stalls = 0, status = 'completed', updated_at = v_now,
      last_event = f.last_event + 2, cursor = '{"o": {}}', state_data = v_state, output = v_next
    where s.id = p_run_id and s.lease_epoch = p_epoch and s.last_event = f.last_event;
  else
    update public.mira_workflow_state s set
      due_at = case when f.due_at < v_now + p_lease / 2 then v_now + p_lease else f.due_at end,
      stalls = 0, updated_at = v_now, current_node_id = (f.m_node ->> 'id')::uuid,
      steps_used = f.steps_used + 1, next_seq = f.next_seq + 1, last_event = f.last_event + 1, state_data = v_state,
      cursor = jsonb_build_object('o', jsonb_build_object(f.next_seq::text,
        jsonb_build_object('n', f.m_key, 'f', f.last_event + 1, 'i', p_epoch)))
    where s.id = p_run_id and s.lease_epoch = p_epoch and s.last_event = f.last_event;
  end if;
  if not found then
    return null;
  end if;
  insert into private.run_steps (run_id, event, seq, node, opened, attempt, kind, duration_ms, created_at, output)
  values (p_run_id, f.last_event + 1, p_seq, f.key, (v_entry ->> 'f')::int, coalesce((v_entry ->> 'a')::smallint, 1), 'step',
    v_ms, v_now, v_output);
  if f.m_type = 'end' then
    perform private.follow_ledger(p_run_id, f.user_id, 'completed', f.name, f.started_at, v_now, v_next, null);
    insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata) values
      (f.user_id, p_run_id, 'worker', f.name, 'success', f.name || ' done.', jsonb_build_object('seq', p_seq)),
      (f.user_id, p_run_id, 'evaluator', f.name, 'success', 'Run completed.',
        jsonb_build_object('steps', f.steps_used, 'tokens', f.tokens_used, 'cost_micros', f.cost_micros));
  else
    insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata)
    values (f.user_id, p_run_id, 'worker', f.name, 'success', f.name || ' done.', jsonb_build_object('seq', p_seq));
  end if;
  if f.type = 'tool' then
    insert into public.tool_executions (user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      started_at, completed_at)
    values (f.user_id, p_run_id, v_ms, coalesce((v_entry ->> 'a')::int, 1), 'completed', f.tool, f.name,
      case when v_arguments is not null then private.keep_json(v_arguments) end, private.keep_json(v_output), v_now - make_interval(secs => coalesce(v_ms, 0)::float8 / 1000), v_now);
  end if;
  if f.m_type <> 'end' then
    return jsonb_build_object('run_id', p_run_id, 'status', 'running', 'accepted', true, 'tasks', jsonb_build_array(jsonb_build_object(
      'run_id', p_run_id, 'seq', f.next_seq, 'epoch', p_epoch, 'attempt', 1, 'key', p_run_id::text || ':' || f.next_seq::text,
      'user_id', f.user_id, 'workflow_id', f.workflow_id, 'thread_id', f.thread_id,
      'node', f.m_node, 'state', v_state, 'input', f.input,
      'budget_left', jsonb_build_object('steps', f.max_steps - f.steps_used - 1, 'tokens', f.max_tokens - f.tokens_used,
        'cost_micros', f.max_cost_micros - f.cost_micros,
        'time_ms', (extract(epoch from f.deadline_at - clock_timestamp()) * 1000)::bigint),
      'lease_until', v_now + p_lease,
      'deadline_at', least(f.deadline_at, v_now + make_interval(secs => f.m_timeout_ms::float8 / 1000)))));
  end if;
  return jsonb_build_object('run_id', p_run_id, 'status', 'completed', 'accepted', true, 'tasks', '[]'::jsonb, 'output', v_next);
end $$;
comment on function private.advance_straight(uuid, int, int, jsonb, interval) is
  'private.advance for the commonest step, one task followed by another or by the end; null when the step is not of that kind.';

-- The straight road for many: steps as above, each of another run. One statement reads them, writes
-- their checkpoints (fenced by epoch and event number, so that nothing need be locked ahead) and the
-- same rows the long road writes. Returns {position: reply} for those it took; the rest goes the
-- long road.
create function private.advance_straights(p_steps jsonb, p_lease interval) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_replies jsonb;
  v_last jsonb;
begin
  with step as materialized (
    select x.ord, x.outcome -> 'output' as step_output, private.keep_json(x.outcome -> 'arguments') as arguments,
      greatest((x.outcome ->> 'duration_ms')::numeric, 0)::int as ms, x.seq,
      s.cursor #> array['o', x.seq::text] as entry,
      s.id, s.user_id, s.workflow_id, s.thread_id, s.input, s.due_at, s.steps_used, s.max_steps, s.last_event, s.next_seq,
      s.deadline_at, s.lease_epoch, s.max_tokens, s.tokens_used, s.max_cost_micros, s.cost_micros, s.started_at,
      n.key, n.type, n.node ->> 'name' as name, n.node #>> '{config,tool}' as tool,
      case n.reducer when 'replace' then s.state_data || jsonb_build_object(n.output_key, coalesce(x.outcome -> 'output', 'null'))
        else private.reduce(s.state_data, n.output_key, n.reducer, x.outcome -> 'output') end as state,
      m.key as m_key, m.node as m_node, m.timeout_ms as m_timeout_ms, m.type = 'end' as is_last
    from rows from (jsonb_to_recordset(p_steps) as (run_id uuid, epoch int, seq int, outcome jsonb))
      with ordinality as x(run_id, epoch, seq, outcome, ord)
    join public.mira_workflow_state s on s.id = x.run_id
    join private.version_nodes n on n.version_id = s.version_id and n.key = (s.cursor #>> array['o', x.seq::text, 'n'])::int
    join private.version_nodes m on m.version_id = s.version_id and m.key = n.sole_target
    where x.outcome ? 'output' and not x.outcome ?| '{error,call,usage,messages,logs,tools,log}'
      and s.lease_epoch = x.epoch and s.status = 'running' and s.steps_used < s.max_steps
      and (s.cursor #>> array['o', x.seq::text, 'i'])::int = x.epoch and not s.cursor #> array['o', x.seq::text] ? 'k'
      and s.cursor = jsonb_build_object('o', jsonb_build_object(x.seq::text, s.cursor #> array['o', x.seq::text]))
      and (s.deadline_at is null or s.deadline_at > now())
      and n.type in ('tool', 'llm') and n.output_key <> '.' and (m.type = 'tool' or m.type = 'end' and s.parent_run_id is null
        or m.type = 'llm' and s.max_tokens is null and s.max_cost_micros is null
          and not exists (select from private.user_limits l where l.user_id = s.user_id))
    order by s.id
  ), taken as (
    update public.mira_workflow_state s set
      leased_at = case when t.is_last then null else s.leased_at end,
      due_at = case when t.is_last then null when t.due_at < now() + p_lease / 2 then now() + p_lease else t.due_at end,
      finished_at = case when t.is_last then now() end,
      status = case when t.is_last then 'completed' else 'running' end,
      stalls = 0, updated_at = now(),
      current_node_id = case when t.is_last then s.current_node_id else (t.m_node ->> 'id')::uuid end,
      steps_used = t.steps_used + (not t.is_last)::int, next_seq = t.next_seq + (not t.is_last)::int,
      last_event = t.last_event + 1 + t.is_last::int, state_data = t.state,
      cursor = case when t.is_last then '{"o": {}}' else jsonb_build_object('o', jsonb_build_object(t.next_seq::text,
        jsonb_build_object('n', t.m_key, 'f', t.last_event + 1, 'i', t.lease_epoch))) end,
      output = case when t.is_last then
        case when t.m_node -> 'config' ? 'output' then private.pick(t.m_node #> '{config,output}', t.state, t.input) else t.state end end
    from step t
    where s.id = t.id and s.lease_epoch = t.lease_epoch and s.last_event = t.last_event
      and t.state is not null and pg_column_size(t.state) <= 4194304
    returning t.*, s.output
  ), event as (
    insert into private.run_steps (run_id, event, seq, node, opened, attempt, kind, duration_ms, created_at, output)
    select id, last_event + 1, seq, key, (entry ->> 'f')::int, coalesce((entry ->> 'a')::smallint, 1), 'step', ms, now(), step_output
    from taken
  ), tool as (
    insert into public.tool_executions (user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      started_at, completed_at)
    select user_id, id, ms, coalesce((entry ->> 'a')::int, 1), 'completed', tool, name, arguments, private.keep_json(step_output),
      now() - make_interval(secs => coalesce(ms, 0)::float8 / 1000), now()
    from taken where type = 'tool'
  ), line as (
    insert into public.execution_logs (user_id, task_id, agent_type, step, level, message, metadata)
    select user_id, id, 'worker', name, 'success', name || ' done.', jsonb_build_object('seq', seq) from taken
  )
  select jsonb_object_agg(ord, case when is_last then jsonb_build_object('run_id', id, 'status', 'completed', 'accepted', true, 'tasks', '[]'::jsonb, 'output', output)
    else jsonb_build_object('run_id', id, 'status', 'running', 'accepted', true, 'tasks', jsonb_build_array(jsonb_build_object(
      'run_id', id, 'seq', next_seq, 'epoch', lease_epoch, 'attempt', 1, 'key', id::text || ':' || next_seq::text,
      'user_id', user_id, 'workflow_id', workflow_id, 'thread_id', thread_id, 'node', m_node, 'state', state, 'input', input,
      'budget_left', jsonb_build_object('steps', max_steps - steps_used - 1, 'tokens', max_tokens - tokens_used,
        'cost_micros', max_cost_micros - cost_micros, 'time_ms', (extract(epoch from deadline_at - clock_timestamp()) * 1000)::bigint),
      'lease_until', now() + p_lease,
      'deadline_at', least(deadline_at, now() + make_interval(secs => m_timeout_ms::float8 / 1000))))) end)
    , jsonb_agg(to_jsonb(taken) - '{state,input,m_node}'::text[]) filter (where is_last)
    into v_replies, v_last from taken;
  perform private.close_ledger(l.id, l.user_id, 'completed', l.name, l.started_at, now(), l.output, null, l.steps_used, l.tokens_used, l.cost_micros)
    from jsonb_to_recordset(v_last) as l(id uuid, user_id uuid, name text, started_at timestamptz, output jsonb, steps_used int, tokens_used bigint, cost_micros bigint);
  return v_replies;
end $$;
comment on function private.advance_straights(jsonb, interval) is
  'private.advance for the commonest steps, any number in one statement: {position: reply} of those it took.';

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
      where s.run_id = r.id and s.seq = p_seq and s.kind = 'call' and s.call -> 'index' = v_call -> 'index';
    if found then
      return private.refusal(r.id, r.status, 'call_recorded') || jsonb_build_object('call', v_call);
    end if;
  end if;

  r.stalls := 0;
  if p_outcome ? 'usage' then
    v_tokens := coalesce((p_outcome #>> '{usage,input_tokens}')::numeric, 0) + coalesce((p_outcome #>> '{usage,output_tokens}')::numeric, 0);
    v_cost := coalesce((p_outcome #>> '{usage,cost_micros}')::numeric, 0);
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
  elsif p_outcome ? 'error' then
    v_retry := coalesce(n.node #> '{config,retry}', '{}');
    v_attempt := coalesce((v_entry ->> 'a')::int, 1);
    if coalesce((p_outcome #>> '{error,retryable}')::boolean, true)
      and v_attempt < coalesce((v_retry ->> 'max_attempts')::numeric, 3) then
      v_wait := least(coalesce((v_retry ->> 'base_ms')::float8, 500)
          * power(coalesce((v_retry ->> 'factor')::float8, 2), least(v_attempt - 1, 30)),
        coalesce((v_retry ->> 'max_ms')::float8, 60000));
      v_wait := v_wait * (1 + coalesce((v_retry ->> 'jitter')::float8, 0.2) * (2 * random() - 1));
      v_wait := greatest(v_wait, coalesce((p_outcome #>> '{error,retry_after_ms}')::float8, 0), 0);
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

create function private.advance_batch(p_steps jsonb, p_lease interval) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_straight jsonb := private.advance_straights(p_steps, p_lease);
  v_replies jsonb[];
  x record;
begin
  v_replies := array(select v_straight -> i::text from generate_series(1, jsonb_array_length(p_steps)) i);
  -- locks in the order of run ids, so that two batches cannot wait for one another
  for x in select run_id, epoch, seq, outcome, ord from rows from (
      jsonb_to_recordset(p_steps) as (run_id uuid, epoch int, seq int, outcome jsonb)) with ordinality t(run_id, epoch, seq, outcome, ord)
    where v_straight is null or not v_straight ? ord::text order by run_id, seq loop
    v_replies[x.ord] := private.advance(x.run_id, x.epoch, x.seq, x.outcome, p_lease);
  end loop;
  return to_jsonb(v_replies);
end $$;
comment on function private.advance_batch(jsonb, interval) is 'private.advance for many runs in one transaction; replies in the order of the steps.';

-- One batch of a fan-out in, the next batch out.
create function private.advance_items(p_run_id uuid, p_seq int, p_results jsonb, p_take int, p_lease interval, p_lean boolean default false) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  m private.run_maps;
  n private.version_nodes;
  v_retry jsonb;
  v_done int;
  v_failed int;
  v_tokens bigint;
  v_cost bigint;
  v_type text;
  v_task jsonb;
  v_out text;
begin
  -- reads only: the run and its map are not locked for an item
  select * into m from private.run_maps where run_id = p_run_id and seq = p_seq;
  select * into r from public.mira_workflow_state where id = p_run_id;
  if m.run_id is null or r.id is null then
    return private.refusal(p_run_id, r.status, 'run_not_found');
  elsif not m.is_open then
    return private.refusal(p_run_id, r.status, case when r.status in ('completed', 'failed', 'cancelled') then 'run_finished' else 'stale_step' end);
  end if;
  select * into strict n from private.version_nodes where version_id = m.version_id and key = m.node;
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
      due_at = case when x.again then now() + make_interval(secs => greatest(
          least(coalesce((v_retry ->> 'base_ms')::float8, 500) * power(coalesce((v_retry ->> 'factor')::float8, 2), least(x.attempt - 1, 30)),
            coalesce((v_retry ->> 'max_ms')::float8, 60000)) * (0.8 + 0.4 * random()),
          coalesce((x.error ->> 'retry_after_ms')::float8, 0)) / 1000) end
    from result x
    where i.run_id = p_run_id and i.seq = p_seq and i.idx = x.idx and i.attempt = x.attempt and i.due_at is not null
    returning x.again, x.error is not null as bad, x.usage
  )
  select count(*) filter (where not again), count(*) filter (where bad and not again),
    coalesce(sum(coalesce((usage ->> 'input_tokens')::numeric, 0) + coalesce((usage ->> 'output_tokens')::numeric, 0)), 0),
    coalesce(sum((usage ->> 'cost_micros')::numeric), 0)
    into v_done, v_failed, v_tokens, v_cost from put;
  if v_type = 'tool' then
    insert into public.tool_executions (user_id, run_id, duration_ms, attempt, status, tool_name, step, arguments, result,
      error_message, started_at, completed_at)
    select r.user_id, r.id, greatest((x ->> 'duration_ms')::numeric::bigint, 0), greatest((x ->> 'attempt')::int, 1),
      case when x ? 'error' then 'failed' else 'completed' end, n.node #>> '{config,each,config,tool}',
      left((n.node ->> 'name') || ' ' || (x ->> 'idx'), 200),
      private.keep_json(x -> 'arguments'), private.keep_json(x -> 'output'),
      private.clip_text(private.redact_text(x #>> '{error,message}'), 4096), now(), now()
    from jsonb_array_elements(p_results) x where x ? 'arguments' or x ? 'error';
  end if;
  if v_tokens <> 0 or v_cost <> 0 then
    perform private.spend(r.user_id, v_tokens, v_cost);
  end if;
  update private.run_maps set remaining = remaining - v_done, failed = failed + v_failed,
      tokens = tokens + v_tokens, cost_micros = cost_micros + v_cost
    where run_id = p_run_id and seq = p_seq and is_open returning * into m;
  if not found then
    return private.refusal(p_run_id, r.status, 'stale_step');
  end if;
  if r.tokens_used + m.tokens > r.max_tokens or r.cost_micros + m.cost_micros > r.max_cost_micros then
    select * into r from public.mira_workflow_state where id = p_run_id for update;
    if r.status not in ('completed', 'failed', 'cancelled') then
      v_out := r.status;
      r.tokens_used := r.tokens_used + m.tokens;
      r.cost_micros := r.cost_micros + m.cost_micros;
      r := private.fail_run(r, 'budget_exceeded', 'The run spent more than its budget.', n.node ->> 'name', p_seq);
      r := private.save(r, v_out, p_lease);
    end if;
    return private.reply(r, private.tasks_around(r, p_lease));
  end if;
  if m.remaining = 0 or m.failed > m.max_failures then
    perform private.finish_map(m);
    v_task := private.claim_run(p_run_id, p_lease);
    select * into r from public.mira_workflow_state where id = p_run_id;
    if r.status in ('completed', 'failed', 'cancelled') then
      v_task := v_task || private.tasks_around(r, p_lease);
    end if;
    return private.reply(r, v_task);
  end if;
  if p_take is distinct from 0 then
    v_task := private.take_items(p_run_id, p_seq, p_take, p_lease);
    if p_lean then
      v_task := v_task - '{state,input,node}'::text[];
    end if;
  end if;
  return jsonb_build_object('run_id', p_run_id, 'status', r.status, 'accepted', true,
    'tasks', case when v_task is null then '[]' else jsonb_build_array(v_task) end);
end $$;
comment on function private.advance_items(uuid, int, jsonb, int, interval, boolean) is
  'Reports a batch of items (each counts once, from the attempt that holds it) and takes the next; the last one joins.';

-- Leases ------------------------------------------------------------------------------------------------------

create function private.renew_leases(p_leases jsonb, p_lease interval) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  x jsonb;
  v_lost jsonb := '[]';
  v_tasks jsonb := '[]';
  v_more jsonb;
  v_old text;
begin
  for x in select value from jsonb_array_elements(p_leases) order by value ->> 'run_id' loop
    if x ? 'items' then
      update private.run_items i set due_at = now() + p_lease
      from jsonb_to_recordset(x -> 'items') as t(idx int, attempt int)
      where i.run_id = (x ->> 'run_id')::uuid and i.seq = (x ->> 'seq')::int and i.idx = t.idx
        and i.attempt = t.attempt and i.due_at is not null;
      if not found then
        v_lost := v_lost || (x -> 'run_id');
      end if;
      continue;
    end if;
    select * into r from public.mira_workflow_state where id = (x ->> 'run_id')::uuid for update;
    if not found or r.lease_epoch <> (x ->> 'epoch')::int or r.leased_at is null then
      v_lost := v_lost || (x -> 'run_id');
      continue;
    end if;
    v_old := r.status;
    r := private.wake(r);
    v_more := '[]';
    if r.status not in ('failed', 'completed') then
      r.due_at := now() + p_lease;
      v_issued := private.issue(r, p_lease);
      r := v_issued.r;
      v_more := v_issued.tasks;
    else
      v_lost := v_lost || (x -> 'run_id');
    end if;
    r := private.save(r, v_old, p_lease);
    v_tasks := v_tasks || v_more || private.tasks_around(r, p_lease);
  end loop;
  return jsonb_build_object('lost', v_lost, 'tasks', v_tasks);
end $$;
comment on function private.renew_leases(jsonb, interval) is
  'Extends leases of work in progress, names the runs that are no longer the caller''s, returns steps whose time has come.';

create function private.release_runs(p_leases jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  x jsonb;
  v_count int := 0;
  v_one int;
begin
  for x in select value from jsonb_array_elements(p_leases) order by value ->> 'run_id' loop
    if x ? 'items' then
      update private.run_items i set due_at = now(), attempt = i.attempt - 1
      from jsonb_to_recordset(x -> 'items') as t(idx int, attempt int)
      where i.run_id = (x ->> 'run_id')::uuid and i.seq = (x ->> 'seq')::int and i.idx = t.idx
        and i.attempt = t.attempt and i.due_at is not null;
    else
      update public.mira_workflow_state s set due_at = now(), leased_at = null, lease_epoch = lease_epoch + 1
      where s.id = (x ->> 'run_id')::uuid and s.lease_epoch = (x ->> 'epoch')::int
        and s.status in ('running', 'waiting');
    end if;
    get diagnostics v_one = row_count;
    v_count := v_count + v_one;
  end loop;
  return jsonb_build_object('released', v_count);
end $$;
comment on function private.release_runs(jsonb) is
  'Gives work back at once, so that the next worker need not wait for the lease to lapse.';

-- From outside ------------------------------------------------------------------------------------------------

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
  if p_lease_ms > 0 and r.status in ('completed', 'failed', 'cancelled') and v_tasks = '[]' then
    v_tasks := private.tasks_around(r, private.lease(p_lease_ms));
  end if;
  return private.reply(r, v_tasks, p_extra);
end $$;
comment on function private.continue_run(uuid, int, jsonb) is 'The reply after something outside moved a run; with a lease the caller takes it on.';

create function private.resume_run(p_user_id uuid, p_run_id uuid, p_value jsonb, p_seq int, p_lease_ms int) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state := private.lock_run(p_user_id, p_run_id);
  n private.version_nodes;
  v_open int[];
  v_old text := r.status;
begin
  v_open := array(select key::int from jsonb_each(r.cursor -> 'o')
    where value ->> 'k' = 'human' and (p_seq is null or key::int = p_seq) order by 1);
  if r.status in ('completed', 'failed', 'cancelled') or cardinality(v_open) = 0 then
    raise exception using errcode = 'PT409', message = 'run_not_waiting', detail = 'No step of this run waits for an answer.';
  elsif cardinality(v_open) > 1 then
    raise exception using errcode = 'PT409', message = 'ambiguous_step',
      detail = format('Several steps wait for an answer: name one of %s.', array_to_string(v_open, ', '));
  end if;
  select * into strict n from private.version_nodes
    where version_id = r.version_id and key = (r.cursor #>> array['o', v_open[1]::text, 'n'])::int;
  r := private.complete_step(r, n, v_open[1], jsonb_build_object('output', coalesce(p_value, 'null')));
  perform private.write_log(r.user_id, r.id, 'planner', n.node ->> 'name', 'info', 'Answered.', jsonb_build_object('seq', v_open[1]));
  if r.status <> 'failed' then
    r := private.move(r);
  end if;
  r := private.save(r, v_old);
  return private.continue_run(r.id, p_lease_ms);
end $$;
comment on function private.resume_run(uuid, uuid, jsonb, int, int) is
  'Answers a human step. Errors: PT404 run_not_found, PT409 run_not_waiting, PT409 ambiguous_step.';

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

-- The run as it stood before a step, as a new run that does this step again.
create function private.fork_run(p_user_id uuid, p_run_id uuid, p_seq int, p_state jsonb, p_lease_ms int) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  o public.mira_workflow_state;
  r public.mira_workflow_state;
  v private.workflow_versions;
  n private.version_nodes;
  s record;
  v_event int;
  v_queue int[];
  v_state jsonb;
begin
  select * into o from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  -- the moment: just before the step was recorded, or now if it is still open
  select event into v_event from private.run_steps
    where run_id = o.id and seq = p_seq and kind in ('step', 'failed') order by event limit 1;
  if v_event is null and not o.cursor -> 'o' ? p_seq::text then
    raise exception using errcode = 'PT404', message = 'step_not_found', detail = 'The run has no such step.';
  end if;
  v_event := coalesce(v_event, o.last_event + 1);
  if p_state is not null and jsonb_typeof(p_state) <> 'object' then
    raise exception using errcode = 'PT422', message = 'state_invalid', detail = 'The state is a JSON object.';
  end if;
  select * into strict v from private.workflow_versions where id = o.version_id;
  v_state := case when jsonb_typeof(o.input) = 'object' then o.input else jsonb_build_object('input', o.input) end;
  for s in select t.output, t.error, t.kind, vn as node from private.run_steps t
    join private.version_nodes vn on vn.version_id = o.version_id and vn.key = t.node
    where t.run_id = o.id and t.event < v_event and t.kind in ('step', 'failed') order by t.event loop
    n := s.node;
    if s.kind = 'failed' then
      v_state := v_state || jsonb_build_object('error', jsonb_build_object('node', n.node -> 'name',
        'code', s.error -> 'code', 'message', s.error -> 'message'));
    elsif n.type <> 'router' or n.node -> 'config' ? 'output_key' then
      v_state := private.reduce_output(v_state, n, s.output);
    end if;
  end loop;
  -- steps that were open at that moment: the one asked for first, then its siblings
  v_queue := array(
    select t.node from (
      select seq, node, opened, event from private.run_steps where run_id = o.id and kind in ('step', 'failed')
      union all
      select key::int, (value ->> 'n')::int, (value ->> 'f')::int, 2147483647 from jsonb_each(o.cursor -> 'o')
    ) t where t.opened < v_event and t.event >= v_event
    group by t.seq, t.node order by t.seq <> p_seq, t.seq);
  r := private.new_run(v, o.user_id, o.input, jsonb_build_object('priority', o.priority,
    'forked_from', jsonb_build_object('run_id', o.id, 'seq', p_seq)));
  r.thread_id := o.thread_id;
  r.max_steps := o.max_steps;
  r.max_tokens := o.max_tokens;
  r.max_cost_micros := o.max_cost_micros;
  r.deadline_at := now() + (o.deadline_at - o.created_at);
  r.state_data := coalesce(p_state, v_state);
  r.next_seq := o.next_seq;
  r.last_event := v_event - 1;
  r.steps_used := (select count(*) from private.run_steps where run_id = o.id and event < v_event and kind = 'step');
  r.cursor := jsonb_build_object('o', '{}'::jsonb, 'q', to_jsonb(v_queue));
  perform private.insert_run(r);
  insert into private.run_steps (run_id, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call)
    select r.id, event, seq, node, opened, attempt, kind, duration_ms, created_at, output, error, usage, call
    from private.run_steps where run_id = o.id and event < v_event;
  -- entering a join again must not gate it: it had fired
  r := private.move(r, false);
  r := private.save(r, 'pending');
  return private.continue_run(r.id, p_lease_ms, jsonb_build_object('created', true, 'forked_from', o.id));
end $$;
comment on function private.fork_run(uuid, uuid, int, jsonb, int) is
  'A new run with the history, state and open steps another had just before a step. Errors: PT404 run_not_found, PT404 step_not_found, PT422 state_invalid.';

-- Reading -----------------------------------------------------------------------------------------------------

create function private.read_run(p_user_id uuid, p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_left jsonb;
begin
  select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  v_left := private.budget_left(r, true);
  return jsonb_build_object('run_id', r.id, 'status', r.status, 'workflow_id', r.workflow_id,
    'version', (select version from private.workflow_versions where id = r.version_id), 'thread_id', r.thread_id,
    'user_id', r.user_id, 'state', r.state_data, 'input', r.input,
    'waiting', case when r.status in ('completed', 'failed', 'cancelled') then '[]' else coalesce(private.waiting(r), '[]') end,
    'steps', coalesce((select jsonb_agg(private.event_data(s, vn) order by s.event)
      from private.run_steps s join private.version_nodes vn on vn.version_id = r.version_id and vn.key = s.node
      where s.run_id = r.id and s.kind in ('step', 'failed')), '[]'),
    'usage', jsonb_build_object('steps', r.steps_used, 'tokens', r.tokens_used, 'cost_micros', r.cost_micros),
    'budget_left', v_left, 'last_event', r.last_event,
    'created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at)
    || jsonb_strip_nulls(jsonb_build_object('error', r.error, 'parent_run_id', r.parent_run_id, 'due_at', r.due_at))
    || case when r.status = 'completed' then jsonb_build_object('output', r.output) else '{}' end;
end $$;
comment on function private.read_run(uuid, uuid) is 'A run as its owner sees it: status, state, steps, spend, what it waits for. Errors: PT404 run_not_found.';

create function private.event_data(s private.run_steps, n private.version_nodes) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object('event', s.event, 'seq', s.seq, 'node_id', n.node -> 'id', 'node', n.node -> 'name',
      'type', n.type, 'attempt', s.attempt, 'duration_ms', s.duration_ms, 'at', s.created_at,
      'status', case s.kind when 'step' then 'completed' when 'call' then null else s.kind end))
    || case when s.output is not null then jsonb_build_object('output', s.output) else '{}' end
    || case when s.error is not null then jsonb_build_object('error', s.error) else '{}' end
    || case when s.usage is not null then jsonb_build_object('usage', s.usage) else '{}' end
    || case when s.call is not null then jsonb_build_object('call', s.call) else '{}' end
$$;
comment on function private.event_data(private.run_steps, private.version_nodes) is 'One recorded event as people see it.';

create function private.run_events(p_user_id uuid, p_run_id uuid, p_after int, p_limit int) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_done boolean;
  v_events jsonb;
  v_limit int := least(greatest(p_limit, 1), 1000);
begin
  select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
  end if;
  v_done := r.status in ('completed', 'failed', 'cancelled');
  select coalesce(jsonb_agg(e.value order by (e.value ->> 'id')::int), '[]') into v_events from (
    select value from (
      select jsonb_build_object('id', 1, 'event', 'run', 'at', r.created_at,
        'data', jsonb_build_object('run_id', r.id, 'workflow_id', r.workflow_id, 'input', r.input)) as value where p_after < 1
      union all
      select jsonb_build_object('id', s.event, 'at', s.created_at,
        'event', case s.kind when 'failed' then 'step' else s.kind end, 'data', private.event_data(s, n)
          || case when s.kind = 'waiting' then jsonb_strip_nulls(jsonb_build_object('prompt', n.node #> '{config,prompt}',
               'schema', n.node #> '{config,schema}', 'signal', n.node #> '{config,signal}')) else '{}' end)
      from private.run_steps s join private.version_nodes n on n.version_id = r.version_id and n.key = s.node
      where s.run_id = r.id and s.event > greatest(p_after, 1)
      union all
      select jsonb_build_object('id', r.last_event, 'event', 'end', 'at', r.finished_at,
        'data', jsonb_strip_nulls(jsonb_build_object('run_id', r.id, 'status', r.status, 'error', r.error))
          || case when r.status = 'completed' then jsonb_build_object('output', r.output) else '{}' end)
      where v_done and p_after < r.last_event
    ) z order by (value ->> 'id')::int limit v_limit) e;
  return jsonb_build_object('status', r.status, 'last_event', r.last_event, 'events', v_events,
    'finished', v_done and coalesce((v_events -> -1 ->> 'id')::int, p_after) >= r.last_event);
end $$;
comment on function private.run_events(uuid, uuid, int, int) is
  'What happened after event p_after, in order and without gaps; finished = nothing more will come. Errors: PT404 run_not_found.';

create function private.read_graph(p_user_id uuid, p_workflow_id uuid, p_run_id uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  w public.mira_workflows;
  v private.workflow_versions;
begin
  if p_run_id is not null then
    select * into r from public.mira_workflow_state where id = p_run_id and (p_user_id is null or user_id = p_user_id);
    if not found then
      raise exception using errcode = 'PT404', message = 'run_not_found', detail = 'There is no such run of yours.';
    end if;
    select * into strict v from private.workflow_versions where id = r.version_id;
    return (v.graph - 'limits' - 'reducers' - 'input_schema') || jsonb_build_object(
      'workflow_id', v.workflow_id, 'version', v.version,
      'visited', coalesce((select jsonb_object_agg(t.id, t.n) from (
        select vn.node ->> 'id' as id, count(*) as n from private.run_steps s
        join private.version_nodes vn on vn.version_id = r.version_id and vn.key = s.node
        where s.run_id = r.id and s.kind in ('step', 'failed') group by 1) t), '{}'),
      'active', coalesce((select jsonb_agg(distinct vn.node -> 'id') from jsonb_each(r.cursor -> 'o') o
        join private.version_nodes vn on vn.version_id = r.version_id and vn.key = (o.value ->> 'n')::int), '[]'));
  end if;
  select * into w from public.mira_workflows where id = p_workflow_id and (p_user_id is null or user_id = p_user_id);
  if not found then
    raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
  end if;
  return (private.draft_graph(w) - 'limits' - 'reducers' - 'input_schema')
    || jsonb_build_object('workflow_id', w.id, 'version', w.version, 'visited', '{}'::jsonb, 'active', '[]'::jsonb);
end $$;
comment on function private.read_graph(uuid, uuid, uuid) is
  'The graph of a draft, or of a run with how often each node was done and which are open. Errors: PT404.';

create function private.validate_workflow(p_user_id uuid, p_workflow_id uuid, p_workflow jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  w public.mira_workflows;
  v_problems jsonb;
begin
  if p_workflow_id is not null then
    select * into w from public.mira_workflows where id = p_workflow_id and (p_user_id is null or user_id = p_user_id);
    if not found then
      raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
    end if;
    p_workflow := private.draft_graph(w);
  end if;
  v_problems := private.graph_problems(private.normal_graph(p_workflow), coalesce(p_user_id, w.user_id));
  return jsonb_build_object('valid', not v_problems @? '$[*] ? (@.severity == "error")', 'problems', v_problems);
end $$;
comment on function private.validate_workflow(uuid, uuid, jsonb) is
  'What the activation gate would say about a draft or an inline graph: {valid, problems}. Errors: PT404 workflow_not_found, PT422 workflow_invalid (no graph at all).';

create function private.activate(p_user_id uuid, p_workflow_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  w public.mira_workflows;
begin
  update public.mira_workflows set is_active = true
    where id = p_workflow_id and (p_user_id is null or user_id = p_user_id) returning * into w;
  if not found then
    raise exception using errcode = 'PT404', message = 'workflow_not_found', detail = 'There is no such workflow of yours.';
  end if;
  return jsonb_build_object('workflow_id', w.id, 'version', w.version);
end $$;
comment on function private.activate(uuid, uuid) is
  'Validates a draft and freezes it as the version to start. Errors: PT404 workflow_not_found, PT422 workflow_invalid.';

-- Housekeeping --------------------------------------------------------------------------------------------------

-- Dead letters are failed runs: their open steps are still in the cursor.
create function private.redrive_runs(p_user_id uuid, p_run_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_count int := 0;
begin
  for r in select * from public.mira_workflow_state
    where id = any (p_run_ids) and (p_user_id is null or user_id = p_user_id) and status = 'failed'
    order by id for update loop
    continue when r.cursor -> 'o' = '{}' and not r.cursor ? 'q';
    -- attempts begin anew; what was recorded, inside steps too, is kept and not paid for again;
    -- what the engine itself does (a route, a child) is entered afresh
    select jsonb_build_object('o', coalesce(jsonb_object_agg(o.key, case when o.value ? 'k' then o.value else o.value - 'a' - 'at' - 'i' end)
          filter (where n.type not in ('router', 'subworkflow') or n.is_task), '{}'),
        'q', coalesce(r.cursor -> 'q', '[]') || coalesce(jsonb_agg(n.key) filter (where n.type in ('router', 'subworkflow') and not n.is_task), '[]'))
      || case when r.cursor ? 'j' then jsonb_build_object('j', r.cursor -> 'j') else '{}' end
      into r.cursor
      from jsonb_each(r.cursor -> 'o') o
      join private.version_nodes n on n.version_id = r.version_id and n.key = (o.value ->> 'n')::int;
    update private.run_maps m set is_open = true, failed = 0,
        remaining = (select count(*) from private.run_items i where i.run_id = m.run_id and i.seq = m.seq and (i.output is null))
      where m.run_id = r.id and r.cursor -> 'o' ? m.seq::text;
    update private.run_items i set due_at = now(), attempt = 0, error = null
      where i.run_id = r.id and i.output is null and r.cursor -> 'o' ? i.seq::text;
    r.error := null;
    r.finished_at := null;
    r.stalls := 0;
    r.status := 'running';
    if r.deadline_at <= now() then
      r.deadline_at := now() + (r.deadline_at - r.created_at);
      update public.mira_workflow_state set deadline_at = r.deadline_at where id = r.id;
    end if;
    r := private.save(r, 'failed');
    v_count := v_count + 1;
  end loop;
  return jsonb_build_object('redriven', v_count);
end $$;
comment on function private.redrive_runs(uuid, uuid[]) is 'Failed runs go on where they failed: attempts anew, recorded work kept.';

create function private.purge_runs(p_keep interval default '30 days', p_limit int default 5000) returns int
language plpgsql security definer set search_path = '' as $$
declare
  v_count int;
begin
  -- the ledger row goes and takes the checkpoint, steps, items, messages and tool calls with it;
  -- task_history stays, as what the person asked for
  delete from public.workflow_executions e
  where e.id in (
    select s.id from public.mira_workflow_state s
    where s.finished_at < now() - p_keep
    order by s.finished_at limit p_limit for update skip locked);
  get diagnostics v_count = row_count;
  delete from private.workflow_versions v
  where v.workflow_id is null and v.used_at < now() - p_keep
    and not exists (select from public.mira_workflow_state s where s.version_id = v.id);
  delete from private.user_spend where day < (now() - interval '400 days')::date;
  return v_count;
end $$;
comment on function private.purge_runs(interval, int) is
  'Deletes up to p_limit runs that ended longer ago than p_keep, with everything recorded under them, and inline graphs nobody started since. Returns how many runs.';

-- The public faces: for the server's key only. plpgsql, because it keeps its plans for the session; the
-- busy ones plan for keys, not for today's table sizes, since a plan may outlive them by far --------------

-- p_boxed: the value comes as {"value": …}. A Data API may hand a bare JSON string to a jsonb parameter
-- as text, which is no JSON any more (or another JSON: "12" would become 12).
create function public.mira_start_run(p_user_id uuid, p_workflow_id uuid default null, p_workflow jsonb default null,
  p_input jsonb default '{}', p_thread_id uuid default null, p_idempotency_key text default null,
  p_options jsonb default '{}', p_lease_ms int default 0, p_boxed boolean default false) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.start_run(p_user_id, p_workflow_id, p_workflow,
    case when p_boxed then p_input -> 'value' else p_input end, p_thread_id, p_idempotency_key, p_options, p_lease_ms);
end $$;
create function public.mira_claim_tasks(p_limit int default 10, p_lease_ms int default 60000, p_item_batch int default null,
  p_user_id uuid default null, p_run_id uuid default null) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.claim_tasks(p_limit, p_lease_ms, p_item_batch, p_user_id, p_run_id);
end $$;
create function public.mira_advance(p_run_id uuid, p_epoch int, p_seq int, p_outcome jsonb, p_lease_ms int default 60000)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_lease interval := make_interval(secs => least(greatest(p_lease_ms, 1000), 900000)::float8 / 1000);
  v_reply jsonb;
begin
  if p_outcome ? 'output' and not p_outcome ?| '{error,call,usage,messages,logs,tools,log}' then
    v_reply := private.advance_straight(p_run_id, p_epoch, p_seq, p_outcome, v_lease);
    if v_reply is not null then
      return v_reply;
    end if;
  end if;
  return private.advance(p_run_id, p_epoch, p_seq, p_outcome, v_lease);
end $$;
create function public.mira_advance_items(p_run_id uuid, p_seq int, p_results jsonb, p_take int default null,
  p_lease_ms int default 60000, p_lean boolean default false) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.advance_items(p_run_id, p_seq, p_results, p_take, private.lease(p_lease_ms), p_lean);
end $$;
create function public.mira_advance_batch(p_steps jsonb, p_lease_ms int default 60000) returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.advance_batch(p_steps, private.lease(p_lease_ms));
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
  p_lease_ms int default 0, p_boxed boolean default false) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.resume_run(p_user_id, p_run_id, case when p_boxed then p_value -> 'value' else p_value end,
    p_seq, p_lease_ms);
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
  p_lease_ms int default 0) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.fork_run(p_user_id, p_run_id, p_seq, p_state, p_lease_ms);
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
comment on function public.mira_claim_tasks(int, int, int, uuid, uuid) is 'Tasks of due and abandoned runs, users taking turns.';
comment on function public.mira_advance(uuid, int, int, jsonb, int) is 'Reports one step and returns what to do next.';
comment on function public.mira_advance_items(uuid, int, jsonb, int, int, boolean) is 'Reports a batch of fan-out items and takes the next; p_lean: without state, input and node, which the caller has.';
comment on function public.mira_advance_batch(jsonb, int) is 'mira_advance for many runs in one call; replies in the same order.';
comment on function public.mira_renew_leases(jsonb, int) is 'Keeps leases of long steps alive; says which runs are lost.';
comment on function public.mira_release_runs(jsonb) is 'Gives leased work back at once.';
comment on function public.mira_resume_run(uuid, uuid, jsonb, int, int, boolean) is 'Answers a step that waits for a person.';
comment on function public.mira_signal_run(uuid, uuid, text, jsonb, text, int, boolean) is 'Sends a run a named signal, once per dedup id.';
comment on function public.mira_cancel_run(uuid, uuid, text) is 'Cancels a run and its children.';
comment on function public.mira_fork_run(uuid, uuid, int, jsonb, int) is 'A new run from just before a step, with the same or an edited state.';
comment on function public.mira_read_run(uuid, uuid) is 'A run: status, state, steps, spend, what it waits for.';
comment on function public.mira_run_events(uuid, uuid, int, int) is 'A run''s events after a number, for following it.';
comment on function public.mira_read_graph(uuid, uuid, uuid) is 'A graph for drawing; with a run, the path it took.';
comment on function public.mira_validate_workflow(uuid, uuid, jsonb) is 'What is wrong with a graph.';
comment on function public.mira_activate_workflow(uuid, uuid) is 'Freezes a draft as the version that starts use.';
comment on function public.mira_redrive_runs(uuid, uuid[]) is 'Lets failed runs go on where they failed.';

-- Nobody calls the engine but the server.
do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where (n.nspname = 'private' and p.proname in (
        'delete_run_rows', 'reduce', 'reduce_output', 'pick', 'route', 'write_log', 'write_reported', 'write_event', 'spend',
        'user_left', 'budget_left', 'fail_run', 'complete_step', 'fail_step', 'open_map', 'move', 'wake', 'task', 'issue',
        'take_items', 'waiting', 'follow_status', 'save', 'finish_map', 'child_finished', 'may_run', 'claim_run', 'claim_straight',
        'tasks_around', 'reply', 'lease', 'claim_tasks', 'new_run', 'insert_run', 'current_version', 'start_run',
        'create_child', 'refusal', 'advance', 'advance_batch', 'advance_items', 'renew_leases', 'release_runs', 'lock_run',
        'continue_run', 'resume_run', 'signal_run', 'cancel_run', 'fork_run', 'read_run', 'event_data', 'run_events',
        'read_graph', 'validate_workflow', 'activate', 'redrive_runs', 'purge_runs', 'advance_straight', 'advance_straights', 'follow_ledger', 'close_ledger', 'enqueue', 'keep_json'))
      or (n.nspname = 'public' and p.proname in ('mira_start_run', 'mira_claim_tasks', 'mira_advance', 'mira_advance_items',
        'mira_advance_batch', 'mira_renew_leases', 'mira_release_runs', 'mira_resume_run', 'mira_signal_run',
        'mira_cancel_run', 'mira_fork_run', 'mira_read_run', 'mira_run_events', 'mira_read_graph',
        'mira_validate_workflow', 'mira_activate_workflow', 'mira_redrive_runs'))
  loop
    execute format('revoke all on function %s from public, anon, authenticated', f);
  end loop;
end $$;
grant execute on function
  private.start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int), private.claim_tasks(int, int, int, uuid, uuid),
  private.advance(uuid, int, int, jsonb, interval), private.advance_straight(uuid, int, int, jsonb, interval),
  private.advance_batch(jsonb, interval),
  private.advance_items(uuid, int, jsonb, int, interval, boolean), private.renew_leases(jsonb, interval),
  private.release_runs(jsonb), private.resume_run(uuid, uuid, jsonb, int, int),
  private.signal_run(uuid, uuid, text, jsonb, text, int), private.cancel_run(uuid, uuid, text),
  private.fork_run(uuid, uuid, int, jsonb, int), private.read_run(uuid, uuid), private.run_events(uuid, uuid, int, int),
  private.read_graph(uuid, uuid, uuid), private.validate_workflow(uuid, uuid, jsonb), private.activate(uuid, uuid),
  private.redrive_runs(uuid, uuid[]), private.purge_runs(interval, int), private.lease(int),
  public.mira_start_run(uuid, uuid, jsonb, jsonb, uuid, text, jsonb, int, boolean), public.mira_claim_tasks(int, int, int, uuid, uuid),
  public.mira_advance(uuid, int, int, jsonb, int), public.mira_advance_items(uuid, int, jsonb, int, int, boolean),
  public.mira_advance_batch(jsonb, int), public.mira_renew_leases(jsonb, int), public.mira_release_runs(jsonb),
  public.mira_resume_run(uuid, uuid, jsonb, int, int, boolean), public.mira_signal_run(uuid, uuid, text, jsonb, text, int, boolean),
  public.mira_cancel_run(uuid, uuid, text), public.mira_fork_run(uuid, uuid, int, jsonb, int),
  public.mira_read_run(uuid, uuid), public.mira_run_events(uuid, uuid, int, int), public.mira_read_graph(uuid, uuid, uuid),
  public.mira_validate_workflow(uuid, uuid, jsonb), public.mira_activate_workflow(uuid, uuid),
  public.mira_redrive_runs(uuid, uuid[])
  to service_role;
