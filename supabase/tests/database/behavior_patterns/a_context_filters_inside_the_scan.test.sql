begin;
select plan(8);

insert into auth.users (id) values ('b0000000-0000-4000-8000-000000000004');
create function pg_temp.v(k float8) returns extensions.vector language sql as $$
  select array_agg((sin(i * 0.7) + k * sin(i * 1.3 + 1))::real order by i)::extensions.vector from generate_series(1, 1536) i $$;
-- 900 rows nearer to the request than the three that are asked for: a filter after the search would find none
insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model, context)
select 'b0000000-0000-4000-8000-000000000004', 'near ' || k, 'success', e.v, 'tap',
  jsonb_build_object('directory', '/near/' || k, 'n', k)
from generate_series(1, 900) k cross join (select pg_temp.v(0.01) as v) e;
insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model, context, other_contexts) values
  ('b0000000-0000-4000-8000-000000000004', 'far a', 'success', pg_temp.v(0.8), 'tap', '{"directory": "/far", "files_touched": ["x.ts", "y.ts"]}', '[]'),
  ('b0000000-0000-4000-8000-000000000004', 'far b', 'success', pg_temp.v(0.9), 'tap', '{"directory": "/far", "n": 1.0, "deep": {"a": [1, {"b": 2}]}}', '[]'),
  ('b0000000-0000-4000-8000-000000000004', 'far c', 'success', pg_temp.v(1.0), 'tap', '{}', '[{"directory": "/far", "branch": "dev"}]');
create function pg_temp.ask(p_context jsonb) returns setof text language sql as $$
  select p.trigger from private.recall_nearest('b0000000-0000-4000-8000-000000000004',
    (select id from private.embedding_models where name = 'tap'), '{1}', pg_temp.v(0), 5, 0, p_context) n
  join public.behavior_patterns p on p.id = n.source_id order by n.similarity desc $$;

select results_eq($$select pg_temp.ask('{"directory": "/far"}')$$, $$values ('far a'), ('far b'), ('far c')$$,
  'the nearest of those that match, however many others are nearer');
select results_eq($$select pg_temp.ask('{"directory": "/far", "branch": "dev"}')$$, $$values ('far c')$$,
  'all facts must hold in one context');
select results_eq($$select pg_temp.ask('{"files": ["y.ts"]}')$$, $$values ('far a')$$, 'files is files_touched');
select is_empty($$select pg_temp.ask('{"files": ["y.ts", "z.ts"]}')$$, 'and all of them must be there');
select results_eq($$select pg_temp.ask('{"deep": {"a": [{"b": 2}]}}')$$, $$values ('far b')$$,
  'any depth, by containment, also where no facet helps');
select set_eq($$select pg_temp.ask('{"n": 1}')$$, $$values ('near 1'), ('far b')$$, 'numbers by value');
select is_empty($$select pg_temp.ask('{"directory": "/nowhere"}')$$, 'no match, no answer');
select is((select count(*) from pg_temp.ask('{}')), 5::bigint, 'an empty context filters nothing');

select * from finish();
rollback;
