-- Workflow, what a single setting of a graph may be: paths, templates, numbers, grants, waits and retries.

-- The value of `p_path` as a jsonpath, or null when it is none (a bad one must not end the validation).
create function private.try_jsonpath(p_path text) returns jsonpath
language plpgsql immutable set search_path = '' as $$
begin
  return p_path::jsonpath;
exception when others then
  return null;
end $$;
comment on function private.try_jsonpath(text) is 'The text as a jsonpath, null when it is not one.';

-- A jsonpath that names a variable the engine does not pass raises when it is evaluated, lax or silent or not,
-- and "$amount > 5" for "$.amount > 5" is the commonest slip there is. PostgreSQL writes a variable as $"name".
create function private.path_fault(p_path text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_path jsonpath := private.try_jsonpath(p_path);
  v_variable text;
begin
  if v_path is null then
    return format('"%s" is no jsonpath.', left(p_path, 80));
  end if;
  select m[2] into v_variable from regexp_matches(v_path::text, '(\$)?"((?:[^"\\]|\\.)*)"', 'g') m
    where m[1] is not null and m[2] <> 'input' limit 1;
  return format('"%s" asks for the variable $%s, and only $input is known: a key of the state is written $.%2$s.', left(p_path, 80), v_variable)
    where v_variable is not null;
end $$;
comment on function private.path_fault(text) is
  'What keeps a text from being evaluated as a jsonpath over the state ($input = the run''s input), null when nothing does.';

-- What private.pick would evaluate: the value itself, or the values of an object, that begin with "$".
create function private.pick_faults(p_spec jsonb) returns setof text
language sql immutable set search_path = '' as $$
  with recursive part as (
    select p_spec as value
    union all
    select f.value from part
    cross join lateral jsonb_each(case jsonb_typeof(part.value) when 'object' then part.value else '{}' end) f
  )
  select distinct case when left(value #>> '{}', 1) = '$' then private.path_fault(value #>> '{}')
    else format('"%s" would stay as it is: here a value comes by its jsonpath, such as "$.name".', left(value #>> '{}', 80)) end
  from part where jsonb_typeof(value) = 'string'
    and (left(value #>> '{}', 1) = '$' and private.path_fault(value #>> '{}') is not null or value #>> '{}' ~ '^\{\{[^{}]*\}\}$')
$$;
comment on function private.pick_faults(jsonb) is 'What is wrong with the jsonpaths of a value that private.pick will read.';

-- The paths that functions-shared/workflow/template.ts reads: names of letters (of any script), digits, _ and -,
-- numbers for places in a list, dots between.
create function private.template_fault(p_placeholder text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  c_name constant text := '[^\u0001-\u0040\u005b-\u005e\u0060\u007b-\u007f][^\u0001-\u002c\u002e\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u007f]*';
begin
  if btrim(split_part(p_placeholder, '??', 1)) !~ ('^' || c_name || '(\.(' || c_name || '|[0-9]+))*$') then
    return format('{{%s}} is no path: write names separated by dots, such as {{customer.emails.0}}; a step whose name has spaces needs an output_key.', left(p_placeholder, 80));
  elsif p_placeholder like '%??%' then
    perform substr(p_placeholder, strpos(p_placeholder, '??') + 2)::jsonb;
  end if;
  return null;
exception when data_exception then
  return format('What follows ?? in {{%s}} is no JSON literal.', left(p_placeholder, 80));
end $$;
comment on function private.template_fault(text) is
  'What is wrong with the inside of a {{placeholder}}, null when nothing is; whether the path leads anywhere is another question.';

create function private.is_within(p_value jsonb, p_low numeric, p_high numeric) returns boolean
language sql immutable set search_path = '' as $$
  select case jsonb_typeof(coalesce(p_value, 'null')) when 'null' then true
    when 'number' then p_value::numeric between p_low and p_high else false end
$$;
comment on function private.is_within(jsonb, numeric, numeric) is 'Whether a setting is absent, or a number within its limits.';

create function private.problem(p_code text, p_node text, p_detail text, p_severity text default 'error')
returns jsonb language sql immutable set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object('code', p_code, 'severity', p_severity, 'node', p_node, 'detail', p_detail))
$$;
comment on function private.problem(text, text, text, text) is 'One finding of the validator.';

create function private.is_tool_grant(p_grant jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select jsonb_typeof(p_grant) = 'object' and p_grant - '{allow,otherwise}'::text[] = '{}'
    and coalesce(p_grant ->> 'otherwise', 'refuse') in ('refuse', 'confirm')
    and jsonb_typeof(coalesce(p_grant -> 'allow', '[]')) = 'array'
    and not coalesce(p_grant -> 'allow', '[]') @? 'strict $[*] ? (@.type() != "string")'
$$;
comment on function private.is_tool_grant(jsonb) is
  'Whether a value is {allow: [tool names], otherwise: refuse (default) or confirm}.';

-- A subscription may be renewed years from now; what is longer is a slip.
create function private.longest_wait() returns interval
language sql immutable set search_path = '' as $$
  select interval '3650 days'
$$;
comment on function private.longest_wait() is 'The longest a wait node may wait.';

-- A year is the longest a step may take; a map's items are done by workers, whose clock is an integer.
create function private.pace_problems(p_name text, p_config jsonb, p_most_ms bigint default 31536000000) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_out jsonb := '[]';
  v_retry jsonb := p_config -> 'retry';
begin
  if not private.is_within(p_config -> 'timeout_ms', 1, p_most_ms) or p_config ->> 'timeout_ms' !~ '^[0-9]+$' then
    v_out := v_out || private.problem('bad_config', p_name, format('timeout_ms is a whole number from 1 to %s.', p_most_ms));
  end if;
  if v_retry is not null and (jsonb_typeof(v_retry) <> 'object' or v_retry - '{max_attempts,base_ms,factor,max_ms,jitter}'::text[] <> '{}'
      or not (private.is_within(v_retry -> 'max_attempts', 0, 100) and private.is_within(v_retry -> 'base_ms', 0, 86400000)
        and private.is_within(v_retry -> 'factor', 0, 100) and private.is_within(v_retry -> 'max_ms', 0, 86400000)
        and private.is_within(v_retry -> 'jitter', 0, 1))) then
    v_out := v_out || private.problem('bad_config', p_name,
      'retry is {max_attempts: 0 to 100, base_ms and max_ms: 0 to 86400000, factor: 0 to 100, jitter: 0 to 1}.');
  end if;
  return v_out;
end $$;
comment on function private.pace_problems(text, jsonb, bigint) is
  'What is wrong with timeout_ms and retry of a node''s configuration, or of the one that a map gives its items.';

-- Nobody calls these but the server.
select private.close_functions('{
  try_jsonpath,path_fault,pick_faults,template_fault,is_within,problem,is_tool_grant,longest_wait,pace_problems}');
