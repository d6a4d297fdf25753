begin;
select plan(11);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'admin@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'seller@example.com'),
  ('c0000000-0000-4000-8000-000000000003', 'stranger@example.com');
insert into public.leads (id, name) values
  ('10000000-0000-4000-8000-000000000001', 'First'), ('20000000-0000-4000-8000-000000000002', 'Second');
set local role service_role;
select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001', 'founder');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select is((select count(*) from public.leads), 2::bigint, 'an administrator sees leads that nobody has');
select lives_ok(
  $$select public.assign_lead('10000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002')$$,
  'and puts one on a desk');
select is((select count(*) from public.leads), 2::bigint, 'and still sees it there');
select throws_ok(
  $$select public.assign_lead('99999999-0000-4000-8000-000000000009', null)$$,
  'PT404', 'lead_not_found', 'a lead that is not there is said to be missing');
select is(
  (select leads from public.lead_pipeline where status = 'new'), 2::bigint, 'the pipeline counts what one may see');
select is((select count(*) from public.lead_pipeline), 7::bigint, 'and has a row for every status');

select set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-000000000002"}', true),
  set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000002', true);
select results_eq($$select name from public.leads$$, $$values ('First')$$, 'a seller sees what is on their desk');
select lives_ok($$update public.leads set status = 'contacted', notes = 'called'$$, 'and works on it');
select throws_ok($$update public.leads set lead_score = 99$$, '42501', null, 'but does not score it');
select throws_ok(
  $$select public.assign_lead('20000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000002')$$,
  'PT403', 'admin_required', 'nor takes another');

select set_config('request.jwt.claims',
    '{"sub": "c0000000-0000-4000-8000-000000000003", "app_metadata": {"role": "admin"}, "user_metadata": {"is_admin": true}}', true),
  set_config('request.jwt.claim.sub', 'c0000000-0000-4000-8000-000000000003', true);
select is_empty($$select from public.leads$$, 'anybody else sees none, whatever their token says');

select * from finish();
rollback;
