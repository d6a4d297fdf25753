-- Workflow: graphs as data.
--
-- A person authors a workflow as rows: `mira_workflows`, its nodes and its labelled edges. Those rows
-- are a draft for as long as they live; they may be half-finished and wrong. Setting
-- `is_active = true` is the gate (`workflow_gate`): the validator must find no error, and the graph is then
-- copied, compiled and frozen as a numbered version (`private.workflow_versions`). Runs point at a
-- version, never at the draft, so that editing a workflow changes nothing under a run that is on its way.

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

-- the name older clients know ----------------------------------------------------------------------

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

-- whose they are -----------------------------------------------------------------------------------

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

-- who may do what ----------------------------------------------------------------------------------

alter table public.mira_workflows enable row level security;
alter table public.mira_workflow_nodes enable row level security;
alter table public.mira_workflow_edges enable row level security;

revoke all on public.mira_workflows, public.mira_workflow_nodes, public.mira_workflow_edges, public.workflows
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
grant select on public.workflows to authenticated;
grant select, insert, update, delete on public.mira_workflows, public.mira_workflow_nodes,
  public.mira_workflow_edges to service_role;
grant select on public.workflows to service_role;

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
