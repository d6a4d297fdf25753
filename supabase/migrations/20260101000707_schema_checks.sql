-- Workflow, the schemas in a graph: whether a JSON Schema is one, before anything is checked by it. What a keyword
-- means is functions-shared/workflow/json_keywords.ts's to know; what its rule must be is said there and here, and
-- a test holds the two together. Whether a pattern is safe only the functions can tell.

create function private.number_of(p_value jsonb) returns numeric
language sql immutable set search_path = '' as $$
  select case jsonb_typeof(p_value) when 'number' then p_value::numeric end
$$;
comment on function private.number_of(jsonb) is 'A JSON number as one, null for anything else.';

create function private.is_texts(p_value jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select jsonb_typeof(p_value) = 'array' and not p_value @? 'strict $[*] ? (@.type() != "string")'
$$;
comment on function private.is_texts(jsonb) is 'Whether a value is a list of texts.';

create function private.schema_rule_fits(p_keyword text, p_rule jsonb, p_root jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select case
    when p_keyword in ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum') then jsonb_typeof(p_rule) = 'number'
    when p_keyword = 'multipleOf' then coalesce(private.number_of(p_rule) > 0, false)
    when p_keyword in ('minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties', 'minContains', 'maxContains')
      then coalesce(private.number_of(p_rule) >= 0 and private.number_of(p_rule) % 1 = 0, false)
    when p_keyword in ('format', 'pattern') then jsonb_typeof(p_rule) = 'string'
    when p_keyword = '$ref' then jsonb_typeof(p_rule) = 'string' and (p_rule = '"#"' or p_rule #>> '{}' like '#/%' and (p_rule #>> '{}' like '%\%%'
      or p_root #> array(select replace(replace(part, '~1', '/'), '~0', '~') from regexp_split_to_table(substr(p_rule #>> '{}', 3), '/') part) is not null))
    when p_keyword = 'uniqueItems' then jsonb_typeof(p_rule) = 'boolean'
    when p_keyword = 'enum' then jsonb_typeof(p_rule) = 'array'
    when p_keyword = 'type' then case jsonb_typeof(p_rule) when 'string' then jsonb_build_array(p_rule) else p_rule end
      <@ '["null","boolean","object","array","number","string","integer"]'
    when p_keyword = 'required' then private.is_texts(p_rule)
    when p_keyword = 'dependentRequired' then jsonb_typeof(p_rule) = 'object' and not exists (
      select from jsonb_each(case jsonb_typeof(p_rule) when 'object' then p_rule else '{}' end) d where not private.is_texts(d.value))
    when p_keyword in ('properties', '$defs', 'definitions') then jsonb_typeof(p_rule) = 'object'
    when p_keyword in ('prefixItems', 'allOf', 'anyOf', 'oneOf') then jsonb_typeof(p_rule) = 'array' and p_rule <> '[]'
    when p_keyword in ('const', 'items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else',
      '$schema', '$id', '$comment', 'title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly',
      'contentEncoding', 'contentMediaType', 'nullable', 'strict') then true
  end
$$;
comment on function private.schema_rule_fits(text, jsonb, jsonb) is
  'Whether a keyword of a JSON Schema has a rule of its form; null for a keyword that nobody here knows. Of a schema inside it only that it is there.';

-- How many parts a schema has the planner cannot know; by its guess the query would be worth a second of compiling.
create function private.schema_fault(p_schema jsonb) returns text
language sql immutable strict set search_path = '' set jit = off as $$
  with recursive part as (
    select p_schema as schema, '' as at, 0 as depth
    union all
    select inside.schema, part.at || '/' || k.key || inside.at, part.depth + 1
    from part
    cross join lateral jsonb_each(case jsonb_typeof(part.schema) when 'object' then part.schema else '{}' end) k
    cross join lateral (
      select k.value as schema, '' as at
        where k.key in ('items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else')
      union all
      select named.value, '/' || named.key from jsonb_each(case when k.key in ('properties', '$defs', 'definitions')
        and jsonb_typeof(k.value) = 'object' then k.value else '{}' end) named
      union all
      select listed.value, '/' || (listed.place - 1) from jsonb_array_elements(case when k.key in ('prefixItems', 'allOf', 'anyOf', 'oneOf')
        and jsonb_typeof(k.value) = 'array' then k.value else '[]' end) with ordinality listed(value, place)) inside
    where part.depth <= 64
  )
  select left(fault.at, 200) || ': ' || fault.words from (
    select part.depth, part.at, case when part.depth > 64 then 'The schema is nested too deeply.' else 'A schema is an object or a boolean.' end as words
      from part where part.depth > 64 or jsonb_typeof(part.schema) not in ('object', 'boolean')
    union all
    select part.depth + 1, part.at || '/' || k.key, case when fits.fits is null then format('The keyword "%s" is not supported.', left(k.key, 80))
        else format('This is no rule for "%s".', k.key) end
      from part
      cross join lateral jsonb_each(case jsonb_typeof(part.schema) when 'object' then part.schema else '{}' end) k
      cross join lateral (select private.schema_rule_fits(k.key, k.value, p_schema) as fits) fits
      where fits.fits is not true) fault
  order by fault.depth, fault.at limit 1
$$;
comment on function private.schema_fault(jsonb) is
  'Where and why a value is no JSON Schema that the functions can apply (the place nearest to the root), null when it is one.';

-- Nobody calls these but the server; whoever writes a tool has its schema looked at.
select private.close_functions('{schema_rule_fits,number_of,is_texts,schema_fault}');
grant execute on function private.schema_rule_fits(text, jsonb, jsonb), private.number_of(jsonb), private.is_texts(jsonb),
  private.schema_fault(jsonb) to service_role;
