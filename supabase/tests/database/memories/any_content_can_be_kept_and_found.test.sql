begin;
select plan(9);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000007');
create function pg_temp.v(k int) returns extensions.vector language sql as $$
  select array_agg(case i when k then 1 else 0 end::real order by i)::extensions.vector from generate_series(1, 1536) i $$;
create function pg_temp.seen(k int) returns jsonb language sql as $$
  select public.mira_recall_candidates('b0000000-0000-4000-8000-000000000007', null, pg_temp.v(k), 'tap') #> '{candidates,0}' $$;

insert into public.memories (user_id, type, content, metadata, embedding, embedding_model) values
  ('b0000000-0000-4000-8000-000000000007', 'workflow',
   '{"trigger": "ship it", "actions": [{"tool": "a"}, {"tool": "b"}], "outcome": "failed"}',
   '{"confidence": 0.4, "use_count": 7}', pg_temp.v(1), 'tap'),
  ('b0000000-0000-4000-8000-000000000007', 'note', '{not json', '{"confidence": "high"}', pg_temp.v(2), 'tap'),
  ('b0000000-0000-4000-8000-000000000007', 'note', '{"trigger": "nul \u0000 inside"}', '{}', pg_temp.v(3), 'tap'),
  ('b0000000-0000-4000-8000-000000000007', 'note', '{"trigger": 5}', '{"context": []}', pg_temp.v(4), 'tap');

select is(pg_temp.seen(1) ->> 'trigger', 'ship it', 'a workflow memory is a procedure');
select is(pg_temp.seen(1) -> 'tools', '["a", "b"]'::jsonb, 'with its steps');
select is(array[pg_temp.seen(1) ->> 'final_outcome', pg_temp.seen(1) ->> 'confidence', pg_temp.seen(1) ->> 'use_count'],
  array['failed', '0.4', '7'], 'its outcome and its metadata');
select is(array[pg_temp.seen(2) ->> 'trigger', pg_temp.seen(2) ->> 'confidence'], array['{not json', '0.7'],
  'anything else is a note, and a confidence that is a word is none');
select is(pg_temp.seen(3) ->> 'trigger', '{"trigger": "nul \u0000 inside"}', 'JSON that jsonb cannot hold is a note');
select is(pg_temp.seen(4) ->> 'trigger', '{"trigger": 5}', 'a trigger that is no text is none');
select is((select count(*) from public.find_similar_patterns(pg_temp.v(1), 0.9)), 0::bigint, 'find_similar_patterns keeps to patterns');
update public.memories set content = 'other words' where content = '{not json';
select is((select embedding is null from public.memories where content = 'other words'), true, 'a changed content loses its vector');
delete from public.memories;
select is((select count(*) from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-000000000007'), 0::bigint,
  'deleted memories leave the index');

select * from finish();
rollback;
