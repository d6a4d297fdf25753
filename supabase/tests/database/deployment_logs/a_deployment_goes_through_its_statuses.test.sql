begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

insert into projects (name) values ('site');
insert into deployment_logs (project_id, provider) select id, 'vercel' from projects;
select is((select status from deployment_logs), 'queued', 'a deployment is queued');
select lives_ok($$update deployment_logs set status = 'building'$$, 'then built');
select lives_ok($$update deployment_logs set status = 'deploying'$$, 'then deployed');
select lives_ok($$update deployment_logs set status = 'succeeded', build_log = 'token sk-abcdefghijklmnopqrstuv'$$, 'then done');
select is((select (build_log, duration_ms, completed_at is not null)::text from deployment_logs), '("token [redacted]",0,t)',
  'its log is redacted, its time measured');
select throws_ok($$update deployment_logs set status = 'building'$$, 'PT409', 'deployment_transition_refused', 'what is done is not built');
select lives_ok($$update deployment_logs set status = 'rolled_back'$$, 'but may be rolled back');
select throws_ok($$insert into deployment_logs (project_id, provider) values (gen_random_uuid(), 'vercel')$$, '23503', null, 'a project must exist');
select throws_ok($$insert into deployment_logs (user_id, provider) values ('b0000000-0000-4000-8000-000000000002', 'vercel')$$,
  '42501', null, 'in one''s own name only');

select * from finish();
rollback;
