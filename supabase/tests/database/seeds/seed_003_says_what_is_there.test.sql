begin;
select plan(9);

-- "Check table existence", "Verify column structure"
select is_empty($$
  with promised (relation, columns) as (values
    ('conversations', '{id,conversation_id,user_id,session_id,role,content,status,channel,metadata,created_at,updated_at}'::text[]),
    ('messages', '{id,conversation_id,parent_message_id,sender_type,sender_id,content,message_type,status,metadata,created_at,updated_at}'),
    ('leads', '{id,name,email,phone,company,status,lead_score,services_interested,budget_range,timeline,source,notes,assigned_to,metadata,created_at,updated_at}'),
    ('workflow_executions', '{id,conversation_id,workflow_type,current_state,current_step,participating_agents,initiated_by,workflow_config,execution_plan,results,error_message,started_at,completed_at,updated_at,created_at}'),
    ('agent_messages', '{id,workflow_execution_id,agent_name,message_type,content,status,tool_calls,context_data,error_details,created_at,updated_at,processed_at}'),
    ('shared_memory', '{id,conversation_id,memory_key,memory_value,scope,access_count,last_accessed_at,metadata,created_at,updated_at}'))
  select relation, c from promised, unnest(columns) c
  except
  select table_name, column_name from information_schema.columns where table_schema = 'public'
$$, 'all six required tables, with every column');
select set_eq($$
  select column_name::text, column_default from information_schema.columns
  where table_schema = 'public' and table_name = 'conversations' and column_name in ('status', 'channel', 'metadata')
  order by 1
$$, $$values ('channel', '''web''::text'), ('metadata', '''{}''::jsonb'), ('status', '''active''::text')$$,
  'the missing columns, with their defaults');
-- "Check indexes"
select is_empty($$
  values ('conversations'), ('messages'), ('leads')
  except select tablename::text from pg_indexes where schemaname = 'public' and indexdef like '%USING gin (metadata%'
$$, 'JSONB fields can be searched');
-- "Verify RLS policies"
select is_empty($$
  values ('conversations'), ('messages'), ('leads'), ('workflow_executions'), ('agent_messages'), ('shared_memory')
  except select tablename::text from pg_policies where schemaname = 'public'
$$, 'RLS policies configured');
-- "Foreign key constraints established"
select is_empty($$
  values ('conversations'::regclass, 'user_id', 'profiles'::regclass), ('leads', 'assigned_to', 'profiles'),
    ('agent_messages', 'workflow_execution_id', 'workflow_executions'), ('messages', 'parent_message_id', 'messages')
  except
  select k.conrelid::regclass, a.attname::text, k.confrelid::regclass from pg_constraint k
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any (k.conkey) where k.contype = 'f'
$$, 'foreign key constraints established');
select has_extension('pgcrypto', 'extensions enabled: pgcrypto');
select is_empty($$
  values ('lead_pipeline'), ('conversation_volume'), ('run_outcomes'), ('agent_latency')
  except select table_name::text from information_schema.views where table_schema = 'public'
$$, 'analytics views created');
select enum_has_labels(
  'public', 'lead_status', '{new,contacted,qualified,proposal,negotiation,won,lost}', 'lead_status is an enum');
select is_empty($$
  with promised (relation, words) as (values
    ('conversations', '{active,inactive,pending,completed,failed,cancelled,web,mobile,api,user,assistant,system}'::text[]),
    ('messages', '{user,assistant,system,agent,text,image,file,sent,delivered,read,failed}'),
    ('agent_messages', '{input,output,system,error,tool_call,pending,processing,completed,failed}'),
    ('shared_memory', '{workflow,session,global,agent}'))
  select relation, w from promised, unnest(words) w
  except
  select k.conrelid::regclass::text, m[1] from pg_constraint k,
    regexp_matches(pg_get_constraintdef(k.oid), '''(\w+)''', 'g') m where k.contype = 'c'
$$, 'every value it lists is allowed, and a check says so');

select * from finish();
rollback;
