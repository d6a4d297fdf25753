-- The record, how long it is kept.

create function private.trim_record(p_limit integer default 50000) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_logs integer := private.delete_old_execution_logs(null, 90, p_limit);
  v_tools integer;
  v_sessions integer;
begin
  delete from public.tool_executions t where t.ctid = any (array(
    select o.ctid from public.tool_executions o
    where o.run_id is null and o.created_at < pg_catalog.now() - interval '90 days' order by o.created_at limit p_limit));
  get diagnostics v_tools = row_count;
  delete from public.cli_sessions s where s.id in (select o.id from public.cli_sessions o
    where o.status <> 'active' and o.updated_at < pg_catalog.now() - interval '30 days' limit p_limit);
  get diagnostics v_sessions = row_count;
  return pg_catalog.jsonb_build_object('execution_logs', v_logs, 'tool_executions', v_tools,
    'cli_sessions', v_sessions, 'expired', private.expire_cli_sessions(p_limit));
end $$;
comment on function private.trim_record(integer) is
  'Retention of the record, for the scheduler: logs and tool calls 90 days (those of runs go with the run), ended sessions 30; at most p_limit rows of each. Tasks, documents, projects and deployments stay until their owner deletes them.';

select private.open_to_server('{trim_record}');
