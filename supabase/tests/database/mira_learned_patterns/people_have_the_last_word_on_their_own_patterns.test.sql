begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(9);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'), ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into mira_learned_patterns (id, user_id, pattern_type, pattern_key, module) values
  ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'struggle', 'k', 'crm'),
  ('c0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000002', 'struggle', 'k', 'crm');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select is((select count(*) from mira_learned_patterns), 1::bigint, 'people see their own');
select is((choose_pattern_status('c0000000-0000-4000-8000-000000000001', 'pinned')).status, 'pinned', 'and pin or dismiss them');
select throws_ok($$select choose_pattern_status('c0000000-0000-4000-8000-000000000002', 'dismissed')$$, 'PT404',
  'pattern_not_found', 'nobody else''s');
select throws_ok($$select choose_pattern_status('c0000000-0000-4000-8000-000000000001', 'retired')$$, 'PT422',
  'status_invalid', 'only the learner retires');
select throws_ok($$update mira_learned_patterns set confidence = 1$$, '42501', null, 'nobody writes their own statistics');
select throws_ok($$insert into mira_learned_patterns (user_id, pattern_type, pattern_key)
  values ('a0000000-0000-4000-8000-000000000001', 'struggle', 'mine')$$, '42501', null, 'or makes up patterns');
select throws_ok('select mira_begin_learning()', '42501', null, 'the learner''s functions are the server''s');
select throws_ok('select mira_rank_struggles()', '42501', null, 'and so is what is known of everybody');
select throws_ok($$select mira_promote_habit('a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', '{}')$$,
  '42501', null, 'promotion goes through the function');

select * from finish();
rollback;
