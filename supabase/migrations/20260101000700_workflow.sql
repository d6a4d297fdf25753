-- Workflow: graphs as data, the runs made of them, and what the agents said.
--
-- A person authors a workflow as rows: `mira_workflows`, its nodes and its labelled edges. Those rows
-- are a draft for as long as they live; they may be half-finished and wrong. Setting
-- `is_active = true` is the gate: the validator must find no error, and the graph is then copied,
-- compiled and frozen as a numbered version (`private.workflow_versions`). Runs point at a version,
-- never at the draft, so that editing a workflow changes nothing under a run that is on its way.
--
-- A run has two rows with one id. `workflow_executions` is the ledger: who, what, when, outcome; it
-- is written when the run starts, whenever its status changes, and when it ends. `mira_workflow_state`
-- is the checkpoint: the state object, the cursor (which steps are open), the lease and the spend; it
-- is rewritten at every step. Both are read-only to people: only the engine moves a run.
--
-- `workflows` and `workflow_history` are the names older clients know; they are views.

-- Definitions ---------------------------------------------------------------------------------------

create table public.mira_workflows (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 200),
  description text check (char_length(description) <= 10000),
  version int not null default 1 check (version > 0),
  is_active boolean not null default false,
  reducers jsonb not null default '{}' check (jsonb_typeof(reducers) = 'object'),
  input_schema jsonb check (jsonb_typeof(input_schema) = 'object'),
  limits jsonb not null default '{}' check (jsonb_typeof(limits) = 'object'),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, id)
);
create index mira_workflows_user_id_updated_at_idx on public.mira_workflows (user_id, updated_at desc);
comment on table public.mira_workflows is
  'A workflow as its author edits it. Activating it validates and freezes a version; runs use versions.';
comment on column public.mira_workflows.version is
  'The number of the version a start would use; raised by each activation that changed the graph. Server-written.';
comment on column public.mira_workflows.is_active is
  'May be started. Setting it true validates the graph and freezes it; setting it true again after edits freezes the next version.';
comment on column public.mira_workflows.reducers is
  'How a step''s output joins the state, per state key: replace (default), append, add, merge, messages.';
comment on column public.mira_workflows.input_schema is 'JSON Schema of the input a run starts with; null accepts any.';
comment on column public.mira_workflows.limits is
  '{budget:{steps,tokens,cost_micros,time_ms}, max_running, tools:{allow:[name],otherwise:refuse|confirm}}: per-run budget, how many runs may be at work at once, and which tools with side effects they may call.';
comment on column public.mira_workflows.metadata is 'The author''s own notes, for example where a promoted habit came from.';

create table public.mira_workflow_nodes (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  workflow_id uuid not null,
  type text not null check (type in
    ('start', 'llm', 'tool', 'router', 'end', 'human', 'wait', 'map', 'subworkflow')),
  name text not null check (char_length(name) between 1 and 120),
  config jsonb not null default '{}'
    check (jsonb_typeof(config) = 'object' and pg_column_size(config) <= 262144),
  position_x int not null default 0,
  position_y int not null default 0,
  unique (workflow_id, id),
  foreign key (user_id, workflow_id) references public.mira_workflows (user_id, id)
    on update cascade on delete cascade
);
create index mira_workflow_nodes_user_id_workflow_id_idx on public.mira_workflow_nodes (user_id, workflow_id);
comment on table public.mira_workflow_nodes is 'The nodes of a draft graph.';
comment on column public.mira_workflow_nodes.user_id is 'Whose workflow it is; follows the workflow.';
comment on column public.mira_workflow_nodes.config is
  'What the node does: prompt templates, tool and arguments, conditions, output_key, retry, timeout_ms, join.';

create table public.mira_workflow_edges (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  workflow_id uuid not null,
  source_node_id uuid not null,
  target_node_id uuid not null,
  condition_label text check (char_length(condition_label) between 1 and 120),
  foreign key (user_id, workflow_id) references public.mira_workflows (user_id, id)
    on update cascade on delete cascade,
  foreign key (workflow_id, source_node_id)
    references public.mira_workflow_nodes (workflow_id, id) on delete cascade,
  foreign key (workflow_id, target_node_id)
    references public.mira_workflow_nodes (workflow_id, id) on delete cascade
);
create index mira_workflow_edges_workflow_id_source_node_id_idx
  on public.mira_workflow_edges (workflow_id, source_node_id);
create index mira_workflow_edges_workflow_id_target_node_id_idx
  on public.mira_workflow_edges (workflow_id, target_node_id);
create index mira_workflow_edges_user_id_workflow_id_idx on public.mira_workflow_edges (user_id, workflow_id);
comment on table public.mira_workflow_edges is
  'The edges of a draft graph. Composite keys keep both ends in the edge''s own workflow.';
comment on column public.mira_workflow_edges.user_id is 'Whose workflow it is; follows the workflow.';
comment on column public.mira_workflow_edges.condition_label is
  'Which router decision takes this edge; "error" and "timeout" are taken when a step finally fails or expires.';

create table public.mira_tool_definitions (
  id uuid primary key default gen_random_uuid(),
  name text not null unique check (name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'),
  description text,
  schema jsonb not null check (jsonb_typeof(schema) = 'object'),
  function_path text not null check (function_path ~ '^(internal:|function:|rpc:|https://)'),
  is_enabled boolean not null default true,
  is_read_only boolean not null default false,
  options jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index mira_tool_definitions_created_at_idx on public.mira_tool_definitions (created_at desc) where is_enabled;
comment on table public.mira_tool_definitions is
  'The tools a graph may name. Operator-owned: a tool is a capability of the server, so people read the enabled ones and write none.';
comment on column public.mira_tool_definitions.schema is 'JSON Schema of the arguments.';
comment on column public.mira_tool_definitions.function_path is
  'The handler: internal:<name>, function:<slug>, rpc:<sql function> or an https:// address on the allow-list.';
comment on column public.mira_tool_definitions.is_read_only is
  'Calling it changes nothing outside the run. Every other tool has side effects, which a run''s or a workflow''s grant may withhold.';
comment on column public.mira_tool_definitions.options is
  'How the handler is called: which vault secret goes where, time-out, method. Never a secret itself.';

-- Versions: what runs are pinned to -------------------------------------------------------------------

create table private.workflow_versions (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  version int not null,
  hash text not null,
  name text not null,
  graph jsonb not null,
  required text[] not null,
  reducers jsonb not null,
  limits jsonb not null,
  agents text[] not null,
  start_key int not null,
  used_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);
create unique index workflow_versions_workflow_id_version_idx
  on private.workflow_versions (workflow_id, version) where workflow_id is not null;
create unique index workflow_versions_user_id_hash_idx
  on private.workflow_versions (user_id, hash) where workflow_id is null;
create index workflow_versions_user_id_idx on private.workflow_versions (user_id);
comment on table private.workflow_versions is
  'Frozen graphs. Immutable; a graph sent inline with a start is kept once per user and content.';

create table private.version_nodes (
  version_id bigint not null references private.workflow_versions (id) on delete cascade,
  key int not null,
  type text not null,
  is_task boolean not null,
  node jsonb not null,
  output_key text not null,
  reducer text not null,
  timeout_ms int,
  sole_target int,
  targets int[] not null,
  labels jsonb not null,
  feeders int[],
  name text not null,
  tool text,
  next_is_end boolean,
  next_key int,
  next_id uuid,
  next_name text,
  next_node text,
  next_timeout interval,
  next_output jsonb,
  primary key (version_id, key)
);
comment on column private.workflow_versions.used_at is 'When an inline graph was last started, to the day: unused ones are purged.';
comment on column private.workflow_versions.required is 'Keys the input must have (input_schema.required).';

comment on table private.version_nodes is
  'A version compiled to what the engine reads at each step: one row per node, successors as small numbers.';
comment on column private.version_nodes.is_task is 'A worker does this node; the others the engine resolves itself.';
comment on column private.version_nodes.node is 'What a worker is handed: {id, type, name, config}.';
comment on column private.version_nodes.output_key is 'State key the output is reduced into; "." spreads an object over the state.';
comment on column private.version_nodes.sole_target is
  'The one successor when there is nothing to decide and nothing to join; else null.';
comment on column private.version_nodes.targets is 'Successors over unlabelled edges.';
comment on column private.version_nodes.labels is 'Successors over labelled edges: {label: [keys]}.';
comment on column private.version_nodes.next_is_end is
  'The straight road: from here exactly one task, or the end, comes next, with nothing to decide, to join or to reduce; the next_* columns then say all that the engine must know of it. Null = the long road.';
comment on column private.version_nodes.next_id is 'The node the run then stands at: the next one, or at the end still this one.';
comment on column private.version_nodes.next_node is 'The successor''s node, as the JSON text a worker is handed.';
comment on column private.version_nodes.next_output is 'What an end makes the run''s output, if not its state.';
comment on column private.version_nodes.feeders is
  'For a node that joins: every node from which it can be reached. It fires when none of them is open.';

-- Runs --------------------------------------------------------------------------------------------------

create table public.workflow_executions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  conversation_id text,
  workflow_type text,
  current_state text not null default 'pending',
  current_step text,
  participating_agents text[] not null default '{}',
  initiated_by uuid generated always as (user_id) stored,
  workflow_config jsonb not null default '{}',
  execution_plan jsonb not null default '{}',
  results jsonb,
  error_message text,
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz not null default now(),
  created_at timestamptz not null default now()
) with (fillfactor = 85);
create index workflow_executions_user_id_created_at_idx
  on public.workflow_executions (user_id, created_at desc);
create index workflow_executions_workflow_id_created_at_idx
  on public.workflow_executions (workflow_id, created_at desc) where workflow_id is not null;
create index workflow_executions_conversation_id_idx
  on public.workflow_executions (conversation_id) where conversation_id is not null;
comment on table public.workflow_executions is
  'The ledger of runs: one row per run, written when its status changes. Where a run stands right now is in mira_workflow_state.';
comment on column public.workflow_executions.current_state is
  'The run''s status: pending, running, waiting, completed, failed or cancelled. Only the engine writes it.';
comment on column public.workflow_executions.current_step is 'Name of the node the run stood at when its status last changed.';
comment on column public.workflow_executions.initiated_by is 'Seed 003''s name for user_id.';
comment on column public.workflow_executions.workflow_config is 'Input, version and options the run started with.';
comment on column public.workflow_executions.execution_plan is 'Budget and priority the run was given, and where it came from (fork, parent).';
comment on column public.workflow_executions.results is 'The run''s output.';

-- Column order matters here: PostgreSQL logs only the bytes between the first and the last that
-- changed, so what changes at every step stands together and what never changes stands around it.
-- No check constraints: PostgreSQL parses them anew for every statement, and only the engine writes here.
create table public.mira_workflow_state (
  id uuid primary key default gen_random_uuid()
    references public.workflow_executions (id) on delete cascade,
  user_id uuid not null,
  workflow_id uuid,
  version_id bigint not null,
  thread_id uuid,
  parent_run_id uuid references public.mira_workflow_state (id) on delete cascade,
  parent_seq int,
  parent_item int,
  depth smallint not null default 0,
  priority smallint not null default 5,
  idempotency_key text,
  max_steps int,
  max_tokens bigint,
  max_cost_micros bigint,
  deadline_at timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  leased_at timestamptz,
  due_at timestamptz,
  lease_epoch int not null default 0,
  stalls smallint not null default 0,
  status text not null default 'pending',
  updated_at timestamptz not null default now(),
  current_node_id uuid,
  steps_used int not null default 0,
  next_seq int not null default 1,
  last_event int not null default 0,
  straight_node int,
  tokens_used bigint not null default 0,
  cost_micros bigint not null default 0,
  cursor jsonb not null default '{}',
  state_data jsonb not null default '{}',
  input jsonb not null default '{}',
  output jsonb,
  error jsonb
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index mira_workflow_state_user_id_created_at_idx
  on public.mira_workflow_state (user_id, created_at desc);
create index mira_workflow_state_thread_id_idx
  on public.mira_workflow_state (thread_id) where thread_id is not null;
create index mira_workflow_state_parent_run_id_idx
  on public.mira_workflow_state (parent_run_id) where parent_run_id is not null;
create unique index mira_workflow_state_user_id_idempotency_key_idx
  on public.mira_workflow_state (user_id, idempotency_key) where idempotency_key is not null;
-- the only index the claim reads; a finished or parked run is not in it
create index mira_workflow_state_user_id_priority_due_at_idx
  on public.mira_workflow_state (user_id, priority desc, due_at) where due_at is not null;
create index mira_workflow_state_leased_idx
  on public.mira_workflow_state (due_at) where leased_at is not null;
-- The ledger row is the owner and goes with the account; a key of this table's own to the account or to the
-- workflow would cost every start one more look and row lock each. So a deleted workflow is taken out here.
create function private.forget_workflows() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  update public.mira_workflow_state s set workflow_id = null from gone
    where s.user_id = gone.user_id and s.workflow_id = gone.id;
  return null;
end $$;
comment on function private.forget_workflows() is 'Trigger: checkpoints name no workflow that is gone.';
revoke all on function private.forget_workflows() from public, anon, authenticated;
create trigger mira_workflows_forget after delete on public.mira_workflows
  referencing old table as gone for each statement execute function private.forget_workflows();
comment on table public.mira_workflow_state is
  'The checkpoint of a run (same id as its ledger row): state object, open steps, lease and spend. Only the engine writes it.';
comment on column public.mira_workflow_state.version_id is
  'The frozen graph (private.workflow_versions); versions go only when their user goes, and the runs with them, so no key is checked.';
comment on column public.mira_workflow_state.due_at is
  'When somebody should next look at this run: now or earlier = to be claimed, later = a lease or a timer runs until then, null = finished or waiting for somebody.';
comment on column public.mira_workflow_state.lease_epoch is 'Raised by each claim; a worker that reports under an older epoch is refused.';
comment on column public.mira_workflow_state.stalls is 'Claims in a row that followed a lapsed lease with no step recorded between.';
comment on column public.mira_workflow_state.cursor is
  'Open steps by sequence number, and joins that have been reached: the program counter of the run.';
comment on column public.mira_workflow_state.straight_node is
  'The node of step next_seq - 1 while that is all there is to the cursor: one task, first attempt, held under lease_epoch, opened by last_event, and no budget, deadline or limit need be looked at. Null = read the cursor.';
comment on column public.mira_workflow_state.state_data is 'The state object, shaped by the steps'' outputs through the reducers.';
comment on column public.mira_workflow_state.cost_micros is 'Money spent, in millionths of a US dollar.';
comment on column public.mira_workflow_state.last_event is 'Number of the newest recorded event; event numbers have no gaps and follow commit order.';

create table public.agent_messages (
  id uuid primary key default gen_random_uuid(),
  workflow_execution_id uuid not null references public.workflow_executions (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  agent_name text not null,
  message_type text not null check (message_type in ('input', 'output', 'system', 'error', 'tool_call')),
  content text not null default '',
  status text not null default 'completed' check (status in ('pending', 'processing', 'completed', 'failed')),
  tool_calls jsonb,
  context_data jsonb not null default '{}',
  error_details text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  processed_at timestamptz
);
create index agent_messages_workflow_execution_id_created_at_idx
  on public.agent_messages (workflow_execution_id, created_at);
create index agent_messages_user_id_created_at_idx on public.agent_messages (user_id, created_at desc);
comment on table public.agent_messages is
  'What each agent of a run was told and said, tool calls included. Written by the engine in the step''s own transaction.';
comment on column public.agent_messages.context_data is 'Step number, model, token counts and whatever else explains the message.';

-- The names older clients know --------------------------------------------------------------------------

create view public.workflows with (security_invoker = true) as
  select w.id, w.user_id, w.name, w.description, w.version, w.is_active,
    case when w.is_active then 'active' else 'draft' end as status,
    jsonb_build_object(
      'nodes', coalesce((
        select jsonb_agg(jsonb_build_object('id', n.id, 'type', n.type, 'name', n.name, 'config', n.config)
                         order by n.name, n.id)
        from public.mira_workflow_nodes n where n.workflow_id = w.id), '[]'),
      'edges', coalesce((
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('source', e.source_node_id,
                         'target', e.target_node_id, 'condition_label', e.condition_label)) order by e.id)
        from public.mira_workflow_edges e where e.workflow_id = w.id), '[]')) as definition,
    w.created_at, w.updated_at
  from public.mira_workflows w;
comment on view public.workflows is 'Your workflows, each with its graph as one document (seed 004).';

create view public.workflow_history with (security_invoker = true) as
  select e.id, e.user_id, e.workflow_id, coalesce(w.name, e.workflow_type) as workflow_name,
    e.current_state as status, e.workflow_config -> 'input' as input, e.results as result,
    e.error_message, e.started_at, e.completed_at,
    (extract(epoch from e.completed_at - e.started_at) * 1000)::bigint as duration_ms, e.created_at
  from public.workflow_executions e left join public.mira_workflows w on w.id = e.workflow_id;
comment on view public.workflow_history is 'Your runs, past and present (seed 004).';

-- so that a policy compares a column of the row, which an index holds, and looks up no other table
create function private.follow_workflow_owner() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.user_id := (select w.user_id from public.mira_workflows w where w.id = new.workflow_id);
  return new;
end $$;
comment on function private.follow_workflow_owner() is
  'Trigger: a node or an edge belongs to whom its workflow belongs; to nobody, and is refused, when the writer cannot see that.';
revoke all on function private.follow_workflow_owner() from public, anon, authenticated;
create trigger mira_workflow_nodes_owner before insert or update of workflow_id, user_id on public.mira_workflow_nodes
  for each row execute function private.follow_workflow_owner();
create trigger mira_workflow_edges_owner before insert or update of workflow_id, user_id on public.mira_workflow_edges
  for each row execute function private.follow_workflow_owner();

create trigger mira_workflows_updated_at before update on public.mira_workflows
  for each row execute function private.set_updated_at();
create trigger mira_tool_definitions_updated_at before update on public.mira_tool_definitions
  for each row execute function private.set_updated_at();

-- Who may do what ---------------------------------------------------------------------------------------

alter table public.mira_workflows enable row level security;
alter table public.mira_workflow_nodes enable row level security;
alter table public.mira_workflow_edges enable row level security;
alter table public.mira_tool_definitions enable row level security;
alter table public.workflow_executions enable row level security;
alter table public.mira_workflow_state enable row level security;
alter table public.agent_messages enable row level security;
alter table private.workflow_versions enable row level security;
alter table private.version_nodes enable row level security;

revoke all on public.mira_workflows, public.mira_workflow_nodes, public.mira_workflow_edges,
  public.mira_tool_definitions, public.workflow_executions, public.mira_workflow_state,
  public.agent_messages, public.workflows, public.workflow_history,
  private.workflow_versions, private.version_nodes
  from public, anon, authenticated;

grant select, delete on public.mira_workflows to authenticated;
grant insert (id, user_id, name, description, is_active, reducers, input_schema, limits, metadata)
  on public.mira_workflows to authenticated;
grant update (name, description, is_active, reducers, input_schema, limits, metadata)
  on public.mira_workflows to authenticated;
grant select, delete on public.mira_workflow_nodes, public.mira_workflow_edges to authenticated;
grant insert (id, workflow_id, type, name, config, position_x, position_y) on public.mira_workflow_nodes to authenticated;
grant insert (id, workflow_id, source_node_id, target_node_id, condition_label)
  on public.mira_workflow_edges to authenticated;
grant update (type, name, config, position_x, position_y) on public.mira_workflow_nodes to authenticated;
grant update (source_node_id, target_node_id, condition_label) on public.mira_workflow_edges to authenticated;
grant select on public.mira_tool_definitions, public.workflow_executions, public.mira_workflow_state,
  public.agent_messages, public.workflows, public.workflow_history to authenticated;
grant select, insert, update, delete on public.mira_workflows, public.mira_workflow_nodes,
  public.mira_workflow_edges, public.mira_tool_definitions, public.workflow_executions,
  public.mira_workflow_state, public.agent_messages,
  private.workflow_versions, private.version_nodes to service_role;
grant select on public.workflows, public.workflow_history to service_role;

create policy mira_workflows_select_own on public.mira_workflows for select to authenticated
  using (user_id = (select auth.uid()));
create policy mira_workflows_insert_own on public.mira_workflows for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy mira_workflows_update_own on public.mira_workflows for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy mira_workflows_delete_own on public.mira_workflows for delete to authenticated
  using (user_id = (select auth.uid()));

create policy mira_workflow_nodes_select_own on public.mira_workflow_nodes for select to authenticated
  using (user_id = (select auth.uid()));
create policy mira_workflow_nodes_insert_own on public.mira_workflow_nodes for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy mira_workflow_nodes_update_own on public.mira_workflow_nodes for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));
create policy mira_workflow_nodes_delete_own on public.mira_workflow_nodes for delete to authenticated
  using (user_id = (select auth.uid()));

create policy mira_workflow_edges_select_own on public.mira_workflow_edges for select to authenticated
  using (user_id = (select auth.uid()));
create policy mira_workflow_edges_insert_own on public.mira_workflow_edges for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy mira_workflow_edges_update_own on public.mira_workflow_edges for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));
create policy mira_workflow_edges_delete_own on public.mira_workflow_edges for delete to authenticated
  using (user_id = (select auth.uid()));

create policy mira_tool_definitions_select_enabled on public.mira_tool_definitions for select to authenticated
  using (is_enabled);
create policy workflow_executions_select_own on public.workflow_executions for select to authenticated
  using (user_id = (select auth.uid()));
create policy mira_workflow_state_select_own on public.mira_workflow_state for select to authenticated
  using (user_id = (select auth.uid()));
create policy agent_messages_select_own on public.agent_messages for select to authenticated
  using (user_id = (select auth.uid()));

create policy workflow_versions_all_service on private.workflow_versions for all to service_role
  using (true) with check (true);
create policy version_nodes_all_service on private.version_nodes for all to service_role
  using (true) with check (true);

-- The gate: validate, then freeze -----------------------------------------------------------------------

-- A draft as one document, in the shape an inline workflow is sent in.
create function private.draft_graph(p_workflow public.mira_workflows) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'name', p_workflow.name, 'reducers', p_workflow.reducers, 'limits', p_workflow.limits,
    'input_schema', p_workflow.input_schema)) || jsonb_build_object(
    'nodes', coalesce((
      select jsonb_agg(jsonb_build_object('id', n.id, 'type', n.type, 'name', n.name, 'config', n.config) order by n.id)
      from public.mira_workflow_nodes n where n.workflow_id = p_workflow.id), '[]'),
    'edges', coalesce((
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('source', e.source_node_id, 'target', e.target_node_id,
        'condition_label', e.condition_label)) order by e.source_node_id, e.target_node_id, e.condition_label)
      from public.mira_workflow_edges e where e.workflow_id = p_workflow.id), '[]'))
$$;
comment on function private.draft_graph(public.mira_workflows) is
  'The draft of a workflow as one document {name, nodes, edges, reducers, input_schema, limits}.';

-- Any word may be an inline node's id; the engine's are uuids.
create function private.node_id(p_word text) returns text
language sql immutable set search_path = '' as $$
  select case when p_word ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then lower(p_word)
    else md5(p_word)::uuid::text end
$$;
comment on function private.node_id(text) is 'The uuid of a node that is known by this id or, lacking one, this name.';

-- Nodes get ids, edges get ids at both ends (they may be written with names); nothing is judged yet.
create function private.normal_graph(p_graph jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_nodes jsonb := '[]';
  v_edges jsonb := '[]';
  v_names jsonb := '{}';
  v_id text;
  x jsonb;
begin
  if jsonb_typeof(p_graph) is distinct from 'object' or jsonb_typeof(p_graph -> 'nodes') is distinct from 'array'
    or jsonb_typeof(coalesce(p_graph -> 'edges', '[]')) <> 'array' then
    raise exception using errcode = 'PT422', message = 'workflow_invalid',
      detail = '[{"code":"not_a_graph","severity":"error","detail":"A workflow is {nodes:[…], edges:[…]}."}]';
  end if;
  for x in select value from jsonb_array_elements(p_graph -> 'nodes') loop
    v_id := private.node_id(coalesce(x ->> 'id', x ->> 'name', ''));
    if x ? 'name' then
      v_names := v_names || jsonb_build_object(x ->> 'name', v_id);
    end if;
    v_nodes := v_nodes || jsonb_build_object('id', v_id, 'type', x ->> 'type',
      'name', coalesce(x ->> 'name', x ->> 'id', ''), 'config', coalesce(x -> 'config', '{}'));
  end loop;
  for x in select value from jsonb_array_elements(coalesce(p_graph -> 'edges', '[]')) loop
    v_edges := v_edges || jsonb_strip_nulls(jsonb_build_object(
      'source', coalesce(v_names ->> (x ->> 'source'), private.node_id(coalesce(x ->> 'source', ''))),
      'target', coalesce(v_names ->> (x ->> 'target'), private.node_id(coalesce(x ->> 'target', ''))),
      'condition_label', x ->> 'condition_label'));
  end loop;
  return jsonb_strip_nulls(jsonb_build_object('name', coalesce(p_graph ->> 'name', 'workflow'),
      'input_schema', p_graph -> 'input_schema'))
    || jsonb_build_object('reducers', coalesce(p_graph -> 'reducers', '{}'),
      'limits', coalesce(p_graph -> 'limits', '{}'), 'nodes', v_nodes, 'edges', v_edges);
end $$;
comment on function private.normal_graph(jsonb) is
  'A graph document with ids on every node and at both ends of every edge. Errors: PT422 workflow_invalid.';

-- The value of `p_path` as a jsonpath, or null when it is none (a bad one must not end the validation).
create function private.try_jsonpath(p_path text) returns jsonpath
language plpgsql immutable set search_path = '' as $$
begin
  return p_path::jsonpath;
exception when others then
  return null;
end $$;
comment on function private.try_jsonpath(text) is 'The text as a jsonpath, null when it is not one.';

create function private.problem(p_code text, p_node text, p_detail text, p_severity text default 'error')
returns jsonb language sql immutable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object('code', p_code, 'severity', p_severity, 'node', p_node, 'detail', p_detail))
$$;
comment on function private.problem(text, text, text, text) is 'One finding of the validator.';

-- Everything the graph could trip over later, in one pass. The graph is normal (private.normal_graph).
create function private.is_tool_grant(p_grant jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select jsonb_typeof(p_grant) = 'object' and p_grant - '{allow,otherwise}'::text[] = '{}'
    and coalesce(p_grant ->> 'otherwise', 'refuse') in ('refuse', 'confirm')
    and jsonb_typeof(coalesce(p_grant -> 'allow', '[]')) = 'array'
    and not coalesce(p_grant -> 'allow', '[]') @? 'strict $[*] ? (@.type() != "string")'
$$;
comment on function private.is_tool_grant(jsonb) is
  'Whether a value is {allow: [tool names], otherwise: refuse (default) or confirm}.';

create function private.graph_problems(p_graph jsonb, p_user_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_nodes jsonb := p_graph -> 'nodes';
  v_edges jsonb := p_graph -> 'edges';
  v_types jsonb;       -- id -> type
  v_names jsonb;       -- id -> name
  v_reach text[];      -- ids reachable from start
  v_roots text[];      -- first segments a template may begin with
  v_open boolean;      -- the input may hold keys nobody declared
  v_start text;
  v_labels text[];
  v_given text[];
  v_seen text[];
  v_count int;
  n jsonb; c jsonb; e jsonb; x jsonb;
  v_id text; v_name text; v_type text; v_text text; v_root text;
begin
  if jsonb_array_length(v_nodes) > 500 or jsonb_array_length(v_edges) > 2000 then
    return jsonb_build_array(private.problem('graph_too_large', null, 'At most 500 nodes and 2000 edges.'));
  end if;
  select coalesce(jsonb_object_agg(t ->> 'id', t ->> 'type'), '{}'), coalesce(jsonb_object_agg(t ->> 'id', t ->> 'name'), '{}')
    into v_types, v_names from jsonb_array_elements(v_nodes) t;

  for n in select value from jsonb_array_elements(v_nodes) loop
    v_type := coalesce(n ->> 'type', '');
    if v_type not in ('start', 'llm', 'tool', 'router', 'end', 'human', 'wait', 'map', 'subworkflow') then
      v_out := v_out || private.problem('unknown_node_type', n ->> 'name', format('"%s" is no node type.', v_type));
    end if;
    if coalesce(n ->> 'name', '') = '' or n ->> 'name' ~ '[.{}\[\]$]' or length(n ->> 'name') > 120 then
      v_out := v_out || private.problem('bad_name', n ->> 'name', 'A name has 1 to 120 characters and none of . { } [ ] $, so that templates can use it.');
    end if;
    if jsonb_typeof(n -> 'config') <> 'object' then
      v_out := v_out || private.problem('bad_config', n ->> 'name', 'config must be an object.');
      return v_out;
    end if;
  end loop;
  for v_name in select t ->> 'name' from jsonb_array_elements(v_nodes) t group by 1 having count(*) > 1 loop
    v_out := v_out || private.problem('duplicate_name', v_name, 'Names must differ: a step''s output is kept under its name.');
  end loop;
  if (select count(distinct t ->> 'id') from jsonb_array_elements(v_nodes) t) < jsonb_array_length(v_nodes) then
    v_out := v_out || private.problem('duplicate_id', null, 'Two nodes have the same id.');
  end if;
  for e in select value from jsonb_array_elements(v_edges) loop
    if not v_types ? (e ->> 'source') or not v_types ? (e ->> 'target') then
      v_out := v_out || private.problem('dangling_edge', coalesce(v_names ->> (e ->> 'source'), v_names ->> (e ->> 'target')),
        'An edge points to a node that is not there.');
    end if;
  end loop;

  select count(*), min(t ->> 'id') into v_count, v_start from jsonb_array_elements(v_nodes) t where t ->> 'type' = 'start';
  if v_count <> 1 then
    v_out := v_out || private.problem(case when v_count = 0 then 'no_start' else 'several_starts' end, null,
      'A graph has exactly one start node.');
  end if;
  if not exists (select from jsonb_array_elements(v_nodes) t where t ->> 'type' = 'end') then
    v_out := v_out || private.problem('no_end', null, 'Without an end node the whole state is the output.', 'warning');
  end if;

  -- edges that a decision can take; the rest leads nowhere
  with recursive live as (
    select e2 ->> 'source' as source, e2 ->> 'target' as target
    from jsonb_array_elements(v_edges) e2
    join jsonb_array_elements(v_nodes) s on s ->> 'id' = e2 ->> 'source'
    where s ->> 'type' <> 'router' or e2 ->> 'condition_label' is null or s #>> '{config,mode}' = 'llm'
      or e2 ->> 'condition_label' = s #>> '{config,default}'
      or exists (select from jsonb_array_elements(
          case jsonb_typeof(s #> '{config,conditions}') when 'array' then s #> '{config,conditions}' else '[]' end) k
        where k ->> 'label' = e2 ->> 'condition_label')
  ), walk as (
    select v_start as id where v_start is not null
    union
    select live.target from walk join live on live.source = walk.id
  )
  select coalesce(array_agg(id), '{}') into v_reach from walk;

  -- what templates may name
  select array_agg(r) into v_roots from (
    select 'input' as r union select 'run' union select 'error' union select jsonb_object_keys(p_graph -> 'reducers')
    union select coalesce(t #>> '{config,output_key}', t ->> 'name') from jsonb_array_elements(v_nodes) t
    union select jsonb_object_keys(case jsonb_typeof(p_graph #> '{input_schema,properties}')
      when 'object' then p_graph #> '{input_schema,properties}' else '{}' end)) z;
  v_open := p_graph #> '{input_schema,properties}' is null
    or exists (select from jsonb_array_elements(v_nodes) t where t #>> '{config,output_key}' = '.');

  for n in select value from jsonb_array_elements(v_nodes) loop
    v_id := n ->> 'id'; v_name := n ->> 'name'; v_type := n ->> 'type'; c := n -> 'config';
    select coalesce(array_agg(t ->> 'condition_label') filter (where t ->> 'condition_label' is not null), '{}'),
      count(*) filter (where t ->> 'condition_label' is null)
      into v_labels, v_count from jsonb_array_elements(v_edges) t where t ->> 'source' = v_id;

    if v_id <> all (v_reach) and v_start is not null then
      if (select count(*) from jsonb_array_elements(v_edges) t where t ->> 'target' = v_id) > 1 then
        v_out := v_out || private.problem('join_never_fires', v_name, 'No path from start ever arrives at this join.');
      end if;
      v_out := v_out || private.problem('unreachable_node', v_name, 'No path leads here from start.');
    end if;
    if v_type = 'start' and exists (select from jsonb_array_elements(v_edges) t where t ->> 'target' = v_id) then
      v_out := v_out || private.problem('edge_into_start', v_name, 'No edge may lead back to start; loop to the node after it.');
    elsif v_type = 'end' and (v_count > 0 or v_labels <> '{}') then
      v_out := v_out || private.problem('edge_out_of_end', v_name, 'Nothing follows an end node.');
    elsif v_type not in ('end', 'router') and v_count = 0 then
      v_out := v_out || private.problem('dead_end', v_name, 'Nothing follows; this branch ends here.', 'warning');
    end if;
    if c ? 'join' and coalesce(c ->> 'join', '') not in ('all', 'any') then
      v_out := v_out || private.problem('bad_config', v_name, 'join is "all" or "any".');
    end if;
    if jsonb_typeof(coalesce(c -> 'timeout_ms', '1')) <> 'number' or coalesce(c ->> 'timeout_ms', '1') !~ '^[1-9][0-9]{0,9}$' then
      v_out := v_out || private.problem('bad_config', v_name, 'timeout_ms is a positive whole number.');
    end if;
    if c ? 'retry' and (jsonb_typeof(c -> 'retry') <> 'object' or exists (
        select from jsonb_each(c -> 'retry') t where t.key not in ('max_attempts', 'base_ms', 'factor', 'max_ms', 'jitter')
          or jsonb_typeof(t.value) <> 'number' or t.value::text::numeric < 0)) then
      v_out := v_out || private.problem('bad_config', v_name, 'retry is {max_attempts, base_ms, factor, max_ms, jitter}, numbers of 0 or more.');
    end if;
    if c ? 'output_key' and coalesce(c ->> 'output_key', '') = '' then
      v_out := v_out || private.problem('bad_config', v_name, 'output_key is a key of the state, or "." to spread an object over it.');
    end if;

    if v_type = 'router' then
      v_given := '{}';
      if c ->> 'mode' = 'llm' then
        v_given := v_labels;
        if v_labels = '{}' then
          v_out := v_out || private.problem('router_without_labels', v_name, 'A model needs labelled edges to choose among.');
        end if;
      else
        if jsonb_typeof(c -> 'conditions') is distinct from 'array' and c ? 'conditions' then
          v_out := v_out || private.problem('bad_condition', v_name, 'conditions is a list of {label, when}.');
        else
          for x in select value from jsonb_array_elements(coalesce(c -> 'conditions', '[]')) loop
            if coalesce(x ->> 'label', '') = '' or private.try_jsonpath(x ->> 'when') is null then
              v_out := v_out || private.problem('bad_condition', v_name,
                format('"%s" is no jsonpath for the label "%s".', x ->> 'when', x ->> 'label'));
            end if;
            v_given := v_given || (x ->> 'label');
          end loop;
        end if;
      end if;
      if c ->> 'default' is null and v_count = 0 then
        v_out := v_out || private.problem('router_without_default', v_name,
          'Name a default label, or draw one edge without a label: a state that meets no condition must go somewhere.');
      end if;
      for v_text in select distinct t from unnest(v_given || (c ->> 'default')) t where t is not null and t <> all (v_labels) loop
        v_out := v_out || private.problem('label_without_edge', v_name, format('No edge carries the label "%s".', v_text));
      end loop;
      for v_text in select distinct t from unnest(v_labels) t where t <> all (v_given || coalesce(c ->> 'default', '')) loop
        v_out := v_out || private.problem('edge_never_taken', v_name, format('No condition gives the label "%s".', v_text), 'warning');
      end loop;
    else
      for v_text in select distinct t from unnest(v_labels) t
        where t <> all (case when v_type in ('human', 'wait') then '{timeout,error}'::text[] else '{error}' end) loop
        v_out := v_out || private.problem('label_never_taken', v_name,
          format('Only a router takes the label "%s"; other nodes know "error", human and wait also "timeout".', v_text));
      end loop;
    end if;

    if v_type = 'llm' and not (c ? 'prompt' or c ? 'messages') then
      v_out := v_out || private.problem('llm_without_prompt', v_name, 'Give it a prompt or messages.');
    end if;
    if v_type = 'tool' and coalesce(c ->> 'tool', '') = '' then
      v_out := v_out || private.problem('tool_without_name', v_name, 'config.tool names the tool to call.');
    end if;
    if v_type = 'wait' and not (c ? 'seconds' or c ? 'until' or c ? 'signal') then
      v_out := v_out || private.problem('wait_without_end', v_name, 'Wait for seconds, until a time, or for a signal.');
    end if;
    if v_type = 'wait' and c ? 'until' and private.try_jsonpath(c ->> 'until') is null then
      v_out := v_out || private.problem('bad_path', v_name, 'until is a jsonpath to a time in the state.');
    end if;
    if v_type = 'wait' and c ? 'seconds' and jsonb_typeof(c -> 'seconds') <> 'number' then
      v_out := v_out || private.problem('bad_config', v_name, 'seconds is a number.');
    end if;
    if v_type = 'map' then
      if private.try_jsonpath(c ->> 'items') is null then
        v_out := v_out || private.problem('bad_path', v_name, 'items is a jsonpath to a list in the state.');
      end if;
      if coalesce(c #>> '{each,type}', '') not in ('llm', 'tool', 'subworkflow') then
        v_out := v_out || private.problem('bad_config', v_name, 'each is {type: llm, tool or subworkflow, config}.');
      end if;
    end if;
    x := case when v_type = 'map' then c #> '{each,config}' else c end;
    if v_type = 'subworkflow' or (v_type = 'map' and c #>> '{each,type}' = 'subworkflow') then
      if not exists (select from public.mira_workflows w where w.id::text = x ->> 'workflow_id'
          and (p_user_id is null or w.user_id = p_user_id)) then
        v_out := v_out || private.problem('unknown_workflow', v_name, 'workflow_id names no workflow of yours.');
      end if;
    end if;
    for v_text in
      select distinct t from (
        select x ->> 'tool' as t where v_type = 'tool' or c #>> '{each,type}' = 'tool'
        union all select jsonb_array_elements_text(x -> 'tools') where jsonb_typeof(x -> 'tools') = 'array'
          and (v_type = 'llm' or c #>> '{each,type}' = 'llm')) z
      where t <> '' and not exists (select from public.mira_tool_definitions d where d.name = z.t and d.is_enabled) loop
      v_out := v_out || private.problem('unknown_tool', v_name, format('No enabled tool is called "%s".', v_text));
    end loop;

    -- templates: every {{path}} in every string of the config
    for v_text in select t #>> '{}' from jsonb_path_query(c, 'strict $.** ? (@.type() == "string")') t where t #>> '{}' ~ '\{\{|\}\}' loop
      if regexp_replace(v_text, '\{\{\s*[^{}\s][^{}]*\}\}', '', 'g') ~ '\{\{|\}\}' then
        v_out := v_out || private.problem('bad_template_path', v_name, format('Empty or unclosed template in "%s".', left(v_text, 80)));
      end if;
      v_seen := '{}';
      for v_text in select btrim(m[1]) from regexp_matches(v_text, '\{\{\s*([^{}\s][^{}]*)\}\}', 'g') m loop
        -- {{path ?? literal}}: a path with a fallback may be missing
        continue when v_text like '%??%';
        v_root := split_part(v_text, '.', 1);
        continue when v_text = any (v_seen);
        v_seen := v_seen || v_text;
        if v_text ~ '(^\.|\.\.|\.$)' then
          v_out := v_out || private.problem('bad_template_path', v_name, format('{{%s}} has an empty part.', v_text));
        elsif v_root = any (v_roots) or (v_type = 'map' and v_root in ('item', 'index')) then
          null;
        else
          v_out := v_out || private.problem('bad_template_path', v_name,
            format('{{%s}}: no step writes "%s"%s.', v_text, v_root,
              case when v_open then '; it must come with the input (write {{input.…}} to say so)' else ' and the input has no such key' end),
            case when v_open then 'warning' else 'error' end);
        end if;
      end loop;
    end loop;
  end loop;

  for v_text, v_name in select t.key, t.value #>> '{}' from jsonb_each(p_graph -> 'reducers') t
    where coalesce(t.value #>> '{}', '') not in ('replace', 'append', 'add', 'merge', 'messages') loop
    v_out := v_out || private.problem('unknown_reducer', null, format('"%s" of "%s" is none of replace, append, add, merge, messages.', v_name, v_text));
  end loop;
  if jsonb_typeof(p_graph -> 'limits') <> 'object'
    or exists (select from jsonb_each(case jsonb_typeof(p_graph #> '{limits,budget}') when 'object' then p_graph #> '{limits,budget}' else '{}' end) t
      where jsonb_typeof(t.value) <> 'number' or t.value::text::numeric < 0
        or t.key not in ('steps', 'tokens', 'cost_micros', 'time_ms'))
    or jsonb_typeof(coalesce(p_graph #> '{limits,budget}', '{}')) <> 'object'
    or coalesce(p_graph #>> '{limits,max_running}', '1') !~ '^[1-9][0-9]{0,6}$' then
    v_out := v_out || private.problem('bad_limits', null,
      'limits is {budget: {steps, tokens, cost_micros, time_ms}, max_running}, numbers of 0 or more.');
  end if;
  if p_graph #> '{limits,tools}' is not null then
    if not private.is_tool_grant(p_graph #> '{limits,tools}') then
      v_out := v_out || private.problem('bad_limits', null, 'limits.tools is {allow: [tool names], otherwise: refuse or confirm}.');
    else
      for v_text in select t #>> '{}' from jsonb_array_elements(coalesce(p_graph #> '{limits,tools,allow}', '[]')) t
        where not exists (select from public.mira_tool_definitions d where d.name = t #>> '{}' and d.is_enabled) loop
        v_out := v_out || private.problem('unknown_tool', null, format('limits.tools allows "%s", which is no enabled tool.', v_text));
      end loop;
    end if;
  end if;
  return v_out;
end $$;
comment on function private.graph_problems(jsonb, uuid) is
  'What is wrong with a normal graph: [{code, severity: error|warning, node?, detail}]. The user decides which sub-workflows are known.';

-- Compile a normal graph. Successors become small numbers, joins learn their feeders.
create function private.compile_version(p_version_id bigint, p_graph jsonb) returns void
language sql set search_path = '' as $$
  with recursive node as (
    select i::int as key, n ->> 'id' as id, n ->> 'type' as type, n, n -> 'config' as config,
      coalesce(n #>> '{config,output_key}', n ->> 'name') as output_key
    from jsonb_array_elements(p_graph -> 'nodes') with ordinality t(n, i)
  ), edge as (
    select distinct s.key as source, d.key as target, e ->> 'condition_label' as label
    from jsonb_array_elements(p_graph -> 'edges') e
    join node s on s.id = e ->> 'source' join node d on d.id = e ->> 'target'
  ), joins as (
    select node.key from node join edge on edge.target = node.key
    where coalesce(node.config ->> 'join', 'all') = 'all'
    group by node.key having count(*) > 1
  ), up as (
    select joins.key as sink, edge.source as key from joins join edge on edge.target = joins.key
    union
    select up.sink, edge.source from up join edge on edge.target = up.key
  ), feeders as (
    select sink as key, array_agg(key order by key) as keys from up group by sink
  )
  insert into private.version_nodes
    (version_id, key, type, is_task, node, output_key, reducer, timeout_ms, sole_target, targets, labels, feeders, name, tool)
  select p_version_id, node.key, node.type,
    node.type in ('llm', 'tool') or (node.type = 'router' and coalesce(node.config ->> 'mode', '') = 'llm'),
    -- a model chooses among the labels that are drawn, whatever the configuration says
    case when node.type = 'router' and node.config ->> 'mode' = 'llm'
      then jsonb_set(node.n, '{config,labels}', (select coalesce(jsonb_agg(k order by k), '[]')
        from jsonb_object_keys(out.labels - 'error' - 'timeout') k))
      else node.n end,
    node.output_key, coalesce(p_graph -> 'reducers' ->> node.output_key, 'replace'),
    (node.config ->> 'timeout_ms')::int,
    case when node.type <> 'router' and cardinality(out.targets) = 1
      and not exists (select from feeders f where f.key = out.targets[1]) then out.targets[1] end,
    out.targets, out.labels, feeders.keys, node.n ->> 'name', node.config ->> 'tool'
  from node
  cross join lateral (
    select coalesce(array_agg(e.target order by e.target) filter (where e.label is null), '{}') as targets,
      coalesce((select jsonb_object_agg(l.label, l.keys) from (
        select e2.label, jsonb_agg(e2.target order by e2.target) as keys
        from edge e2 where e2.source = node.key and e2.label is not null group by e2.label) l), '{}') as labels
    from edge e where e.source = node.key) out
  left join feeders on feeders.key = node.key;

  update private.version_nodes n set next_is_end = m.type = 'end',
    next_key = case when m.type <> 'end' then m.key end, next_id = (case when m.type = 'end' then n.node else m.node end ->> 'id')::uuid,
    next_name = m.name, next_node = m.node::text, next_timeout = make_interval(secs => m.timeout_ms::float8 / 1000), next_output = m.node #> '{config,output}'
  from private.version_nodes m
  where n.version_id = p_version_id and m.version_id = p_version_id and m.key = n.sole_target
    and (n.type = 'start' and m.type in ('tool', 'llm')
      or n.type in ('tool', 'llm') and m.type in ('tool', 'llm', 'end') and n.output_key <> '.' and n.reducer = 'replace')
$$;
comment on function private.compile_version(bigint, jsonb) is 'Fills private.version_nodes for a frozen graph.';

-- Validate and freeze. The same content twice is the same version.
create function private.freeze_graph(p_user_id uuid, p_workflow_id uuid, p_graph jsonb)
returns private.workflow_versions
language plpgsql security definer set search_path = '' as $$
declare
  v private.workflow_versions;
  v_graph jsonb := private.normal_graph(p_graph);
  v_hash text := md5(v_graph::text);
  v_problems jsonb;
begin
  if p_workflow_id is null then
    select * into v from private.workflow_versions w
      where w.user_id = p_user_id and w.hash = v_hash and w.workflow_id is null;
    if v.used_at < now() - interval '1 day' then
      -- touched while it is still there; purged a moment ago, it is frozen again below
      update private.workflow_versions w set used_at = now() where w.id = v.id returning * into v;
    end if;
  else
    select * into v from private.workflow_versions w
      where w.workflow_id = p_workflow_id order by w.version desc limit 1;
    if v.hash is distinct from v_hash then
      v := row(null, null, null, coalesce(v.version, 0), null, null, null, null, null, null, null, null, null, null);
    end if;
  end if;
  -- an unchanged graph is judged again only when what it leans on may have changed: an activation
  if v.id is null or p_workflow_id is not null then
    v_problems := private.graph_problems(v_graph, p_user_id);
    if v_problems @? '$[*] ? (@.severity == "error")' then
      raise exception using errcode = 'PT422', message = 'workflow_invalid', detail = v_problems::text;
    end if;
  end if;
  if v.id is null then
    insert into private.workflow_versions
      (user_id, workflow_id, version, hash, name, graph, required, reducers, limits, agents, start_key)
    select p_user_id, p_workflow_id, coalesce(v.version, 0) + 1, v_hash,
      coalesce(nullif(left(v_graph ->> 'name', 200), ''), 'workflow'), v_graph,
      array(select jsonb_array_elements_text(case jsonb_typeof(v_graph #> '{input_schema,required}')
        when 'array' then v_graph #> '{input_schema,required}' else '[]' end)), v_graph -> 'reducers',
      v_graph -> 'limits',
      coalesce((select array_agg(distinct coalesce(n #>> '{config,agent_name}', n ->> 'name'))
        from jsonb_array_elements(v_graph -> 'nodes') n where n ->> 'type' = 'llm'), '{}'),
      (select i from jsonb_array_elements(v_graph -> 'nodes') with ordinality t(n, i) where n ->> 'type' = 'start')
    on conflict do nothing
    returning * into v;
    if v.id is null then
      -- somebody froze the same inline graph a moment ago
      return private.freeze_graph(p_user_id, p_workflow_id, p_graph);
    end if;
    perform private.compile_version(v.id, v_graph);
  end if;
  return v;
end $$;
comment on function private.freeze_graph(uuid, uuid, jsonb) is
  'The frozen version of a graph, made when its content is new. Errors: PT422 workflow_invalid (detail: the problems as JSON).';

create function private.activate_workflow() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  new.version := (private.freeze_graph(new.user_id, new.id, private.draft_graph(new))).version;
  return new;
end $$;
comment on function private.activate_workflow() is
  'Trigger: setting is_active validates the draft and freezes it as the version that starts will use.';
create trigger mira_workflows_activate before update of is_active on public.mira_workflows
  for each row when (new.is_active) execute function private.activate_workflow();

revoke all on function private.is_tool_grant(jsonb), private.draft_graph(public.mira_workflows), private.node_id(text),
  private.normal_graph(jsonb), private.try_jsonpath(text), private.problem(text, text, text, text),
  private.graph_problems(jsonb, uuid), private.compile_version(bigint, jsonb),
  private.freeze_graph(uuid, uuid, jsonb), private.activate_workflow()
  from public, anon, authenticated;

-- Built-in tools ---------------------------------------------------------------------------------------
-- Every installation has these; their handlers are in functions-shared/runner/tools. An operator adds
-- rows of their own, or switches one off with is_enabled.

insert into public.mira_tool_definitions (name, description, schema, function_path, is_read_only) values
  ('compose', 'Gives back its arguments: shapes the state without a model.',
   '{"type":"object"}', 'internal:compose', true),
  ('emit_action', 'Records that an action of a habit was carried out, for the app to act on.',
   '{"type":"object","required":["action"],"additionalProperties":false,"properties":{
      "action":{"type":"string","minLength":1,"maxLength":500},
      "event_type":{"type":"string","maxLength":50},
      "module":{"type":"string","maxLength":100},
      "page":{"type":"string","maxLength":500},
      "target":{"type":["string","null"],"maxLength":500},
      "values":{"type":"object"},
      "parameters":{"type":"object"}}}', 'internal:emit_action', false),
  ('log', 'Writes a line into the execution log of the run.',
   '{"type":"object","required":["message"],"additionalProperties":false,"properties":{
      "message":{"type":"string","minLength":1,"maxLength":4000},
      "level":{"enum":["info","success","warning","error"]},
      "metadata":{"type":"object"}}}', 'internal:log', true),
  ('find_patterns', 'Recalls what worked before in similar situations.',
   '{"type":"object","required":["query"],"additionalProperties":false,"properties":{
      "query":{"type":"string","minLength":1,"maxLength":4000},
      "limit":{"type":"integer","minimum":1,"maximum":50},
      "threshold":{"type":"number","minimum":0,"maximum":1},
      "context":{"type":"object"}}}', 'internal:find_patterns', true),
  ('record_pattern', 'Remembers what was done in a situation and how it ended.',
   '{"type":"object","required":["trigger","actions","final_outcome"],"additionalProperties":false,"properties":{
      "trigger":{"type":"string","minLength":1,"maxLength":4000},
      "context":{"type":"object"},
      "actions":{"type":"array","maxItems":500},
      "final_outcome":{"enum":["success","partial","failed"]}}}', 'internal:record_pattern', false),
  ('remember', 'Keeps a note that can be recalled by meaning.',
   '{"type":"object","required":["content"],"additionalProperties":false,"properties":{
      "content":{"type":"string","minLength":1,"maxLength":8000},
      "type":{"type":"string","pattern":"^[a-z][a-z0-9_]{0,62}$"},
      "metadata":{"type":"object"}}}', 'internal:remember', false),
  ('recall_memories', 'Finds notes by meaning.',
   '{"type":"object","required":["query"],"additionalProperties":false,"properties":{
      "query":{"type":"string","minLength":1,"maxLength":4000},
      "limit":{"type":"integer","minimum":1,"maximum":50},
      "threshold":{"type":"number","minimum":0,"maximum":1}}}', 'internal:recall_memories', true),
  ('save_document', 'Keeps a document that the run produced.',
   '{"type":"object","required":["document_type","title"],"additionalProperties":false,"properties":{
      "document_type":{"type":"string","minLength":1,"maxLength":50},
      "title":{"type":"string","minLength":1,"maxLength":500},
      "url":{"type":"string","maxLength":2000},
      "service":{"type":"string","maxLength":100},
      "external_id":{"type":"string","maxLength":200},
      "metadata":{"type":"object"}}}', 'internal:save_document', false),
  ('http_request', 'Calls a web service that the operator allows (MIRA_HTTP_ALLOW).',
   '{"type":"object","required":["url"],"additionalProperties":false,"properties":{
      "url":{"type":"string","maxLength":2000},
      "method":{"enum":["GET","POST","PUT","PATCH","DELETE"]},
      "headers":{"type":"object","additionalProperties":{"type":"string"}},
      "body":{}}}', 'internal:http_request', false)
on conflict (name) do nothing;
