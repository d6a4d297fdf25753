-- Workflow, versions: frozen graphs that runs are pinned to, and what the engine reads of them at each step.

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
comment on column private.workflow_versions.required is 'Keys the input must have (input_schema.required).';
comment on column private.workflow_versions.used_at is 'When an inline graph was last started, to the day: unused ones are purged.';

create table private.version_nodes (
  version_id bigint not null references private.workflow_versions (id) on delete cascade,
  key int not null,
  type text not null,
  is_task boolean not null,
  node jsonb not null,
  output_key text not null,
  reducer text not null,
  timeout_ms bigint,
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

alter table private.workflow_versions enable row level security;
alter table private.version_nodes enable row level security;
revoke all on private.workflow_versions, private.version_nodes from public, anon, authenticated;
grant select, insert, update, delete on private.workflow_versions, private.version_nodes to service_role;
create policy workflow_versions_all_service on private.workflow_versions for all to service_role
  using (true) with check (true);
create policy version_nodes_all_service on private.version_nodes for all to service_role
  using (true) with check (true);
