-- Workflow, the runs: the ledger, the checkpoint, and what the agents said.
--
-- A run has two rows with one id. `workflow_executions` is the ledger: who, what, when, outcome; it
-- is written when the run starts, whenever its status changes, and when it ends. `mira_workflow_state`
-- is the checkpoint: the state object, the cursor (which steps are open), the lease and the spend; it
-- is rewritten at every step. Both are read-only to people: only the engine moves a run.

create table public.workflow_executions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  workflow_id uuid references public.mira_workflows (id) on delete set null,
  initiated_by uuid generated always as (user_id) stored,
  created_at timestamptz not null default now(),
  conversation_id text,
  workflow_type text,
  participating_agents text[] not null default '{}',
  workflow_config jsonb not null default '{}',
  execution_plan jsonb not null default '{}',
  current_state text not null default 'pending',
  current_step text,
  started_at timestamptz,
  completed_at timestamptz,
  updated_at timestamptz not null default now(),
  results jsonb,
  error_message text
) with (fillfactor = 40);
-- indexes of what only arrives are in the order it arrives in: pages fill up instead of splitting
create index workflow_executions_user_id_created_at_idx
  on public.workflow_executions (user_id, created_at);
create index workflow_executions_workflow_id_created_at_idx
  on public.workflow_executions (workflow_id, created_at) where workflow_id is not null;
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
-- changed, so what changes at every step stands together, at the end, and what never changes before it.
-- Pages are left emptier than full: runs that started together are updated together, each old version stays
-- until the transaction ends, and a version that finds no room beside the old one costs every index an entry.
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
  tokens_used bigint not null default 0,
  cost_micros bigint not null default 0,
  input jsonb not null default '{}',
  error jsonb,
  cursor jsonb not null default '{}',
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
  state_data jsonb not null default '{}',
  output jsonb
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05);
create index mira_workflow_state_user_id_created_at_idx
  on public.mira_workflow_state (user_id, created_at);
create index mira_workflow_state_thread_id_idx
  on public.mira_workflow_state (thread_id) where thread_id is not null;
create index mira_workflow_state_parent_run_id_idx
  on public.mira_workflow_state (parent_run_id) where parent_run_id is not null;
create unique index mira_workflow_state_user_id_idempotency_key_idx
  on public.mira_workflow_state (user_id, idempotency_key) where idempotency_key is not null;
-- The only indexes the claim reads, and a run is in one of them at most: who waits for a worker stands in the
-- queue, who is held under a lease by its end; a finished or parked run in neither.
create index mira_workflow_state_queue_idx
  on public.mira_workflow_state (user_id, priority desc, due_at) where due_at is not null and leased_at is null;
create index mira_workflow_state_leased_idx
  on public.mira_workflow_state (due_at, user_id) where leased_at is not null;
comment on table public.mira_workflow_state is
  'The checkpoint of a run (same id as its ledger row): state object, open steps, lease and spend. Only the engine writes it.';
comment on column public.mira_workflow_state.version_id is
  'The frozen graph (private.workflow_versions); versions go only when their user goes, and the runs with them, so no key is checked.';
comment on column public.mira_workflow_state.due_at is
  'When somebody should next look at this run: now or earlier = to be claimed, later = a lease or a timer runs until then, null = finished or waiting for somebody.';
comment on column public.mira_workflow_state.lease_epoch is 'Raised by each claim; a worker that reports under an older epoch is refused.';
comment on column public.mira_workflow_state.stalls is 'Claims in a row that followed a lapsed lease with no step recorded between.';
comment on column public.mira_workflow_state.cursor is
  'Open steps by sequence number, and joins that have been reached: the program counter of the run. On the straight road straight_node says it all and this stands still.';
comment on column public.mira_workflow_state.straight_node is
  'The node of step next_seq - 1 while that step is all there is to the run: one task, first attempt, held under lease_epoch, opened by last_event, and no budget, deadline or limit need be looked at. Null = read the cursor (private.cursor_of).';
comment on column public.mira_workflow_state.state_data is 'The state object, shaped by the steps'' outputs through the reducers.';
comment on column public.mira_workflow_state.output is 'What a completed run gives back, where its end says so; null = the state (private.output_of).';
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

-- the name older clients know ----------------------------------------------------------------------

create view public.workflow_history with (security_invoker = true) as
  select e.id, e.user_id, e.workflow_id, coalesce(w.name, e.workflow_type) as workflow_name,
    e.current_state as status, e.workflow_config -> 'input' as input, e.results as result,
    e.error_message, e.started_at, e.completed_at,
    (extract(epoch from e.completed_at - e.started_at) * 1000)::bigint as duration_ms, e.created_at
  from public.workflow_executions e left join public.mira_workflows w on w.id = e.workflow_id;
comment on view public.workflow_history is 'Your runs, past and present (seed 004).';

-- who may do what ----------------------------------------------------------------------------------

alter table public.workflow_executions enable row level security;
alter table public.mira_workflow_state enable row level security;
alter table public.agent_messages enable row level security;

revoke all on public.workflow_executions, public.mira_workflow_state, public.agent_messages, public.workflow_history
  from public, anon, authenticated;
grant select on public.workflow_executions, public.mira_workflow_state, public.agent_messages, public.workflow_history
  to authenticated;
grant select, insert, update, delete on public.workflow_executions, public.mira_workflow_state, public.agent_messages
  to service_role;
grant select on public.workflow_history to service_role;

create policy workflow_executions_select_own on public.workflow_executions for select to authenticated
  using (user_id = (select auth.uid()));
create policy mira_workflow_state_select_own on public.mira_workflow_state for select to authenticated
  using (user_id = (select auth.uid()));
create policy agent_messages_select_own on public.agent_messages for select to authenticated
  using (user_id = (select auth.uid()));
