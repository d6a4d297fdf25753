begin;
select plan(4);

create temporary view policies as
select p.polrelid::regclass::text || ': ' || p.polname as name, p.*,
  concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) as words
from pg_policy p join pg_class c on c.oid = p.polrelid
where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace);

select is_empty(
  $$ select name from policies where 0 = any (polroles) $$,
  'no policy is for everybody: each names its roles');
select is_empty($$
  select name from policies
  where regexp_replace(words, '\( *SELECT (auth\.\w+\(\)|private\.\w+\(\))', '', 'gi') ~ 'auth\.(uid|jwt|role)\(\)|private\.\w+\(\)'
$$, 'who is asking is asked once per statement, not once per row');
select is_empty(
  $$ select name from policies where words ~* 'user_metadata|jwt' $$,
  'no policy believes what a token says beyond who it is');
select is_empty($$
  select a.name || ' / ' || b.polname from policies a join policies b
    on a.polrelid = b.polrelid and a.oid < b.oid and a.polpermissive and b.polpermissive
      and a.polroles && b.polroles and (a.polcmd = b.polcmd or a.polcmd = '*' or b.polcmd = '*')
$$, 'one policy per verb and role');

select * from finish();
rollback;
