begin;
select plan(22);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'admin@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'seller@example.com');
insert into public.leads (id, name, status, assigned_to) values
  ('10000000-0000-4000-8000-000000000001', 'First', 'new', null),
  ('20000000-0000-4000-8000-000000000002', 'Second', 'won', 'b0000000-0000-4000-8000-000000000002');
set local role service_role;
select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001', 'founder');

set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select is((select count(*) from public.get_leads_filtered()), 2::bigint, 'an administrator lists every desk''s leads');
select lives_ok(
  $$select public.assign_lead('10000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002')$$,
  'and puts one on a desk');
select is(
  (select count(*) from public.get_leads_filtered(p_assigned_to => 'b0000000-0000-4000-8000-000000000002')),
  2::bigint, 'where it is listed');
select throws_ok(
  $$select public.assign_lead('99999999-0000-4000-8000-000000000009', null)$$,
  'PT404', 'lead_not_found', 'a lead that is not there is said to be missing');
select throws_ok(
  $$select public.assign_lead('10000000-0000-4000-8000-000000000001', '99999999-0000-4000-8000-000000000009')$$,
  'PT422', 'assignee_not_found', 'and so is a desk');

select results_eq(
  $$select name, status, assigned_to, lead_score from public.insert_lead('{"name": "Third", "services_interested": ["audit"]}')$$,
  $$values ('Third', 'new'::public.lead_status, null::uuid, 0)$$, 'makes a lead, which is on nobody''s desk');
select results_eq(
  $$select name, status, notes from public.update_lead('20000000-0000-4000-8000-000000000002',
    '{"status": "lost", "notes": "called twice"}')$$,
  $$values ('Second', 'lost'::public.lead_status, 'called twice')$$, 'changes what is named and leaves the rest');
select is(
  (select notes from public.update_lead('20000000-0000-4000-8000-000000000002', '{"notes": null}')), null,
  'and empties what is null');
select throws_ok(
  $$select public.update_lead('20000000-0000-4000-8000-000000000002', '{"lead_score": 100}')$$,
  'PT422', 'invalid_lead', 'the score is the server''s');
select throws_ok(
  $$select public.update_lead('20000000-0000-4000-8000-000000000002', '{"status": "asleep"}')$$,
  'PT422', 'invalid_lead', 'a status is one of the pipeline');
select throws_ok(
  $$select public.update_lead('20000000-0000-4000-8000-000000000002', '{"status": null}')$$,
  'PT422', 'invalid_lead', 'and never nothing');
select throws_ok($$select public.insert_lead('["Third"]')$$, 'PT422', 'invalid_lead', 'a lead is an object');
select throws_ok($$select public.insert_lead('{"company": "Acme"}')$$, 'PT422', 'invalid_lead', 'that can be reached');

select results_eq(
  $$select status, leads, unassigned from public.lead_pipeline$$,
  $$values ('new'::public.lead_status, 2::bigint, 1::bigint), ('contacted', 0, 0), ('qualified', 0, 0), ('proposal', 0, 0),
    ('negotiation', 0, 0), ('won', 0, 0), ('lost', 1, 0)$$,
  'the pipeline counts the whole house, and has a row for every status');

select lives_ok($$select public.delete_lead('20000000-0000-4000-8000-000000000002')$$, 'a lead is deleted');
select throws_ok(
  $$select public.delete_lead('20000000-0000-4000-8000-000000000002')$$, 'PT404', 'lead_not_found', 'once');

select set_config('request.jwt.claims', '{"sub": "b0000000-0000-4000-8000-000000000002"}', true),
  set_config('request.jwt.claim.sub', 'b0000000-0000-4000-8000-000000000002', true);
select throws_ok($$select public.get_leads_filtered()$$, 'PT403', 'admin_required', 'nobody else lists them');
select throws_ok(
  $$select public.assign_lead('10000000-0000-4000-8000-000000000001', null)$$,
  'PT403', 'admin_required', 'or assigns them');
select throws_ok($$select public.insert_lead('{"name": "Mine"}')$$, 'PT403', 'admin_required', 'or makes them');
select throws_ok(
  $$select public.update_lead('10000000-0000-4000-8000-000000000001', '{}')$$,
  'PT403', 'admin_required', 'or changes them, even on their own desk');
select throws_ok(
  $$select public.delete_lead('10000000-0000-4000-8000-000000000001')$$,
  'PT403', 'admin_required', 'or deletes them');

set local role service_role;
select is((select count(*) from public.get_leads_filtered()), 2::bigint, 'the service lists all');

select * from finish();
rollback;
