begin;
select plan(3);

select is_empty($$
  select c.oid::regclass::text from pg_class c
  where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm')
    and obj_description(c.oid, 'pg_class') is null
$$, 'every table and view has a comment');
select is_empty($$
  select p.oid::regprocedure::text from pg_proc p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and obj_description(p.oid, 'pg_proc') is null
$$, 'every function has a comment');
select is_empty($$
  select t.oid::regtype::text from pg_type t
  where t.typnamespace in ('public'::regnamespace, 'private'::regnamespace) and t.typtype in ('e', 'd')
    and obj_description(t.oid, 'pg_type') is null
$$, 'every type has a comment');

select * from finish();
rollback;
