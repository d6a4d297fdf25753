-- Platform, retention: how long rows are kept, and what takes the others away.

create table private.retention_rules (
  table_name text primary key,
  time_column text not null,
  keep interval,
  condition text not null default 'true'
);
comment on table private.retention_rules is
  'How long rows of a table are kept. Change keep to suit; null keeps for ever.';
comment on column private.retention_rules.keep is 'Age after which a row may go; null keeps for ever.';
comment on column private.retention_rules.condition is 'SQL condition a row must also meet to go.';

alter table private.retention_rules enable row level security;
revoke all on private.retention_rules from public, anon, authenticated;
grant select, insert, update, delete on private.retention_rules to service_role;
create policy retention_rules_all_service on private.retention_rules
  for all to service_role using (true) with check (true);

insert into private.retention_rules (table_name, time_column, keep) values
  ('private.rate_limits', 'arrives_at', interval '1 hour'),
  ('private.idempotency_keys', 'created_at', interval '48 hours'),
  ('private.vault_audit', 'at', interval '400 days'),
  ('public.mira_behavioral_events', 'created_at', interval '400 days');

create function private.run_retention(p_batch integer default 5000, p_max_batches integer default 200)
returns table (table_name text, deleted bigint)
language plpgsql security definer set search_path = '' as $$
declare
  v_rule private.retention_rules;
  v_count bigint;
begin
  for v_rule in select * from private.retention_rules r where r.keep is not null order by r.table_name loop
    continue when pg_catalog.to_regclass(v_rule.table_name) is null;
    table_name := v_rule.table_name;
    deleted := 0;
    for i in 1 .. p_max_batches loop
      -- by physical address and skip locked: never waits for, nor scans, the live part twice;
      -- '-infinity' is the condition of indexes that are for retention alone
      execute pg_catalog.format(
        'delete from %1$s where ctid = any (array(select ctid from %1$s where %2$I > ''-infinity'' and %2$I < now() - $1 and (%3$s) limit $2 for update skip locked))',
        v_rule.table_name::pg_catalog.regclass, v_rule.time_column, v_rule.condition)
      using v_rule.keep, p_batch;
      get diagnostics v_count = row_count;
      deleted := deleted + v_count;
      exit when v_count < p_batch;
    end loop;
    return next;
  end loop;
end $$;
comment on function private.run_retention(integer, integer) is
  'Deletes what the retention rules let go, in batches. Definer: the scheduler owns no table. Server only.';

select private.open_to_server('{run_retention}');
