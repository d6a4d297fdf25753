begin;
select plan(6);

-- "Check all tables exist"
select is_empty($$
  values ('api_keys'), ('chat_sessions'), ('prompts'), ('messages'), ('user_profiles'), ('projects'), ('agent_logs'),
    ('cli_sessions'), ('deployment_logs'), ('tool_executions')
  except select table_name::text from information_schema.tables where table_schema = 'public'
$$, 'check all tables exist: they do');
-- "Verify RLS is enabled"
select is_empty(
  $$select tablename::text from pg_tables where schemaname = 'public' and not rowsecurity$$,
  'verify RLS is enabled: everywhere');
-- "Check indexes"
select is_empty($$
  values ('api_keys'), ('chat_sessions'), ('prompts'), ('messages'), ('projects'), ('agent_logs'), ('cli_sessions'),
    ('deployment_logs'), ('tool_executions')
  except select tablename::text from pg_indexes where schemaname = 'public' and indexname not like '%\_pkey'
$$, 'check indexes: each table has one besides its key');
select is_empty($$
  values ('user_id'), ('provider'), ('encrypted_key'), ('key_hash'), ('masked_key'), ('metadata')
  except select column_name::text from information_schema.columns where table_schema = 'public' and table_name = 'api_keys'
$$, 'the columns of its example key');
select has_function('public', 'update_updated_at_column', 'the trigger function it names');
select has_function('public', 'update_cli_session_last_seen', 'and the one for sessions of the command line');

select * from finish();
rollback;
