begin;
select plan(13);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000001', 'ben@example.com');
create function pg_temp.event(p_n int, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('event_id', 'e0000000-0000-4000-8000-' || lpad(p_n::text, 12, '0'),
    'session_id', '50000000-0000-4000-8000-000000000001', 'event_type', 'click', 'module', 'm', 'page', '/p') || p_more
$$;
create function pg_temp.ingest(p_events jsonb, p_sent_at timestamptz default null, p_user text default 'a') returns jsonb language sql as $$
  select public.mira_ingest_events((p_user || '0000000-0000-4000-8000-000000000001')::uuid, p_events, p_sent_at)
$$;
create function pg_temp.row(p_n int) returns public.mira_behavioral_events language sql as $$
  select * from public.mira_behavioral_events
  where event_id = ('e0000000-0000-4000-8000-' || lpad(p_n::text, 12, '0'))::uuid and user_id::text like 'a%'
$$;

select is(pg_temp.ingest(jsonb_build_array(pg_temp.event(1), pg_temp.event(2), pg_temp.event(1))),
  '{"accepted": 2, "duplicates": 1}', 'twice in a batch is once');
select is(pg_temp.ingest(jsonb_build_array(pg_temp.event(2), pg_temp.event(3))),
  '{"accepted": 1, "duplicates": 1}', 'twice in two batches is once');
select is(pg_temp.ingest(jsonb_build_array(pg_temp.event(1)), null, 'b'),
  '{"accepted": 1, "duplicates": 0}', 'another person''s event of the same id is another event');
select is((select last_seq from private.behaviour_heads where user_id::text like 'a%'),
  (select max(ingest_seq) from public.mira_behavioral_events where user_id::text like 'a%'), 'the head is the newest number');
select is((select events from private.behaviour_heads where user_id::text like 'a%'), 3::bigint, 'and counts what was accepted');
select is(pg_temp.ingest(jsonb_build_array(pg_temp.event(1))), '{"accepted": 0, "duplicates": 1}', 'nothing new is nothing');
select is((select events from private.behaviour_heads where user_id::text like 'a%'), 3::bigint, 'and moves no head');

select pg_temp.ingest(jsonb_build_array(pg_temp.event(4, jsonb_build_object('occurred_at', now() - interval '3 hours 10 seconds'))), now() - interval '3 hours');
select ok((pg_temp.row(4)).occurred_at between now() - interval '11 seconds' and now() - interval '9 seconds', 'a slow clock is put right');
select ok(not (pg_temp.row(4)).is_clock_suspect and (pg_temp.row(4)).clock_skew_ms between 10799000 and 10801000, 'and the correction kept');
select pg_temp.ingest(jsonb_build_array(pg_temp.event(5, jsonb_build_object('occurred_at', now() + interval '2 days'))), now() + interval '2 days');
select ok((pg_temp.row(5)).is_clock_suspect, 'more than a day is suspect');
select pg_temp.ingest(jsonb_build_array(pg_temp.event(6, jsonb_build_object('occurred_at', now() + interval '1 hour'))));
select ok((pg_temp.row(6)).occurred_at <= (pg_temp.row(6)).received_at and (pg_temp.row(6)).is_clock_suspect, 'nothing happens in the future');
select throws_ok($$select pg_temp.ingest(jsonb_build_array(pg_temp.event(7, '{"event_type": "teleport"}')))$$, '23514', null,
  'the table itself refuses an unknown kind');
select is((pg_temp.row(7)).id, null, 'and nothing of that batch stays');

select * from finish();
rollback;
