begin;
select plan(6);

select is_empty($$
  with promised (relation, columns) as (values
    ('mira_workflows', '{id,name,description,version,is_active,created_at,updated_at}'::text[]),
    ('mira_workflow_nodes', '{id,workflow_id,type,name,config,position_x,position_y}'),
    ('mira_workflow_edges', '{id,workflow_id,source_node_id,target_node_id,condition_label}'),
    ('mira_workflow_state', '{id,workflow_id,user_id,thread_id,status,current_node_id,state_data,created_at,updated_at}'),
    ('mira_tool_definitions', '{id,name,description,schema,function_path,is_enabled}'),
    ('mira_behavioral_events', '{id,session_id,user_id,event_type,module,page,payload,created_at}'),
    ('mira_learned_patterns', '{id,pattern_type,user_id,module,confidence,frequency,last_detected_at,metadata,created_at}'))
  select relation, c from promised, unnest(columns) c
  except
  select table_name, column_name from information_schema.columns where table_schema = 'public'
$$, 'every table and column of the guide');
select is_empty($$
  with promised (relation, type, columns) as (values
    ('mira_workflows', 'uuid', '{id}'::text[]), ('mira_workflows', 'integer', '{version}'),
    ('mira_workflows', 'boolean', '{is_active}'), ('mira_workflow_nodes', 'jsonb', '{config}'),
    ('mira_workflow_nodes', 'integer', '{position_x,position_y}'), ('mira_workflow_state', 'uuid', '{user_id,current_node_id}'),
    ('mira_workflow_state', 'jsonb', '{state_data}'), ('mira_tool_definitions', 'jsonb', '{schema}'),
    ('mira_behavioral_events', 'uuid', '{session_id,user_id}'), ('mira_behavioral_events', 'jsonb', '{payload}'),
    ('mira_learned_patterns', 'jsonb', '{metadata}'), ('mira_learned_patterns', 'double precision', '{confidence}'))
  select relation, c, type from promised, unnest(columns) c
  except
  select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'
$$, 'with the types it gives them');
select is_empty($$
  values ('idx_mira_events_session'), ('idx_mira_events_user'), ('idx_mira_events_created'), ('idx_mira_patterns_user')
  except select indexname::text from pg_indexes where schemaname = 'public'
$$, 'the indexes it names');
select is_empty($$
  select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relname like 'mira\_%'
    and c.relkind = 'r' and not c.relrowsecurity
$$, 'row security where it switches it on');
select is_empty($$
  values ('start'), ('end'), ('llm'), ('tool'), ('router')
  except
  select m[1] from pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), '''(\w+)''', 'g') m
  where k.conrelid = 'public.mira_workflow_nodes'::regclass and k.contype = 'c'
$$, 'the node types of its comment');
select has_extension('uuid-ossp', 'uuid-ossp, as it begins');

select * from finish();
rollback;
