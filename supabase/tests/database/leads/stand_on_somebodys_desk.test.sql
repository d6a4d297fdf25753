begin;
select plan(10);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'admin@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'seller@example.com'),
  ('c0000000-0000-4000-8000-000000000003', 'stranger@example.com');
insert into public.leads (id, name, assigned_to) values
  ('10000000-0000-4000-8000-000000000001', 'First', 'b0000000-0000-4000-8000-000000000002'),
  ('20000000-0000-4000-8000-000000000002', 'Second', null);
set local role service_role;
select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001', 'founder');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-000000000002"}', true),
  set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000002', true);
select results_eq($$select name from public.leads$$, $$values ('First')$$, 'a seller sees what is on their desk');
select lives_ok($$update public.leads set status = 'contacted', notes = 'called'$$, 'and works on it');
select throws_ok($$update public.leads set lead_score = 99$$, '42501', null, 'but does not score it');
select throws_ok($$update public.leads set assigned_to = null$$, '42501', null, 'nor puts it on another desk');
select throws_ok($$delete from public.leads$$, '42501', null, 'nor deletes it');
select throws_ok($$insert into public.leads (name) values ('Mine')$$, '42501', null, 'nor makes one');
select results_eq(
  $$select leads, unassigned from public.lead_pipeline where leads > 0$$, $$values (1::bigint, 0::bigint)$$,
  'and counts their own desk');

select set_config('request.jwt.claims',
    '{"sub": "c0000000-0000-4000-8000-000000000003", "app_metadata": {"role": "admin"}, "user_metadata": {"is_admin": true}}', true),
  set_config('request.jwt.claim.sub', 'c0000000-0000-4000-8000-000000000003', true);
select is_empty($$select from public.leads$$, 'anybody else sees none, whatever their token says');
select is_empty($$select from public.lead_pipeline where leads > 0$$, 'and counts none');

select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select is_empty($$select from public.leads$$, 'the table shows an administrator their own desk too');

select * from finish();
rollback;
