begin;
\ir setup.psql
select plan(21);

create function pg_temp.codes(p_graph jsonb) returns text language sql as $$
  select coalesce(string_agg(distinct p ->> 'code', ',' order by p ->> 'code'), '')
  from jsonb_array_elements(public.mira_validate_workflow('a0000000-0000-4000-8000-000000000001', p_workflow => p_graph) -> 'problems') p
  where p ->> 'severity' = 'error' $$;

select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end')), '', 'a sound graph has no errors');
select is(pg_temp.codes(pg_temp.graph('{"a":["tool",{"tool":"echo"}],"end":["end"]}', 'a>end')), 'no_start', 'no start');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"lost":["tool",{"tool":"echo"}],"end":["end"]}', 'start>a a>end lost>end')),
  'unreachable_node', 'an unreachable node is named');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"echo"}],"x":["tool",{"tool":"echo"}],"y":["tool",{"tool":"echo"}],"join":["tool",{"tool":"echo"}],"end":["end"]}',
  'start>a a>end x>join y>join join>x join>y')), 'join_never_fires,unreachable_node', 'a join that can never fire');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"r":["router",{"conditions":[{"label":"x","when":"$.a > 1"}]}],"end":["end"]}', 'start>r r>end:x')),
  'router_without_default', 'a router without a default');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"r":["router",{"conditions":[{"label":"x","when":"$.a > 1"}]}],"b":["tool",{"tool":"echo"}],"end":["end"]}', 'start>r r>end:x r>b b>end')),
  '', 'an edge without a label is a default');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"r":["router",{"conditions":[{"label":"x","when":"$.a >"}],"default":"y"}],"end":["end"]}', 'start>r r>end:x')),
  'bad_condition,label_without_edge', 'a condition that is no jsonpath, a label without an edge');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["tool",{"tool":"nothing_like_it"}],"end":["end"]}', 'start>a a>end')), 'unknown_tool', 'an unknown tool');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["llm",{"prompt":"hi {{a..b}}"}],"end":["end"]}', 'start>a a>end')), 'bad_template_path', 'a template path with an empty part');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["llm",{"prompt":"hi {{"}],"end":["end"]}', 'start>a a>end')), 'bad_template_path', 'an unclosed template');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["llm",{"prompt":"hi {{who}} {{input.x}} {{topic}}"}],"end":["end"]}', 'start>a a>end',
  '{"input_schema":{"properties":{"topic":{}}}}')), 'bad_template_path', 'a template path nothing writes, when the input is declared');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["llm",{}],"b":["wait",{}],"c":["map",{"items":"$["}],"end":["end"]}', 'start>a a>b b>c c>end')),
  'bad_config,bad_path,llm_without_prompt,wait_without_end', 'nodes that lack what they need');
select is(pg_temp.codes(pg_temp.graph('{"start":["start"],"a":["teleport"],"end":["end"]}', 'start>a a>end', '{"reducers":{"k":"guess"},"limits":{"budget":{"steps":-1}}}')),
  'bad_limits,unknown_node_type,unknown_reducer', 'unknown types, reducers, limits');

-- drafts as rows
insert into public.mira_workflows (id, user_id, name) values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'draft');
insert into public.mira_workflow_nodes (id, workflow_id, type, name, config) values
  ('d0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'start', 'start', '{}'),
  ('d0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001', 'tool', 'a', '{"tool":"nope"}');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id) values
  ('c0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000002');
select throws_ok($$update public.mira_workflows set is_active = true$$, 'PT422', 'workflow_invalid', 'the gate is shut for a graph with errors');
select throws_ok($$select public.mira_start_run('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001')$$, 'PT409', 'workflow_not_active', 'a draft does not run');
update public.mira_workflow_nodes set config = '{"tool":"echo"}' where name = 'a';
select is(public.mira_activate_workflow('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001') ->> 'version', '1', 'mended, it is version 1');
insert into run select 'pinned', (x ->> 'run_id')::uuid, x from public.mira_start_run('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', p_lease_ms => 60000) x;
update public.mira_workflow_nodes set name = 'renamed', config = '{"tool":"echo","output_key":"other"}' where name = 'a';
select is(pg_temp.names(public.mira_start_run('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', p_lease_ms => 60000)::jsonb), 'a', 'an edit alone changes nothing');
update public.mira_workflows set is_active = true;
select is((select version from public.mira_workflows), 2, 'activating again freezes version 2');
select is(pg_temp.names(public.mira_start_run('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', p_lease_ms => 60000)::jsonb), 'renamed', 'new runs use it');
select is(pg_temp.done((select id from run where name = 'pinned'), 1, '7') -> 'output', '{"a": 7}', 'a run under way keeps the graph it started with');
update public.mira_workflows set is_active = true;
select is((select version from public.mira_workflows), 2, 'activating without an edit is the same version');

select * from finish();
rollback;
