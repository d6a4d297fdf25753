-- Workflow, the validator: everything a graph could trip over later, found before it may run.

create function private.shape_problems(p_nodes jsonb, p_edges jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_names jsonb;       -- id -> name
  v_count int;
  n jsonb; e jsonb;
  v_name text; v_type text;
begin
  select coalesce(jsonb_object_agg(t ->> 'id', t ->> 'name'), '{}') into v_names from jsonb_array_elements(p_nodes) t;
  for n in select value from jsonb_array_elements(p_nodes) loop
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
  for v_name in select t ->> 'name' from jsonb_array_elements(p_nodes) t group by 1 having count(*) > 1 loop
    v_out := v_out || private.problem('duplicate_name', v_name, 'Names must differ: a step''s output is kept under its name.');
  end loop;
  if (select count(distinct t ->> 'id') from jsonb_array_elements(p_nodes) t) < jsonb_array_length(p_nodes) then
    v_out := v_out || private.problem('duplicate_id', null, 'Two nodes have the same id.');
  end if;
  for e in select value from jsonb_array_elements(p_edges) loop
    if not v_names ? (e ->> 'source') or not v_names ? (e ->> 'target') then
      v_out := v_out || private.problem('dangling_edge', coalesce(v_names ->> (e ->> 'source'), v_names ->> (e ->> 'target')),
        'An edge points to a node that is not there.');
    end if;
  end loop;

  select count(*) into v_count from jsonb_array_elements(p_nodes) t where t ->> 'type' = 'start';
  if v_count <> 1 then
    v_out := v_out || private.problem(case when v_count = 0 then 'no_start' else 'several_starts' end, null,
      'A graph has exactly one start node.');
  end if;
  if not exists (select from jsonb_array_elements(p_nodes) t where t ->> 'type' = 'end') then
    v_out := v_out || private.problem('no_end', null, 'Without an end node the whole state is the output.', 'warning');
  end if;
  return v_out;
end $$;
comment on function private.shape_problems(jsonb, jsonb) is
  'What is wrong with the graph before a node is looked at closely: types, names, ids, ends of edges, start and end.';

-- Over edges that a decision can take; the rest leads nowhere.
create function private.reachable_nodes(p_nodes jsonb, p_edges jsonb, p_start text) returns text[]
language sql immutable set search_path = '' as $$
  with recursive live as (
    select e2 ->> 'source' as source, e2 ->> 'target' as target
    from jsonb_array_elements(p_edges) e2
    join jsonb_array_elements(p_nodes) s on s ->> 'id' = e2 ->> 'source'
    where s ->> 'type' <> 'router' or e2 ->> 'condition_label' is null or s #>> '{config,mode}' = 'llm'
      or e2 ->> 'condition_label' = s #>> '{config,default}'
      or exists (select from jsonb_array_elements(
          case jsonb_typeof(s #> '{config,conditions}') when 'array' then s #> '{config,conditions}' else '[]' end) k
        where k ->> 'label' = e2 ->> 'condition_label')
  ), walk as (
    select p_start as id where p_start is not null
    union
    select live.target from walk join live on live.source = walk.id
  )
  select coalesce(array_agg(id), '{}') from walk
$$;
comment on function private.reachable_nodes(jsonb, jsonb, text) is 'The ids of the nodes to which a path leads from the start.';

create function private.router_problems(p_name text, p_config jsonb, p_labels text[], p_unlabelled int) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_given text[];
  v_text text;
  x jsonb;
begin
  v_given := '{}';
  if p_config ->> 'mode' = 'llm' then
    v_given := p_labels;
    if p_labels = '{}' then
      v_out := v_out || private.problem('router_without_labels', p_name, 'A model needs labelled edges to choose among.');
    end if;
  else
    if jsonb_typeof(p_config -> 'conditions') is distinct from 'array' and p_config ? 'conditions' then
      v_out := v_out || private.problem('bad_condition', p_name, 'conditions is a list of {label, when}.');
    else
      for x in select value from jsonb_array_elements(coalesce(p_config -> 'conditions', '[]')) loop
        if coalesce(x ->> 'label', '') = '' or x ->> 'when' is null then
          v_out := v_out || private.problem('bad_condition', p_name, 'A condition is {label, when: jsonpath}.');
        elsif private.path_fault(x ->> 'when') is not null then
          v_out := v_out || private.problem('bad_condition', p_name,
            format('Label "%s": %s', x ->> 'label', private.path_fault(x ->> 'when')));
        end if;
        v_given := v_given || (x ->> 'label');
      end loop;
    end if;
  end if;
  if p_config ->> 'default' is null and p_unlabelled = 0 then
    v_out := v_out || private.problem('router_without_default', p_name,
      'Name a default label, or draw one edge without a label: a state that meets no condition must go somewhere.');
  end if;
  for v_text in select distinct t from unnest(v_given || (p_config ->> 'default')) t where t is not null and t <> all (p_labels) loop
    v_out := v_out || private.problem('label_without_edge', p_name, format('No edge carries the label "%s".', v_text));
  end loop;
  for v_text in select distinct t from unnest(p_labels) t where t <> all (v_given || coalesce(p_config ->> 'default', '')) loop
    v_out := v_out || private.problem('edge_never_taken', p_name, format('No condition gives the label "%s".', v_text), 'warning');
  end loop;
  return v_out;
end $$;
comment on function private.router_problems(text, jsonb, text[], int) is
  'Whether a router''s conditions and the labels of its edges fit each other.';

create function private.kind_problems(p_name text, p_type text, p_config jsonb, p_user_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_text text;
  x jsonb;
begin
  if p_type = 'llm' and not (p_config ? 'prompt' or p_config ? 'messages') then
    v_out := v_out || private.problem('llm_without_prompt', p_name, 'Give it a prompt or messages.');
  end if;
  if p_type = 'tool' and coalesce(p_config ->> 'tool', '') = '' then
    v_out := v_out || private.problem('tool_without_name', p_name, 'config.tool names the tool to call.');
  end if;
  if p_type = 'wait' and not (p_config ? 'seconds' or p_config ? 'until' or p_config ? 'signal') then
    v_out := v_out || private.problem('wait_without_end', p_name, 'Wait for seconds, until a time, or for a signal.');
  end if;
  if p_type = 'wait' and (select count(*) from jsonb_object_keys(p_config) k where k in ('seconds', 'until', 'signal')) > 1 then
    v_out := v_out || private.problem('bad_config', p_name,
      'Wait for seconds, until a time or for a signal: one of them (timeout_ms is how long a signal is waited for).');
  end if;
  -- compared as it stands with the names that are sent, which have no space around them
  if p_type = 'wait' and p_config ? 'signal' and (jsonb_typeof(p_config -> 'signal') <> 'string'
      or p_config ->> 'signal' !~ '^\S(.{0,198}\S)?$' or p_config ->> 'signal' ~ '\{\{|\n') then
    v_out := v_out || private.problem('bad_config', p_name, 'signal is a name of 1 to 200 characters, no template, without space around it.');
  end if;
  if p_type = 'wait' and p_config ? 'until' and (p_config ->> 'until' is null or private.path_fault(p_config ->> 'until') is not null) then
    v_out := v_out || private.problem('bad_path', p_name,
      concat_ws(' ', 'until is a jsonpath to a time in the state.', private.path_fault(p_config ->> 'until')));
  end if;
  if p_type = 'wait' and p_config ? 'seconds' and (jsonb_typeof(p_config -> 'seconds') <> 'number'
      or not private.is_within(p_config -> 'seconds', 0, extract(epoch from private.longest_wait()))) then
    v_out := v_out || private.problem('bad_config', p_name,
      format('seconds is a number from 0 to %s (ten years).', extract(epoch from private.longest_wait())::bigint));
  end if;
  if p_type = 'map' then
    if p_config ->> 'items' is null or private.path_fault(p_config ->> 'items') is not null then
      v_out := v_out || private.problem('bad_path', p_name,
        concat_ws(' ', 'items is a jsonpath to a list in the state.', private.path_fault(p_config ->> 'items')));
    end if;
    if coalesce(p_config #>> '{each,type}', '') not in ('llm', 'tool', 'subworkflow')
      or jsonb_typeof(coalesce(p_config #> '{each,config}', '{}')) <> 'object' then
      v_out := v_out || private.problem('bad_config', p_name, 'each is {type: llm, tool or subworkflow, config}.');
    else
      v_out := v_out || private.pace_problems(p_name, p_config #> '{each,config}', 2147483647);
    end if;
    if not private.is_within(p_config -> 'batch', 1, 1000) or not private.is_within(p_config -> 'max_failures', 0, 1000000) then
      v_out := v_out || private.problem('bad_config', p_name, 'batch is a number from 1 to 1000, max_failures one from 0 to 1000000.');
    end if;
  end if;
  x := case when p_type = 'map' then p_config #> '{each,config}' else p_config end;
  if p_type = 'subworkflow' or (p_type = 'map' and p_config #>> '{each,type}' = 'subworkflow') then
    if not exists (select from public.mira_workflows w where w.id::text = x ->> 'workflow_id'
        and (p_user_id is null or w.user_id = p_user_id)) then
      v_out := v_out || private.problem('unknown_workflow', p_name, 'workflow_id names no workflow of yours.');
    end if;
  end if;
  x := coalesce(x, '{}');
  v_text := case coalesce(case p_type when 'map' then p_config #>> '{each,type}' end, p_type) when 'human' then 'schema' when 'llm' then 'response_schema' end;
  if jsonb_typeof(x -> v_text) <> 'null' and private.schema_fault(x -> v_text) is not null then
    v_out := v_out || private.problem('schema_invalid', p_name, concat(v_text, private.schema_fault(x -> v_text)));
  end if;
  for v_text in
    select distinct t from (
      select x ->> 'tool' as t where p_type = 'tool' or p_config #>> '{each,type}' = 'tool'
      union all select jsonb_array_elements_text(x -> 'tools') where jsonb_typeof(x -> 'tools') = 'array'
        and (p_type = 'llm' or p_config #>> '{each,type}' = 'llm')) z
    where t <> '' and not exists (select from public.mira_tool_definitions d where d.name = z.t and d.is_enabled) loop
    v_out := v_out || private.problem('unknown_tool', p_name, format('No enabled tool is called "%s".', v_text));
  end loop;
  return v_out;
end $$;
comment on function private.kind_problems(text, text, jsonb, uuid) is
  'What a node of its type needs and lacks; tools and sub-workflows it names that are not there; a schema that is none.';

-- Every {{path}} in every string of the config.
create function private.template_problems(p_name text, p_type text, p_config jsonb, p_roots text[], p_open boolean)
returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_seen text[];
  v_text text; v_root text;
begin
  for v_text in select t #>> '{}' from jsonb_path_query(p_config, 'strict $.** ? (@.type() == "string")') t where t #>> '{}' ~ '\{\{|\}\}' loop
    if regexp_replace(v_text, '\{\{\s*[^{}\s][^{}]*\}\}', '', 'g') ~ '\{\{|\}\}' then
      v_out := v_out || private.problem('bad_template_path', p_name, format('Empty or unclosed template in "%s".', left(v_text, 80)));
    end if;
    v_seen := '{}';
    for v_text in select btrim(m[1]) from regexp_matches(v_text, '\{\{\s*([^{}\s][^{}]*)\}\}', 'g') m loop
      v_root := split_part(v_text, '.', 1);
      continue when v_text = any (v_seen);
      v_seen := v_seen || v_text;
      if private.template_fault(v_text) is not null then
        v_out := v_out || private.problem('bad_template_path', p_name, private.template_fault(v_text));
      elsif v_text like '%??%' then
        null; -- {{path ?? literal}}: a path with a fallback may be missing
      elsif v_root = any (p_roots) or (p_type = 'map' and v_root in ('item', 'index')) then
        null;
      else
        v_out := v_out || private.problem('bad_template_path', p_name,
          format('{{%s}}: no step writes "%s"%s.', v_text, v_root,
            case when p_open then '; it must come with the input (write {{input.…}} to say so)' else ' and the input has no such key' end),
          case when p_open then 'warning' else 'error' end);
      end if;
    end loop;
  end loop;
  return v_out;
end $$;
comment on function private.template_problems(text, text, jsonb, text[], boolean) is
  'Templates that cannot be read, or name what no step writes; with an open input that is a warning.';

create function private.settings_problems(p_graph jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_text text; v_name text;
begin
  for v_text, v_name in select t.key, t.value #>> '{}' from jsonb_each(p_graph -> 'reducers') t
    where coalesce(t.value #>> '{}', '') not in ('replace', 'append', 'add', 'merge', 'messages') loop
    v_out := v_out || private.problem('unknown_reducer', null, format('"%s" of "%s" is none of replace, append, add, merge, messages.', v_name, v_text));
  end loop;
  if private.schema_fault(p_graph -> 'input_schema') is not null then
    v_out := v_out || private.problem('schema_invalid', null, 'input_schema' || private.schema_fault(p_graph -> 'input_schema'));
  end if;
  if jsonb_typeof(p_graph -> 'limits') <> 'object'
    or exists (select from jsonb_each(case jsonb_typeof(p_graph #> '{limits,budget}') when 'object' then p_graph #> '{limits,budget}' else '{}' end) t
      where jsonb_typeof(t.value) <> 'number' or t.value::text !~ '^[0-9]{1,15}$'
        or t.key not in ('steps', 'tokens', 'cost_micros', 'time_ms')
        or t.key = 'time_ms' and t.value::numeric > 1000 * extract(epoch from private.longest_wait()))
    or (p_graph -> 'limits') - '{budget,max_running,tools}'::text[] <> '{}'
    or jsonb_typeof(coalesce(p_graph #> '{limits,budget}', '{}')) <> 'object'
    or coalesce(p_graph #>> '{limits,max_running}', '1') !~ '^[1-9][0-9]{0,6}$' then
    v_out := v_out || private.problem('bad_limits', null,
      'limits is {budget: {steps, tokens, cost_micros, time_ms (ten years at most)}, max_running, tools}, whole numbers of 0 or more.');
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
comment on function private.settings_problems(jsonb) is 'What is wrong with the graph''s reducers, limits and input schema.';

-- Everything the graph could trip over later, in one pass. The graph is normal (private.normal_graph).
create function private.graph_problems(p_graph jsonb, p_user_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_out jsonb;
  v_nodes jsonb := p_graph -> 'nodes';
  v_edges jsonb := p_graph -> 'edges';
  v_start text;
  v_reach text[];      -- ids reachable from start
  v_roots text[];      -- first segments a template may begin with
  v_open boolean;      -- the input may hold keys nobody declared
  v_labels text[];
  v_count int;
  n jsonb; c jsonb;
  v_id text; v_name text; v_type text; v_text text;
begin
  if jsonb_array_length(v_nodes) > 500 or jsonb_array_length(v_edges) > 2000 then
    return jsonb_build_array(private.problem('graph_too_large', null, 'At most 500 nodes and 2000 edges.'));
  end if;
  v_out := private.shape_problems(v_nodes, v_edges);
  if exists (select from jsonb_array_elements(v_nodes) t where jsonb_typeof(t -> 'config') <> 'object') then
    return v_out;
  end if;
  select min(t ->> 'id') into v_start from jsonb_array_elements(v_nodes) t where t ->> 'type' = 'start';
  v_reach := private.reachable_nodes(v_nodes, v_edges, v_start);

  -- what templates may name
  select array_agg(r) into v_roots from (
    select 'input' as r union select 'run' union select 'error' union select jsonb_object_keys(p_graph -> 'reducers')
    union select coalesce(t #>> '{config,output_key}', t ->> 'name') from jsonb_array_elements(v_nodes) t
      where t ->> 'type' not in ('start', 'end') and (t ->> 'type' <> 'router' or t #> '{config,output_key}' is not null)
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
    v_out := v_out || private.pace_problems(v_name, c);
    if c ? 'output_key' and coalesce(c ->> 'output_key', '') = '' then
      v_out := v_out || private.problem('bad_config', v_name, 'output_key is a key of the state, or "." to spread an object over it.');
    end if;
    if coalesce(c ->> 'output_key', v_name) in ('input', 'run') and v_type not in ('start', 'end') and (v_type <> 'router' or c ? 'output_key') then
      v_out := v_out || private.problem('bad_name', v_name,
        'Templates know "input" and "run" as the run''s own: give the step another name or output_key.');
    end if;
    for v_text in select private.pick_faults(case v_type when 'end' then c -> 'output' when 'subworkflow' then c -> 'input'
        when 'map' then c #> '{each,config,input}' end) loop
      v_out := v_out || private.problem('bad_path', v_name, v_text);
    end loop;

    if v_type = 'router' then
      v_out := v_out || private.router_problems(v_name, c, v_labels, v_count);
    else
      for v_text in select distinct t from unnest(v_labels) t
        where t <> all (case when v_type in ('human', 'wait') then '{timeout,error}'::text[] else '{error}' end) loop
        v_out := v_out || private.problem('label_never_taken', v_name,
          format('Only a router takes the label "%s"; other nodes know "error", human and wait also "timeout".', v_text));
      end loop;
    end if;
    v_out := v_out || private.kind_problems(v_name, v_type, c, p_user_id)
      || private.template_problems(v_name, v_type, c, v_roots, v_open);
  end loop;
  return v_out || private.settings_problems(p_graph);
end $$;
comment on function private.graph_problems(jsonb, uuid) is
  'What is wrong with a normal graph: [{code, severity: error|warning, node?, detail}]. The user decides which sub-workflows are known.';

-- Nobody calls these but the server.
select private.close_functions('{
  shape_problems,reachable_nodes,router_problems,kind_problems,template_problems,settings_problems,graph_problems}');
