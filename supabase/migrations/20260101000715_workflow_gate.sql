-- Workflow, the gate: a draft is validated, then frozen as the version that runs are pinned to.

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
    (node.config ->> 'timeout_ms')::bigint,
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

-- Nobody calls these but the server.
select private.close_functions('{compile_version,freeze_graph,activate_workflow}');
