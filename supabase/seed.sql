-- Sample rows for `supabase db reset`: a few leads that nobody has taken yet, so that the pipeline
-- view has something to show. Everything else belongs to people, and people sign up.
-- Run again, it adds nothing.

insert into public.leads (name, email, company, status, lead_score, services_interested, source)
select v.name, v.email, v.company, v.status::public.lead_status, v.lead_score, v.services, 'sample'
from (values
  ('Ada Lovelace', 'ada@example.com', 'Analytical Engines', 'new', 82, array['automation']),
  ('Grace Hopper', 'grace@example.com', 'Compilers & Co', 'contacted', 64, array['training']),
  ('Alan Turing', 'alan@example.com', 'Bombe Works', 'qualified', 91, array['automation', 'audit']),
  ('Edsger Dijkstra', 'edsger@example.com', 'Shortest Paths', 'new', 35, array['audit'])
) as v (name, email, company, status, lead_score, services)
where not exists (select from public.leads l where l.email = v.email and l.source = 'sample');
