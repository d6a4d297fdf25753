begin;
select plan(6);

-- "Check tables exist"
select set_eq($$
  select table_name::text from information_schema.tables
  where table_schema = 'public' and table_name in ('user_tokens', 'execution_logs', 'task_history', 'documents_generated')
  order by 1
$$, $$values ('documents_generated'), ('execution_logs'), ('task_history'), ('user_tokens')$$, 'check tables exist: they do');
select is_empty($$
  values ('profiles'), ('workflows'), ('workflow_history'), ('oauth_tokens')
  except select table_name::text from information_schema.tables where table_schema = 'public'
$$, 'and those of its earlier migrations');
-- "Check indexes"
select is_empty($$
  values ('user_tokens'), ('execution_logs'), ('task_history'), ('documents_generated')
  except select tablename::text from pg_indexes where schemaname = 'public'
$$, 'check indexes: each has some');
-- "Check RLS policies"
select is_empty($$
  values ('user_tokens'), ('execution_logs'), ('task_history'), ('documents_generated')
  except select tablename::text from pg_policies where schemaname = 'public'
$$, 'check RLS policies: each has some');
-- "Check Realtime publication", where the platform has it
select is_empty($$
  select pubname::text from pg_publication where pubname = 'supabase_realtime'
  except select pubname::text from pg_publication_tables where tablename = 'execution_logs'
$$, 'check Realtime publication: execution_logs is in it');
select is_empty($$
  values ('upsert_user_tokens'), ('get_user_tokens'), ('delete_user_tokens'), ('insert_execution_log'),
    ('get_execution_logs_by_task'), ('get_execution_logs_filtered'), ('delete_old_execution_logs'),
    ('insert_task_history'), ('update_task_history_status'), ('get_task_history_filtered'), ('get_recent_task_history'),
    ('get_task_statistics'), ('insert_generated_document'), ('get_documents_by_task'), ('get_documents_by_type'),
    ('batch_insert_generated_documents'), ('get_document_statistics')
  except select proname::text from pg_proc where pronamespace = 'public'::regnamespace
$$, 'all seventeen helper functions');

select * from finish();
rollback;
