begin;
select plan(6);

insert into auth.users (id, email, raw_user_meta_data) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com', '{"is_admin": true}');
set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);

select is(public.is_admin(), false, 'nobody is an administrator by saying so at sign-up');
select throws_ok(
  $$insert into private.admins (user_id) values ('a0000000-0000-4000-8000-000000000001')$$,
  '42501', null, 'nor by writing it down');
select throws_ok(
  $$select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001')$$, '42501', null, 'nor by asking for it');
select throws_ok(
  $$update public.profiles set email = 'root@example.com'$$, '42501', null, 'nor by taking another name');

set local role service_role;
select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001');
set local role authenticated;
select is(public.is_admin(), true, 'the server makes one');
set local role service_role;
select public.mira_revoke_admin('a0000000-0000-4000-8000-000000000001');
set local role authenticated;
select is(public.is_admin(), false, 'and unmakes one, at once');

select * from finish();
rollback;
