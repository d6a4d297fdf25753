begin;
select plan(7);

-- "Check table exists"
select is((
  select exists (select from information_schema.tables where table_schema = 'public' and table_name = 'behavior_patterns')
), true, 'check table exists: it does');
-- "Check indexes": the search index is another kind, the two that nobody read are gone
select cmp_ok(
  (select count(*)::int from pg_indexes where tablename = 'behavior_patterns'), '>=', 3, 'check indexes: there are some');
-- "Check RLS policies"
select cmp_ok(
  (select count(*)::int from pg_policies where tablename = 'behavior_patterns'), '>=', 1, 'check RLS policies: there are some');
select is_empty($$
  values ('id'), ('user_id'), ('trigger'), ('trigger_embedding'), ('context'), ('actions'), ('final_outcome'),
    ('confidence'), ('use_count'), ('last_used_at'), ('created_at'), ('updated_at')
  except select column_name::text from information_schema.columns
  where table_schema = 'public' and table_name = 'behavior_patterns'
$$, 'every column of option B');
select is_empty($$
  values ('type'), ('content'), ('metadata'), ('embedding')
  except select column_name::text from information_schema.columns where table_schema = 'public' and table_name = 'memories'
$$, 'every column of option A');
select is_empty($$
  values ('query_embedding'), ('match_threshold'), ('match_count'), ('p_user_id')
  except
  select unnest(p.proargnames) from pg_proc p where p.oid::regproc::text = 'find_similar_patterns'
$$, 'find_similar_patterns takes the arguments it names');

-- "Test similarity search", as somebody signed in, who has no patterns yet
insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
set local role authenticated;
select set_config('request.jwt.claims', '{"sub": "a0000000-0000-4000-8000-000000000001"}', true),
  set_config('request.jwt.claim.sub', 'a0000000-0000-4000-8000-000000000001', true);
select lives_ok($$
  select * from find_similar_patterns(
    (select array_agg(0.1) from generate_series(1, 1536))::extensions.vector(1536), 0.7, 5, auth.uid())
$$, 'test similarity search: it answers');

select * from finish();
rollback;
