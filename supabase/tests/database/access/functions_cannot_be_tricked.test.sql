begin;
select plan(3);

select is_empty($$
  select p.oid::regprocedure::text from pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.prosecdef
$$, 'no function the Data API exposes runs with its owner''s rights');
select is_empty($$
  select p.oid::regprocedure::text from pg_proc p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (select from unnest(p.proconfig) c where c in ('search_path=""', 'search_path='))
$$, 'every function pins an empty search_path: nobody can slip an object of the same name in front');
select is_empty($$
  select p.oid::regprocedure::text from pg_proc p
  where p.pronamespace = 'private'::regnamespace and p.prosecdef
    and obj_description(p.oid, 'pg_proc') !~* 'definer'
    and p.prorettype <> 'trigger'::regtype
    and has_function_privilege('authenticated', p.oid, 'execute')
$$, 'every definer function that people can reach says why it is one');

select * from finish();
rollback;
