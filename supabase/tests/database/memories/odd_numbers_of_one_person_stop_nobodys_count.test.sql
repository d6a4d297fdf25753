begin;
select plan(5);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000007'), ('b0000000-0000-4000-8000-000000000008');
create function pg_temp.v(k int) returns extensions.vector language sql as $$
  select array_agg(case i when k then 1 else 0 end::real order by i)::extensions.vector from generate_series(1, 1536) i $$;
insert into public.memories (id, user_id, content, metadata, embedding, embedding_model) values
  ('c0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000007', 'odd',
   '{"confidence": 1e308, "use_count": 1e400, "evidence": -5, "failures": 1e300}', pg_temp.v(1), 'tap'),
  ('c0000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000008', 'even', '{}', pg_temp.v(2), 'tap');

select is(public.mira_recall_candidates('b0000000-0000-4000-8000-000000000007', null, pg_temp.v(1), 'tap') #> '{candidates,0}'
    @> '{"confidence": 1, "use_count": 1000000000, "evidence": 0}', true, 'what cannot be is read as the nearest that can');
do $$ begin
  perform public.mira_recall_patterns('b0000000-0000-4000-8000-000000000007', gen_random_uuid(), '{c0000000-0000-4000-8000-000000000001}');
  perform public.mira_recall_patterns('b0000000-0000-4000-8000-000000000008', gen_random_uuid(), '{c0000000-0000-4000-8000-000000000002}');
end $$;
select is(public.mira_count_recalls(), 2, 'both uses are counted');
select is((select metadata -> 'use_count' from public.memories where content = 'even'), '1', 'the other person''s, too');
select lives_ok($$select * from public.mira_pattern_feedback('b0000000-0000-4000-8000-000000000007', 'c0000000-0000-4000-8000-000000000001', 'failed')$$,
  'feedback is taken');
select ok((select (metadata ->> 'confidence')::float8 between 0 and 1 and (metadata ->> 'evidence')::int = 1 from public.memories where content = 'odd'),
  'and leaves numbers that can be');

select * from finish();
rollback;
