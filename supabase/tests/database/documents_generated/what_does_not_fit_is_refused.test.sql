begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(5);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into task_history (id, user_id, description)
  values ('10000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002', 'ben''s');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select throws_ok($$select insert_generated_document('song', 'x')$$, 'PT422', 'invalid_document_type', 'types are eight');
select throws_ok($$select insert_generated_document('doc', '')$$, 'PT422', 'invalid_title', 'a title is needed');
select throws_ok($$select insert_generated_document('doc', 'x', 'javascript:alert(1)')$$, 'PT422', 'invalid_url', 'links open pages, not scripts');
select throws_ok($$select insert_generated_document('doc', 'x', p_task_id => '10000000-0000-4000-8000-000000000001')$$, 'PT404', 'task_not_found', 'another''s task does not exist');
select throws_ok($$select batch_insert_generated_documents('[]')$$, 'PT422', 'invalid_documents', 'a batch has something in it');

select * from finish();
rollback;
