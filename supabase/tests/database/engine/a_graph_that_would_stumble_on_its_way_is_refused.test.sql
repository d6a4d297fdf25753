begin;
\ir setup.psql
select plan(53);

create function pg_temp.codes(p_type text, p_config jsonb, p_name text default 'a', p_more jsonb default '{}') returns text language sql as $$
  select coalesce(string_agg(distinct p ->> 'code', ',' order by p ->> 'code'), '')
  from jsonb_array_elements(public.mira_validate_workflow('a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.graph(
    jsonb_build_object('start', '["start"]'::jsonb, p_name, jsonb_build_array(p_type, p_config), 'done', '["end"]'::jsonb),
    format('start>%s %1$s>done', p_name), p_more)) -> 'problems') p
  where p ->> 'severity' = 'error' $$;
create function pg_temp.router(p_when text) returns text language sql as $$
  select coalesce(string_agg(distinct p ->> 'code', ','), '') from jsonb_array_elements(public.mira_validate_workflow(
    'a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'done', '["end"]'::jsonb,
      'r', jsonb_build_array('router', jsonb_build_object('conditions', jsonb_build_array(jsonb_build_object('label', 'x', 'when', p_when)), 'default', 'x'))),
      'start>r r>done:x')) -> 'problems') p where p ->> 'severity' = 'error' $$;
create function pg_temp.says(p_text text) returns text language sql as $$
  select pg_temp.codes('tool', jsonb_build_object('tool', 'echo', 'arguments', jsonb_build_object('x', p_text))) $$;

-- jsonpath
select is(pg_temp.router('$amount > 5'), 'bad_condition', 'a condition that asks for a variable nobody passes');
select is(pg_temp.router('$.lines[*] ? (@.price > $limit)'), 'bad_condition', 'also deep inside');
select is(pg_temp.router('$.amount > $input.limit'), '', 'the input is passed');
select is(pg_temp.router('$.price == "cost in $" || $.note == "a \"$x\" b"'), '', 'a dollar in a text is no variable');
select is(pg_temp.router('$."input" == 1 && $input."amount" > 2'), '', 'a quoted key is no variable');
select is(pg_temp.codes('map', '{"items":"$lines","each":{"type":"tool","config":{"tool":"echo"}}}'), 'bad_path', 'the items of a map');
select is(pg_temp.codes('wait', '{"until":"$until"}'), 'bad_path', 'the end of a wait');
create function pg_temp.ends(p_output jsonb) returns text language sql as $$
  select coalesce(string_agg(distinct p ->> 'code', ','), '') from jsonb_array_elements(public.mira_validate_workflow(
    'a0000000-0000-4000-8000-000000000001', p_workflow => pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb,
      'a', '["tool",{"tool":"echo"}]'::jsonb, 'done', jsonb_build_array('end', jsonb_build_object('output', p_output))), 'start>a a>done')) -> 'problems') p
  where p ->> 'severity' = 'error' $$;
select is(pg_temp.ends('{"deal":{"text":"$5 off"}}'), 'bad_path', 'an output that begins like a path and is none');
select is(pg_temp.ends('"$total"'), 'bad_path', 'an output that asks for a variable');
select is(pg_temp.ends('{"n":"$.a","as_it_is":["$5"],"from":"$input.n","word":"5 $"}'), '', 'paths, and texts that are not read as paths');

-- templates, by the grammar of the runner that will read them
select is(pg_temp.says('{{a step.v}}'), 'bad_template_path', 'a name with a space');
select is(pg_temp.says('{{list[0]}}'), 'bad_template_path', 'brackets for a place in a list');
select is(pg_temp.says('{{input.n + 1}}'), 'bad_template_path', 'a sum');
select is(pg_temp.says('{{input.n | upper}}'), 'bad_template_path', 'a filter');
select is(pg_temp.says('{{input.n ?? none}}'), 'bad_template_path', 'a fallback that is no JSON');
select is(pg_temp.says('{{ input.n ?? "none" }} {{input.list.0.größe}} {{_x.y-z ?? [1]}}'), '', 'paths, with and without fallback, in any script');

-- numbers
select is(pg_temp.codes('human', '{"timeout_ms":2592000000}'), '', 'a person may have thirty days');
select is(pg_temp.codes('human', '{"timeout_ms":9999999999999}'), 'bad_config', 'not three hundred years');
select is(pg_temp.codes('wait', '{"seconds":94608000}'), '', 'a wait may take three years');
select is(pg_temp.codes('wait', '{"seconds":1000000000000}'), 'bad_config', 'not thirty thousand');
select is(pg_temp.codes('wait', '{"seconds":-1}'), 'bad_config', 'nor less than none');
select is(pg_temp.codes('tool', '{"tool":"echo","timeout_ms":1.5}'), 'bad_config', 'time-outs are whole numbers');
select is(pg_temp.codes('tool', '{"tool":"echo","retry":{"factor":1e300}}'), 'bad_config', 'a back-off beyond all bounds');
select is(pg_temp.codes('tool', '{"tool":"echo","retry":{"max_attempts":1000000}}'), 'bad_config', 'attempts without end');
create function pg_temp.maps(p_more jsonb) returns text language sql as $$
  select pg_temp.codes('map', '{"items":"$.l","each":{"type":"tool","config":{"tool":"echo"}}}' || p_more) $$;
select is(pg_temp.maps('{"batch":"ten"}'), 'bad_config', 'a batch in words');
select is(pg_temp.maps('{"max_failures":1e12}'), 'bad_config', 'more failures than a list can have elements');
select is(pg_temp.maps('{"each":{"type":"tool","config":{"tool":"echo","timeout_ms":"5s"}}}'), 'bad_config', 'what a map gives its elements is looked at too: time-outs');
select is(pg_temp.maps('{"each":{"type":"tool","config":{"tool":"echo","retry":{"max_attempts":"three"}}}}'), 'bad_config', 'and retries');
select is(pg_temp.maps('{"each":{"type":"tool","config":[]}}'), 'bad_config', 'and that it is an object');
select is(pg_temp.maps('{"batch":50,"max_failures":3}'), '', 'a map in order');
select is(pg_temp.codes('tool', '{"tool":"echo"}', p_more => '{"limits":{"budget":{"tokens":1.5}}}'), 'bad_limits', 'half a token');

-- names
select is(pg_temp.codes('tool', '{"tool":"echo"}', 'run'), 'bad_name', 'a step whose output templates could not see');
select is(pg_temp.codes('tool', '{"tool":"echo","output_key":"input"}'), 'bad_name', 'nor under such a key');
select is(pg_temp.codes('tool', '{"tool":"echo","output_key":"ran"}', 'run'), '', 'the name alone is no harm');

-- schemas
create function pg_temp.said(p_type text, p_config jsonb, p_more jsonb default '{}') returns text language sql as $$
  select string_agg(p ->> 'detail', '; ') from jsonb_array_elements(public.mira_validate_workflow('a0000000-0000-4000-8000-000000000001',
    p_workflow => pg_temp.graph(jsonb_build_object('start', '["start"]'::jsonb, 'a', jsonb_build_array(p_type, p_config), 'done', '["end"]'::jsonb),
      'start>a a>done', p_more)) -> 'problems') p where p ->> 'code' = 'schema_invalid' $$;
select is(pg_temp.said('human', '{"schema":{"type":"object","properties":{"ok":{"type":"bool"}}}}'), 'schema/properties/ok/type: This is no rule for "type".', 'an answer''s schema with a type that is none, and where');
select is(pg_temp.said('llm', '{"prompt":"x","response_schema":{"type":"object","requierd":["a"]}}'), 'response_schema/requierd: The keyword "requierd" is not supported.', 'a model''s, with a slip in a keyword');
select is(pg_temp.said('map', '{"items":"$.l","each":{"type":"llm","config":{"prompt":"x","response_schema":{"items":"string"}}}}'), 'response_schema/items: A schema is an object or a boolean.', 'also of a map''s elements');
select is(pg_temp.said('tool', '{"tool":"echo"}', '{"input_schema":{"properties":{"n":{"$ref":"#/$defs/number"}}}}'), 'input_schema/properties/n/$ref: This is no rule for "$ref".', 'the input''s, with a reference that leads nowhere');
select is(pg_temp.said('human', '{"schema":{"$defs":{"n":{"type":["integer","null"],"minimum":0}},"anyOf":[{"$ref":"#/$defs/n"},{"const":null},false]}}', '{"input_schema":{"required":["a"],"properties":{"a":true}}}'), null, 'schemas in order');
insert into public.mira_workflows (id, user_id, name, input_schema) values
  ('c0000000-0000-4000-8000-000000000008', 'a0000000-0000-4000-8000-000000000001', 'stored', '{"properties":{"n":{"const":null}},"required":"n"}');
insert into public.mira_workflow_nodes (workflow_id, type, name) values ('c0000000-0000-4000-8000-000000000008', 'start', 'start');
set local role authenticated;
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
select throws_ok($$update public.mira_workflows set is_active = true$$, 'PT422', 'workflow_invalid', 'a stored workflow with such a schema cannot be activated');
update public.mira_workflows set input_schema = '{"properties":{"n":{"const":null}},"required":["n"]}';
select lives_ok($$update public.mira_workflows set is_active = true$$, 'until it is put in order');
reset role;
select is(public.mira_input_schema('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000008'), '{"properties":{"n":{"const":null}},"required":["n"]}', 'a null inside a schema is kept: it says something');
set local role service_role;
select throws_ok($$insert into public.mira_tool_definitions (name, schema, function_path) values ('odd', '{"properties":["a"]}', 'internal:echo')$$, '23514', null, 'a tool has a schema that can be applied');
reset role;

-- waits and limits that nobody could have meant
select is(pg_temp.codes('wait', '{"signal":" paid"}'), 'bad_config', 'a signal that could never come, since names are sent without space around them');
select is(pg_temp.codes('wait', '{"signal":"{{order}}"}'), 'bad_config', 'or by a template, since names are compared as they stand');
select is(pg_temp.codes('wait', '{"signal":""}') || pg_temp.codes('wait', '{"signal":5}'), 'bad_configbad_config', 'or has no name');
select is(pg_temp.codes('wait', '{"signal":"order paid 🚀"}') || pg_temp.codes('wait', '{"signal":"p","timeout_ms":5}'), '', 'any other name will do');
select is(pg_temp.codes('wait', '{"signal":"paid","seconds":5}'), 'bad_config', 'two ends of which one would be forgotten');
select is(pg_temp.codes('tool', '{"tool":"echo"}', p_more => '{"limits":{"budgets":{"steps":5}}}'), 'bad_limits', 'a limit that is none because of a slip');
select is(pg_temp.codes('tool', '{"tool":"echo"}', p_more => '{"limits":{"budget":{"time_ms":999999999999999}}}'), 'bad_limits', 'thirty thousand years for a run');
select is(pg_temp.ends('{"a":"{{total}}"}'), 'bad_path', 'a template where a path belongs');
select is(pg_temp.ends('{"a":"as {{it}} is"}'), '', 'a text with braces in it stays a text');

-- and what was let in runs
select is(pg_temp.start(pg_temp.graph('{"start":["start"],"ask":["human",{"timeout_ms":2592000000}],"done":["end"]}', 'start>ask ask>done')) #>> '{status}',
  'waiting', 'a long wait is waited');

select * from finish();
rollback;
