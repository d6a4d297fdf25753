begin;
select plan(1);

-- a table is owned when a required column names the account and goes with it (by a foreign key, or by the
-- trigger that the hottest tables have in its stead), or when a required foreign key that cascades leads to
-- such a table
select is_empty($$
  with recursive owned (oid) as (
    select 'auth.users'::regclass::oid
    union
    select a.attrelid from pg_trigger t, pg_attribute a
    where t.tgrelid = 'auth.users'::regclass and t.tgenabled = 'O' and t.tgfoid = 'private.delete_with_account()'::regprocedure
      and a.attname = 'user_id' and a.attnotnull and a.attrelid = any (array['public.execution_logs',
        'public.task_history', 'public.tool_executions']::regclass[])
    union
    select k.conrelid from owned o join pg_constraint k on k.confrelid = o.oid and k.contype = 'f' and k.confdeltype = 'c'
    where not exists (
      select from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and not a.attnotnull)
  )
  select c.oid::regclass::text from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and c.oid not in (select oid from owned)
    -- the house's own: leads outlive whoever they are assigned to, tools are the operator's
    and c.relname not in ('leads', 'mira_tool_definitions')
$$, 'every row belongs to an account and goes with it');

select * from finish();
rollback;
