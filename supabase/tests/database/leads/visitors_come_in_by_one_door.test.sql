begin;
select plan(9);

set local role anon;
select throws_ok(
  $$insert into public.leads (name, lead_score, assigned_to) values ('Eve', 100, null)$$,
  '42501', null, 'a visitor has no right on the table');
select throws_ok($$select * from public.leads$$, '42501', null, 'nor may one look who is there');

select set_config('request.headers', '{"cf-connecting-ip": "203.0.113.7"}', true);
select lives_ok(
  $$select public.capture_lead(p_name => ' Eve ', p_email => 'Eve@Example.com', p_services_interested => '{audit}')$$,
  'a visitor leaves a lead');
select lives_ok(
  $$select public.capture_lead(p_name => 'Eve', p_email => 'eve@example.com')$$,
  'and is not told whether the address is known');
select throws_ok(
  $$select public.capture_lead(p_email => 'not an address')$$,
  'PT422', 'invalid_lead', 'what cannot be reached is refused');
select lives_ok(
  $$select public.capture_lead(p_name => 'Eve') from generate_series(1, 3)$$, 'five in an hour are welcome');
select throws_ok(
  $$select public.capture_lead(p_name => 'Eve')$$, 'PT429', 'too_many_requests', 'the sixth has to wait');

reset role;
select results_eq(
  $$select name, email, status, lead_score, assigned_to, source, services_interested from public.leads
    order by created_at, services_interested desc limit 1$$,
  $$values ('Eve', 'eve@example.com', 'new'::public.lead_status, 0, null::uuid, 'web', '{audit}'::text[])$$,
  'what only the house may say stands at its default');
select is_empty(
  $$select from private.lead_captures where counted like '%203.0.113.7%'$$, 'no address is stored');

select * from finish();
rollback;
