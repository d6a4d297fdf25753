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
  updated_at timestamptz not null default now()
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
  '{budget:{steps,tokens,cost_micros,time_ms}, max_running}: per-run budget and how many runs may be at work at once.';
comment on column public.mira_workflows.metadata is 'The author''s own notes, for example where a promoted habit came from.';

create table public.mira_workflow_nodes (
  id uuid primary key default gen_random_uuid(),
  workflow_id uuid not null references public.mira_workflows (id) on delete cascade,
  type text not null check (type in
    ('start', 'llm', 'tool', 'router', 'end', 'human', 'wait', 'map', 'subworkflow')),
  name text not null check (char_length(name) between 1 and 120),
  config jsonb not null default '{}'
    check (jsonb_typeof(config) = 'object' and pg_column_size(config) <= 262144),
  position_x int not null default 0,
  position_y int not null default 0,
  unique (workflow_id, id)
);
comment on table public.mira_workflow_nodes is 'The nodes of a draft graph.';
comment on column public.mira_workflow_nodes.config is
  'What the node does: prompt templates, tool and arguments, conditions, output_key, retry, timeout_ms, join.';

create table public.mira_workflow_edges (
  id uuid primary key default gen_random_uuid(),
  workflow_id uuid not null references public.mira_workflows (id) on delete cascade,
  source_node_id uuid not null,
  target_node_id uuid not null,
  condition_label text check (char_length(condition_label) between 1 and 120),
  foreign key (workflow_id, source_node_id)
    references public.mira_workflow_nodes (workflow_id, id) on delete cascade,
  foreign key (workflow_id, target_node_id)
    references public.mira_workflow_nodes (workflow_id, id) on delete cascade
);
create index mira_workflow_edges_workflow_id_source_node_id_idx
  on public.mira_workflow_edges (workflow_id, source_node_id);
create index mira_workflow_edges_workflow_id_target_node_id_idx
  on public.mira_workflow_edges (workflow_id, target_node_id);
comment on table public.mira_workflow_edges is
  'The edges of a draft graph. Composite keys keep both ends in the edge''s own workflow.';
comment on column public.mira_workflow_edges.condition_label is
  'Which router decision takes this edge; "error" and "timeout" are taken when a step finally fails or expires.';

create table public.mira_tool_definitions (
  id uuid primary key default gen_random_uuid(),
  name text not null unique check (name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'),
  description text,
  schema jsonb not null check (jsonb_typeof(schema) = 'object'),
  function_path text not null check (function_path ~ '^(internal:|function:|rpc:|https://)'),
  is_enabled boolean not null default true,
  options jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.mira_tool_definitions is
  'The tools a graph may name. Operator-owned: a tool is a capability of the server, so people read the enabled ones and write none.';
comment on column public.mira_tool_definitions.schema is 'JSON Schema of the arguments.';
comment on column public.mira_tool_definitions.function_path is
  'The handler: internal:<name>, function:<slug>, rpc:<sql function> or an https:// address on the allow-list.';
comment on column public.mira_tool_definitions.options is
  'How the handler is called: which vault secret goes where, time-out, method. Never a secret itself.';

-- Versions: what runs are pinned to -------------------------------------------------------------------

create table private.workflow_versions (
  id bigint generated always as identity primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  version int not null,
  hash text not null,
  graph jsonb not null,
  reducers jsonb not null default '{}',
  limits jsonb not null default '{}',
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
  node_id uuid not null,
  type text not null,
  name text not null,
  config jsonb not null,
  output_key text not null,
  targets int[] not null default '{}',
  labels jsonb not null default '{}',
  sole_target int,
  feeders int[],
  primary key (version_id, key)
);
comment on table private.version_nodes is
  'A version compiled to what the engine reads at each step: one row per node, successors as small numbers.';
comment on column private.version_nodes.targets is 'Successors over unlabelled edges.';
comment on column private.version_nodes.labels is 'Successors over labelled edges: {label: [keys]}.';
comment on column private.version_nodes.sole_target is 'The one successor when there is nothing to decide or to join; else null.';
comment on column private.version_nodes.feeders is
  'For a node that joins: every node from which it can be reached. It fires when none of them is open.';

-- Runs --------------------------------------------------------------------------------------------------

create table public.workflow_executions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  conversation_id text,
  workflow_type text,
  current_state text not null default 'pending' check (current_state in
    ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
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
comment on column public.workflow_executions.current_state is 'The run''s status.';
comment on column public.workflow_executions.current_step is 'Name of the node the run stood at when its status last changed.';
comment on column public.workflow_executions.initiated_by is 'Seed 003''s name for user_id.';
comment on column public.workflow_executions.workflow_config is 'Input, version and options the run started with.';
comment on column public.workflow_executions.execution_plan is 'Budget and priority the run was given, and where it came from (fork, parent).';
comment on column public.workflow_executions.results is 'The run''s output.';

-- Column order matters here: PostgreSQL logs only the bytes between the first and the last that
-- changed, so what changes at every step stands together and what never changes stands around it.
create table public.mira_workflow_state (
  id uuid primary key default gen_random_uuid()
    references public.workflow_executions (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  version_id bigint not null references private.workflow_versions (id),
  thread_id uuid,
  parent_run_id uuid references public.mira_workflow_state (id) on delete cascade,
  parent_seq int,
  parent_item int,
  depth smallint not null default 0,
  priority smallint not null default 5 check (priority between 0 and 9),
  idempotency_key text check (char_length(idempotency_key) <= 255),
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
  status text not null default 'pending' check (status in
    ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
  updated_at timestamptz not null default now(),
  current_node_id uuid,
  steps_used int not null default 0,
  next_seq int not null default 1,
  last_event int not null default 0,
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
create index mira_workflow_state_workflow_id_idx
  on public.mira_workflow_state (workflow_id) where workflow_id is not null;
create index mira_workflow_state_version_id_idx on public.mira_workflow_state (version_id);
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
  on public.mira_workflow_state (workflow_id, user_id) where leased_at is not null;
comment on table public.mira_workflow_state is
  'The checkpoint of a run (same id as its ledger row): state object, open steps, lease and spend. Only the engine writes it.';
comment on column public.mira_workflow_state.due_at is
  'When somebody should next look at this run: now or earlier = to be claimed, later = a lease or a timer runs until then, null = finished or waiting for somebody.';
comment on column public.mira_workflow_state.lease_epoch is 'Raised by each claim; a worker that reports under an older epoch is refused.';
comment on column public.mira_workflow_state.stalls is 'Claims in a row that followed a lapsed lease with no step recorded between.';
comment on column public.mira_workflow_state.cursor is
  'Open steps by sequence number, and joins that have been reached: the program counter of the run.';
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
grant select, insert, delete on public.mira_workflow_nodes, public.mira_workflow_edges to authenticated;
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
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_nodes_insert_own on public.mira_workflow_nodes for insert to authenticated
  with check (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_nodes_update_own on public.mira_workflow_nodes for update to authenticated
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())))
  with check (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_nodes_delete_own on public.mira_workflow_nodes for delete to authenticated
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));

create policy mira_workflow_edges_select_own on public.mira_workflow_edges for select to authenticated
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_edges_insert_own on public.mira_workflow_edges for insert to authenticated
  with check (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_edges_update_own on public.mira_workflow_edges for update to authenticated
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())))
  with check (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));
create policy mira_workflow_edges_delete_own on public.mira_workflow_edges for delete to authenticated
  using (workflow_id in (select w.id from public.mira_workflows w where w.user_id = (select auth.uid())));

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
