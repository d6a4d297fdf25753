begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(14);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'), ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
set local role service_role;

create function pg_temp.event(p_n int, p_minute int) returns jsonb language sql as $$
  select jsonb_build_object('event_id', md5(p_n::text)::uuid, 'session_id', 'c0000000-0000-4000-8000-000000000001',
    'event_type', 'click', 'module', 'crm', 'page', '/leads', 'target', 't' || p_n,
    'occurred_at', '2026-03-02T09:00:00.0007Z'::timestamptz + make_interval(mins => p_minute))
$$;
create function pg_temp.send(variadic p_events jsonb[]) returns void language sql as $$
  select mira_ingest_events('a0000000-0000-4000-8000-000000000001', to_jsonb(p_events))
$$;
create temporary table round (n int, j jsonb) on commit drop;
create function pg_temp.begin_round(p_n int) returns void language sql as $$
  insert into round select p_n, mira_begin_learning()::jsonb
$$;
create function pg_temp.commit_round(p_n int, p_digests jsonb, p_contribution jsonb default '{}') returns jsonb language sql as $$
  select mira_commit_learning((j ->> 'user_id')::uuid, (j ->> 'fence')::bigint, (j ->> 'watermark')::bigint, j -> 'ranges',
    p_digests, '[]', p_contribution) from round where n = p_n
$$;
-- digests count in milliseconds, rounded; events happen in microseconds
create function pg_temp.digest(p_from int, p_to int) returns jsonb language sql as $$
  select jsonb_build_array(jsonb_build_object('session_id', 'c0000000-0000-4000-8000-000000000001', 'events', 2, 'tokens', '[]'::jsonb,
    'start', extract(epoch from '2026-03-02T09:00:00Z'::timestamptz)::bigint * 1000 + p_from * 60000 + 1,
    'end', extract(epoch from '2026-03-02T09:00:00Z'::timestamptz)::bigint * 1000 + p_to * 60000 + 1))
$$;

select is(mira_begin_learning()::text, null, 'with nothing new there is nothing to begin');
select pg_temp.send(pg_temp.event(1, 0), pg_temp.event(2, 5));
select ok(mira_has_learning(), 'new events queue their user');
select pg_temp.begin_round(1);
select is((select jsonb_array_length(j -> 'events') from round), 2, 'a round reads the new events');
select is((select j ->> 'caught_up' from round), 'true', 'and knows that it has seen them all');
select is(mira_begin_learning()::text, null, 'a leased user is not handed out twice');
select is(pg_temp.commit_round(1, pg_temp.digest(0, 5), '{"p\tcrm\t/leads": [1, 0, 0]}') ->> 'more', 'false', 'the round is taken');
select throws_ok('select pg_temp.commit_round(1, ''[]'')', 'PT409', 'lease_lost', 'and cannot be taken twice');
select ok(not mira_has_learning(), 'nothing is left to learn');
select is((select row(n, users)::text from private.learner_population), '(1,1)', 'the user is part of everybody');

-- 20 minutes after its end: the same session; two hours later: another one
select pg_temp.send(pg_temp.event(3, 25), pg_temp.event(4, 145));
select pg_temp.begin_round(2);
select is((select string_agg((e.value ->> 5), ',' order by e.value ->> 5) from round, jsonb_array_elements(j -> 'events') e where n = 2),
  't1,t2,t3,t4', 'a session is read whole when something is added to it');
select is((select jsonb_array_length(j -> 'ranges') from round where n = 2), 2, 'a pause of 30 minutes divides sessions');
select pg_temp.send(pg_temp.event(5, 150));
select is(pg_temp.commit_round(2, pg_temp.digest(0, 25) || pg_temp.digest(145, 145), '{"p\tcrm\t/leads": [2, 0, 0]}') ->> 'more', 'true',
  'events that came meanwhile are the next round''s');
select is((select row(n, users)::text from private.learner_population), '(2,1)', 'counts are replaced, not added twice');

set local role postgres;
delete from auth.users where id = 'a0000000-0000-4000-8000-000000000001';
select is((select row(n, users)::text from private.learner_population), '(0,0)', 'who leaves takes their part along');

select * from finish();
rollback;
