begin;
select plan(6);

insert into auth.users (id, email, raw_user_meta_data) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com',
   '{"full_name": "  Ann Lee ", "avatar_url": "https://example.com/ann.png"}'),
  ('a0000000-0000-4000-8000-000000000002', null, '{"name": "Bo", "picture": "javascript:alert(1)"}');

select is(
  (select full_name from public.profiles where id = 'a0000000-0000-4000-8000-000000000001'),
  'Ann Lee', 'sign-up makes a profile with the name that came along');
select is(
  (select avatar_url from public.user_profiles where user_id = 'a0000000-0000-4000-8000-000000000001'),
  'https://example.com/ann.png', 'user_profiles shows the same row');
select is(
  (select avatar_url from public.profiles where id = 'a0000000-0000-4000-8000-000000000002'),
  null, 'a picture that is not https is left out');
select lives_ok(
  $$insert into auth.users (id, raw_user_meta_data)
    values ('a0000000-0000-4000-8000-000000000003', jsonb_build_object('full_name', repeat('x', 5000)))$$,
  'a name that is too long does not stop a sign-up');
update auth.users set email = 'ann.lee@example.com' where id = 'a0000000-0000-4000-8000-000000000001';
select is(
  (select email from public.profiles where id = 'a0000000-0000-4000-8000-000000000001'),
  'ann.lee@example.com', 'the e-mail address follows the account');
delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001';
select is_empty(
  $$select from public.profiles where id = 'a0000000-0000-4000-8000-000000000001'$$,
  'the profile goes with its account');

select * from finish();
rollback;
