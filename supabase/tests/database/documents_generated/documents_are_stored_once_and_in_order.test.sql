begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(6);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;

select insert_task_history('Report', p_task_id => '10000000-0000-4000-8000-000000000001');
select is((select array_agg(document_type || ':' || title) from batch_insert_generated_documents('[
    {"document_type": "google_doc", "title": "A", "external_id": "g1", "url": "https://example.com/a"},
    {"document_type": "spreadsheet", "title": "B"},
    {"document_type": "google_doc", "title": "A again", "external_id": "g1"},
    {"document_type": "calendar", "title": "C"}]', '10000000-0000-4000-8000-000000000001')),
  array['doc:A', 'sheet:B', 'doc:A', 'calendar_event:C'], 'one row for each, in order, repeats as they stand');
select is((select count(*) from documents_generated), 3::bigint, 'an external id is stored once');
select is(insert_generated_document('doc', 'A third', p_external_id => 'g1'),
  (select id from documents_generated where title = 'A'), 'alone as well');
select is((select count(*) from get_documents_by_task('10000000-0000-4000-8000-000000000001')), 3::bigint, 'found by task');
select is((select array_agg(title) from get_documents_by_type('google_sheet')), array['B'], 'found by type, whatever it is called');
select is((select array_agg(document_type || total order by document_type) from get_document_statistics(p_to => now() + interval '1 minute')),
  array['calendar_event1', 'doc1', 'sheet1'], 'counted by type');

select * from finish();
rollback;
