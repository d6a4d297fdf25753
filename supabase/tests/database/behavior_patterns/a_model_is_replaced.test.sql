begin;
select plan(14);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000008');
create function pg_temp.v(k int) returns text language sql as $$
  select array_agg(case i when k then 1 else 0 end::real order by i)::extensions.vector::text from generate_series(1, 1536) i $$;
create function pg_temp.work(p_model text) returns jsonb language sql as $$
  select public.mira_embedding_work(p_model, 512, 2, null) $$;
create function pg_temp.put(p_model text, p_work jsonb) returns int language sql as $$
  select public.mira_put_embeddings(p_model, jsonb_agg(i || jsonb_build_object('embedding', pg_temp.v(length(i ->> 'text')))))
  from jsonb_array_elements(p_work -> 'items') i $$;

select lives_ok($$select public.find_similar_patterns(pg_temp.v(1)::extensions.vector)$$, 'a search before the first vector');
select public.mira_recall_candidates('b0000000-0000-4000-8000-000000000008', null, pg_temp.v(1)::extensions.vector);
select is(public.mira_answering_model(), 'unspecified', 'a vector without a model name is of an unnamed model');
-- in the order of their ids, which is the order of the work
insert into public.behavior_patterns (id, user_id, trigger, final_outcome)
select ('d0000000-0000-4000-8000-00000000000' || n)::uuid, 'b0000000-0000-4000-8000-000000000008', repeat('x', n), 'success'
from generate_series(1, 5) n;
select is(jsonb_array_length(pg_temp.work('first') -> 'items'), 2, 'work comes in batches');
select is(public.mira_answering_model(), 'first', 'the unnamed model steps aside when nothing is stored under it');

do $$ declare w jsonb; begin loop w := pg_temp.work('first'); exit when w ->> 'state' = 'idle'; perform pg_temp.put('first', w); end loop; end $$;
select is((select count(*) from public.behavior_patterns where embedding_model = 'first'), 5::bigint, 'every row gets its vector');
select is((select margin from private.embedding_models where name = 'first'), 37::smallint, 'a shorter model needs a smaller margin');

-- half way to the second model
select pg_temp.put('second', pg_temp.work('second'));
select is(public.mira_answering_model(), 'first', 'half way, the old model answers');
update public.behavior_patterns set trigger = 'changed' where trigger = 'x';
select is((select count(*) from private.recall_vectors v join public.behavior_patterns p on p.id = v.source_id where p.trigger = 'changed'),
  0::bigint, 'a text that changes meanwhile loses the vectors of both');

-- one text is refused for good
do $$ declare w jsonb; n int := 0; begin
  loop
    w := pg_temp.work('second'); n := n + 1;
    exit when n > 40 or w ->> 'state' in ('idle', 'sweeping');
    perform public.mira_put_embeddings('second', (
      select jsonb_agg(case when i ->> 'text' = 'xxx' then i || '{"error": "refused"}'
        else i || jsonb_build_object('embedding', pg_temp.v(length(i ->> 'text'))) end)
      from jsonb_array_elements(w -> 'items') i));
  end loop;
end $$;
select is(public.mira_answering_model(), 'second', 'a text refused three times does not hold up the move');
select is((select array[source::int, attempts] from private.embedding_failures), array[1, 3], 'and is on record');

-- stored with the old model while the new one took over
insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
values ('b0000000-0000-4000-8000-000000000008', 'straggler', 'success', pg_temp.v(9)::extensions.vector, 'first');
do $$ declare w jsonb; n int := 0; begin
  loop
    w := pg_temp.work('second'); n := n + 1;
    exit when n > 40 or w ->> 'state' = 'idle';
    if w ->> 'state' = 'work' then perform pg_temp.put('second', w); end if;
  end loop;
end $$;
select is((pg_temp.work('second')) ->> 'state', 'idle', 'the job comes to an end');
select is((select embedding_model from public.behavior_patterns where trigger = 'straggler'), 'second', 'a straggler is taken along');
select is((select count(*) from private.recall_vectors v join private.embedding_models m on m.id = v.model_id
  where m.name = 'first' and v.user_id = 'b0000000-0000-4000-8000-000000000008'), 1::bigint, 'of the old model only the refused text is left');
select results_eq(
  $$select trigger from public.find_similar_patterns(pg_temp.v(9)::extensions.vector, 0.9)$$, $$values ('straggler')$$, 'and found');

select * from finish();
rollback;
