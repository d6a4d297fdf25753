begin;
select plan(5);

create temporary view granted as
select c.oid::regclass::text as object, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as who,
  acl.privilege_type as may
from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) acl
where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm')
union all
select c.oid::regclass || '.' || a.attname, case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end,
  acl.privilege_type
from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) acl
where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace);

select is_empty(
  $$ select object, who, may from granted where who in ('public', 'anon') $$,
  'visitors have no right on any table or view');
select is_empty(
  $$ select object, who, may from granted where who = 'authenticated' and may not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') $$,
  'signed-in people cannot truncate, reference or hang triggers: row security does not cover those');
select is_empty(
  $$ select object, who, may from granted where who = 'authenticated' and object like 'private.%' $$,
  'signed-in people have no right on any table in private');
select is_empty($$
  select p.oid::regprocedure::text, 'public' from pg_proc p,
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and acl.grantee = 0
$$, 'no function may be called by everybody');
select results_eq($$
  select p.oid::regprocedure::text from pg_proc p
  where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and has_function_privilege('anon', p.oid, 'execute')
  order by 1
$$, $$ values
  ('capture_lead(text,text,text,text,text[],text,text,text,text)'),
  ('private.capture_lead(text,text,text,text,text[],text,text,text,text)')
$$, 'visitors may call the one function that takes a lead, and nothing else');

select * from finish();
rollback;
