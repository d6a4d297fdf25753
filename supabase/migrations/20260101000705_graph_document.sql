-- Workflow, a graph as one document: as it is sent inline, as a draft is read, and normal, as it is judged and frozen.

-- A draft as one document, in the shape an inline workflow is sent in.
create function private.draft_graph(p_workflow public.mira_workflows) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'name', p_workflow.name, 'reducers', p_workflow.reducers, 'limits', p_workflow.limits))
    -- a null inside a schema says something
    || case when p_workflow.input_schema is null then '{}' else jsonb_build_object('input_schema', p_workflow.input_schema) end
    || jsonb_build_object('nodes', coalesce((
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
  v_nodes jsonb;
  v_edges jsonb;
  v_names jsonb;
begin
  if jsonb_typeof(p_graph) is distinct from 'object' or jsonb_typeof(p_graph -> 'nodes') is distinct from 'array'
    or jsonb_typeof(coalesce(p_graph -> 'edges', '[]')) <> 'array' then
    raise exception using errcode = 'PT422', message = 'workflow_invalid',
      detail = '[{"code":"not_a_graph","severity":"error","detail":"A workflow is {nodes:[…], edges:[…]}."}]';
  end if;
  -- gathered, not grown: a list that grows by one is written anew each time
  select coalesce(jsonb_agg(jsonb_build_object('id', n.id, 'type', n.x ->> 'type', 'name', coalesce(n.x ->> 'name', n.x ->> 'id', ''),
      'config', coalesce(n.x -> 'config', '{}')) order by n.place), '[]'),
    coalesce(jsonb_object_agg(n.x ->> 'name', n.id order by n.place) filter (where n.x ->> 'name' is not null), '{}')
    into v_nodes, v_names
    from (select x, place, private.node_id(coalesce(x ->> 'id', x ->> 'name', '')) as id
      from jsonb_array_elements(p_graph -> 'nodes') with ordinality t(x, place)) n;
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
      'source', coalesce(v_names ->> (x ->> 'source'), private.node_id(coalesce(x ->> 'source', ''))),
      'target', coalesce(v_names ->> (x ->> 'target'), private.node_id(coalesce(x ->> 'target', ''))),
      'condition_label', x ->> 'condition_label')) order by place), '[]')
    into v_edges from jsonb_array_elements(coalesce(p_graph -> 'edges', '[]')) with ordinality t(x, place);
  return case when coalesce(p_graph -> 'input_schema', 'null') = 'null' then '{}' else jsonb_build_object('input_schema', p_graph -> 'input_schema') end
    || jsonb_build_object('name', coalesce(p_graph ->> 'name', 'workflow'), 'reducers', coalesce(p_graph -> 'reducers', '{}'),
      'limits', coalesce(p_graph -> 'limits', '{}'), 'nodes', v_nodes, 'edges', v_edges);
end $$;
comment on function private.normal_graph(jsonb) is
  'A graph document with ids on every node and at both ends of every edge. Errors: PT422 workflow_invalid.';

-- Nobody calls these but the server.
select private.close_functions('{draft_graph,node_id,normal_graph}');
