-- Engine, the values: what a checkpoint leaves unsaid, how an output enters the state (reducers), how a
-- router reads it (jsonpath).

create function private.cursor_of(r public.mira_workflow_state) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return case when r.straight_node is null then r.cursor
    else jsonb_build_object('o', jsonb_build_object((r.next_seq - 1)::text,
      jsonb_build_object('n', r.straight_node, 'f', r.last_event, 'i', r.lease_epoch))) end;
end $$;
comment on function private.cursor_of(public.mira_workflow_state) is
  'The cursor of a run as it was read, spelled out where the checkpoint says it with straight_node.';

create function private.with_cursor(inout r public.mira_workflow_state)
language plpgsql immutable set search_path = '' as $$
begin
  r.cursor := private.cursor_of(r);
  r.straight_node := null;
end $$;
comment on function private.with_cursor(public.mira_workflow_state) is
  'A run as it was read, its cursor spelled out: how the long road begins. private.save folds it again.';

create function private.output_of(r public.mira_workflow_state) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return case when r.status = 'completed' then coalesce(r.output, r.state_data) end;
end $$;
comment on function private.output_of(public.mira_workflow_state) is
  'What a completed run gives back: what its end says, else its state. Null for any other run.';

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
    -- whoever reads it beside the database would have it for infinite, and write null
    if abs(v_new::text::numeric) > 1.797e308 then
      return null;
    end if;
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
-- Paths compare times with a zone by the database's own, hence stable and not immutable.
create function private.pick(p_spec jsonb, p_state jsonb, p_input jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  if jsonb_typeof(p_spec) = 'string' and left(p_spec #>> '{}', 1) = '$' then
    -- the variable is a copy of the whole input: made for a path that asks for it
    return coalesce(jsonb_path_query_first_tz(p_state, (p_spec #>> '{}')::jsonpath,
      case when p_spec #>> '{}' ~ 'input|\\' then jsonb_build_object('input', p_input) else '{}' end, true), 'null');
  elsif jsonb_typeof(p_spec) = 'object' then
    return coalesce((select jsonb_object_agg(key, private.pick(value, p_state, p_input)) from jsonb_each(p_spec)), '{}');
  end if;
  return coalesce(p_spec, 'null');
end $$;
comment on function private.pick(jsonb, jsonb, jsonb) is
  'Evaluates a jsonpath, or an object whose values may be jsonpaths, over the state ($input = the run''s input).';

-- What a fan-out goes over. A path that may lead to several values stands for all of them, however many there
-- are: a wildcard, a filter or a range is looked for outside of quoted names.
create function private.pick_list(p_spec jsonb, p_state jsonb, p_input jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
  if jsonb_typeof(p_spec) = 'string' and left(p_spec #>> '{}', 1) = '$'
    and regexp_replace(p_spec #>> '{}', '"([^"\\]|\\.)*"', '', 'g') ~ '[*?,]|\mto\M' then
    return jsonb_path_query_array_tz(p_state, (p_spec #>> '{}')::jsonpath, jsonb_build_object('input', p_input), true);
  end if;
  return private.pick(p_spec, p_state, p_input);
end $$;
comment on function private.pick_list(jsonb, jsonb, jsonb) is
  'As private.pick, but a path with a wildcard, a filter, a range or a list of places gives the array of all it leads to.';

create function private.route(p_config jsonb, p_state jsonb, p_input jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  c jsonb;
  v jsonb;
begin
  for c in select value from jsonb_array_elements(coalesce(p_config -> 'conditions', '[]')) loop
    v := jsonb_path_query_first_tz(p_state, (c ->> 'when')::jsonpath, jsonb_build_object('input', p_input), true);
    if v is not null and v not in ('false', 'null') then
      return c ->> 'label';
    end if;
  end loop;
  return p_config ->> 'default';
end $$;
comment on function private.route(jsonb, jsonb, jsonb) is
  'The label of the first condition whose first jsonpath item is neither false nor null, else the default.';

-- Nobody calls these but the server.
select private.close_functions('{
  cursor_of,with_cursor,output_of,reduce,reduce_output,pick,pick_list,route}');
