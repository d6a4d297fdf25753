begin;
select plan(13);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'admin@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'seller@example.com');
insert into public.leads (name, email, company, status, services_interested, notes, assigned_to, created_at)
select 'Lead ' || n, 'lead' || n || '@example.com', case when n = 5 then 'O''Hara & Söhne' end,
  case when n % 3 = 0 then 'won' else 'new' end::public.lead_status,
  case when n % 2 = 0 then '{audit,design}' else '{}' end::text[],
  case when n = 7 then 'met at the fair' end,
  case when n > 6 then 'b0000000-0000-4000-8000-000000000002'::uuid end, now() - (10 - n) * interval '1 hour'
from generate_series(1, 9) n;
set local role service_role;
select public.mira_grant_admin('a0000000-0000-4000-8000-000000000001');
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
set local role authenticated;

select is((select array_agg(name) from get_leads_filtered(p_limit => 2)), array['Lead 9', 'Lead 8'], 'newest first');
select is((select array_agg(name) from get_leads_filtered(p_status => 'won')),
  array['Lead 9', 'Lead 6', 'Lead 3'], 'by status');
select is((select array_agg(name) from get_leads_filtered(p_assigned_to => 'b0000000-0000-4000-8000-000000000002')),
  array['Lead 9', 'Lead 8', 'Lead 7'], 'by desk');
select is((select array_agg(name) from get_leads_filtered(p_is_unassigned => true, p_limit => 2)),
  array['Lead 6', 'Lead 5'], 'those that nobody has');
select is((select array_agg(name) from get_leads_filtered(p_service => 'design')),
  array['Lead 8', 'Lead 6', 'Lead 4', 'Lead 2'], 'by service');
select is((select array_agg(name) from get_leads_filtered(p_from => now() - interval '3 hours 30 minutes',
    p_to => now() - interval '1 hour 30 minutes')), array['Lead 8', 'Lead 7'], 'by time');
select is((select array_agg(name) from get_leads_filtered(p_search => 'LEAD7@exam')), array['Lead 7'],
  'by an address as far as it is known');
select is((select array_agg(name) from get_leads_filtered(p_search => 'o''hara söh')), array['Lead 5'],
  'by the beginnings of words');
select is((select array_agg(name) from get_leads_filtered(p_search => 'fair', p_status => 'won')), null,
  'every filter must agree');
select is((select array_agg(name) from get_leads_filtered(p_search => ' !? ')), null, 'no word finds no lead');
select is((select array_agg(name) from get_leads_filtered(p_limit => 2,
    p_before_id => (select id from get_leads_filtered(p_search => 'lead4')))), array['Lead 3', 'Lead 2'],
  'the next page lies before the last row');
select is((select array_agg(name) from get_leads_filtered(p_before => now() - interval '8 hours')), array['Lead 1'],
  'or before a time');
select is((select count(*) from get_leads_filtered(p_limit => 100000)), 9::bigint, 'however long a page may be');

select * from finish();
rollback;
