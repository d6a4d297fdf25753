-- Learning, a round: somebody is leased and read, what was found is committed, or the lease is gone.

create function private.begin_learning(p_user_id uuid, p_event_limit int, p_lease_seconds int) returns json
language plpgsql set search_path = '' as $$
declare
  -- digests count in milliseconds, events in microseconds
  v_grain constant interval := interval '1 millisecond';
  v_pause constant interval := interval '30 minutes' + 2 * interval '1 millisecond';
  v_read_limit constant int := 50000;
  v_session_limit constant int := 5000;
  v_user uuid;
  v_fence bigint := nextval('private.learner_fence');
  v_watermark bigint;
  v_upto bigint;
  v_head bigint;
  v_heard timestamptz;
  v_limit int := greatest(1, least(coalesce(p_event_limit, 2000), 10000));
  v_weight bigint;
  v_ranges jsonb;
  v_events json;
  v_digests json;
begin
  update private.learner_queue q
  set leased_until = clock_timestamp() + make_interval(secs => p_lease_seconds),
    queued_at = clock_timestamp(), fence = v_fence
  where q.user_id = (
    select c.user_id from private.learner_queue c
    where (p_user_id is null or c.user_id = p_user_id)
      and (c.leased_until is null or c.leased_until < clock_timestamp())
    order by c.queued_at
    for update skip locked
    limit 1)
  returning q.user_id into v_user;
  if v_user is null then
    return null;
  end if;
  insert into private.learner_state (user_id) values (v_user) on conflict (user_id) do nothing;
  select s.watermark into v_watermark from private.learner_state s where s.user_id = v_user;

  loop
    -- new events, in stretches without a pause; a stretch takes in the stored sessions it touches,
    -- and stretches that now overlap are one
    with fresh as materialized (
      select e.session_id, e.occurred_at, e.ingest_seq
      from public.mira_behavioral_events e
      where e.user_id = v_user and e.ingest_seq > v_watermark
      order by e.ingest_seq
      limit v_limit
    ), marked as (
      select f.session_id, f.occurred_at,
        sum((f.gap > v_pause)::int) over (partition by f.session_id order by f.occurred_at) as stretch
      from (
        select x.session_id, x.occurred_at, coalesce(x.occurred_at - lag(x.occurred_at)
          over (partition by x.session_id order by x.occurred_at), interval '0') as gap
        from fresh x) f
    ), touched as (
      select m.session_id, min(m.occurred_at) as a, max(m.occurred_at) as b, count(*) as events
      from marked m group by m.session_id, m.stretch
    ), widened as (
      select t.session_id, least(t.a, min(s.started_at)) as a, greatest(t.b, max(s.until_at)) as b,
        t.events + coalesce(sum(s.events), 0) as events
      from touched t
      left join private.learner_sessions s on s.user_id = v_user and s.session_id = t.session_id
        and s.until_at >= t.a - v_pause and s.started_at <= t.b + v_pause
      group by t.session_id, t.a, t.b, t.events
    ), joined as (
      select w.*, sum(w.apart::int) over (partition by w.session_id order by w.a, w.b) as part
      from (
        select y.*, coalesce(y.a > max(y.b) over (partition by y.session_id order by y.a, y.b
          rows between unbounded preceding and 1 preceding) + v_pause, false) as apart
        from widened y) w
    ), range as (
      select j.session_id, min(j.a) as a, max(j.b) as b, sum(least(j.events, v_session_limit)) as events
      from joined j group by j.session_id, j.part
    )
    select (select max(f.ingest_seq) from fresh f), coalesce(sum(r.events), 0),
      coalesce(jsonb_agg(jsonb_build_object('session_id', r.session_id, 'from', r.a, 'to', r.b)), '[]')
    into v_upto, v_weight, v_ranges
    from range r;
    exit when v_weight <= v_read_limit or v_limit = 1;
    v_limit := greatest(1, v_limit / 4);
  end loop;

  select json_agg(json_build_array(e.event_id, e.session_id, e.event_type, e.module, e.page, e.target,
    (extract(epoch from e.occurred_at) * 1000)::bigint,
    case when e.occurred_at = e.received_at then e.ingest_seq end,
    case when e.payload <> '{}' then jsonb_strip_nulls(jsonb_build_object(
      'label', left(e.payload ->> 'label', 100), 'x', e.payload -> 'x', 'y', e.payload -> 'y',
      'dead', e.payload -> 'dead', 'selection', e.payload -> 'selection', 'scroll', e.payload -> 'scroll',
      'field', left(e.payload ->> 'field', 200), 'changed', e.payload -> 'changed',
      'control', left(e.payload ->> 'control', 200),
      'choice', case when jsonb_typeof(e.payload -> 'choice') = 'string'
        then to_jsonb(left(e.payload ->> 'choice', 200)) else e.payload -> 'choice' end,
      'form', left(e.payload ->> 'form', 200), 'ok', e.payload -> 'ok')) end))
  into v_events
  from jsonb_to_recordset(v_ranges) as r (session_id uuid, "from" timestamptz, "to" timestamptz)
  cross join lateral (
    select * from public.mira_behavioral_events x
    where x.user_id = v_user and x.session_id = r.session_id
      and x.occurred_at between r."from" - v_grain and r."to" + v_grain
    order by x.occurred_at, x.ingest_seq
    limit v_session_limit) e;

  select h.last_seq, h.updated_at into v_head, v_heard from private.behaviour_heads h where h.user_id = v_user;
  if coalesce(v_upto, v_watermark) >= v_head then
    select json_agg(d.digest) into v_digests from (
      select s.digest from private.learner_sessions s
      where s.user_id = v_user and not exists (
        select from jsonb_to_recordset(v_ranges) as r (session_id uuid, "from" timestamptz, "to" timestamptz)
        where r.session_id = s.session_id and s.started_at <= r."to" + v_grain and s.until_at >= r."from" - v_grain)
      order by s.started_at desc, s.session_id desc
      limit 200) d;
  end if;
  return json_build_object('user_id', v_user, 'fence', v_fence, 'watermark', coalesce(v_upto, v_watermark),
    'heard_at', (extract(epoch from v_heard) * 1000)::bigint,
    'fresh', (select count(*) from public.mira_behavioral_events e
      where e.user_id = v_user and e.ingest_seq > v_watermark and e.ingest_seq <= v_upto),
    'caught_up', coalesce(v_upto, v_watermark) >= v_head, 'ranges', v_ranges,
    'next_model', (select s.next_model from private.learner_state s where s.user_id = v_user),
    'events', coalesce(v_events, '[]'), 'digests', coalesce(v_digests, '[]'));
end $$;
comment on function private.begin_learning(uuid, int, int) is
  'Leases one user with something new and reads what a round needs: the sessions the new events touch, and, on the last round, the digests of the others. Null when there is nothing to do.';

create function private.commit_learning(
  p_user_id uuid, p_fence bigint, p_watermark bigint, p_ranges jsonb, p_digests jsonb,
  p_patterns jsonb, p_contribution jsonb, p_next_model jsonb
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_result jsonb := '{"learned": {"struggle": 0, "preference": 0, "workflow_habit": 0}, "retired": 0}';
  v_before jsonb;
  v_more boolean;
  v_uncounted jsonb;
  v_dropped jsonb;
  v_counted jsonb := '[]';
begin
  -- ingestion's lock: no event of this user can arrive between the last look at the head and the end
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 20260101));
  perform from private.learner_queue q where q.user_id = p_user_id and q.fence = p_fence for update;
  if not found then
    raise exception using errcode = 'PT409', message = 'lease_lost',
      detail = 'Another learner has taken this user over.';
  end if;

  with replaced as (
    delete from private.learner_sessions s
    using jsonb_to_recordset(p_ranges) as r (session_id uuid, "from" timestamptz, "to" timestamptz)
    where s.user_id = p_user_id and s.session_id = r.session_id
      and s.started_at <= r."to" + interval '1 millisecond' and s.until_at >= r."from" - interval '1 millisecond'
    returning s.counted, s.digest)
  select coalesce(jsonb_agg(r.digest -> 'tokens') filter (where r.counted), '[]') into v_uncounted from replaced r;
  insert into private.learner_sessions (user_id, session_id, started_at, until_at, events, digest)
  select p_user_id, d.session_id, to_timestamp(d.start / 1000.0),
    -- a session too long to read whole still covers all its time
    case when d.events >= 5000 then greatest(to_timestamp(d."end" / 1000.0), (
      select max(r."to") from jsonb_to_recordset(p_ranges) as r (session_id uuid, "from" timestamptz, "to" timestamptz)
      where r.session_id = d.session_id and r."from" <= to_timestamp((d."end" + 1) / 1000.0)
        and r."to" >= to_timestamp((d.start - 1) / 1000.0)))
    else to_timestamp(d."end" / 1000.0) end,
    d.events, v.value
  from jsonb_array_elements(p_digests) v
  cross join lateral jsonb_to_record(v.value) as d (session_id uuid, start bigint, "end" bigint, events int);

  if p_patterns is not null then
    v_result := private.merge_patterns(p_user_id, p_patterns);
    with dropped as (
      delete from private.learner_sessions s
      where s.user_id = p_user_id and s.started_at < (
        select k.started_at from private.learner_sessions k
        where k.user_id = p_user_id order by k.started_at desc offset 399 limit 1)
      returning s.counted, s.digest)
    select coalesce(jsonb_agg(d.digest -> 'tokens') filter (where d.counted), '[]') into v_dropped from dropped d;
    v_uncounted := v_uncounted || v_dropped;
    with fresh as (
      update private.learner_sessions s set counted = true
      where s.user_id = p_user_id and not s.counted
      returning s.digest)
    select coalesce(jsonb_agg(f.digest -> 'tokens'), '[]') into v_counted from fresh f;
    select s.contribution into v_before from private.learner_state s where s.user_id = p_user_id;
    if v_before is distinct from p_contribution then
      perform private.change_population(v_before, p_contribution);
    end if;
  end if;
  if v_uncounted <> v_counted then
    perform private.count_next(p_user_id, v_uncounted, v_counted);
  end if;
  update private.learner_state s
  set watermark = p_watermark, contribution = coalesce(p_contribution, s.contribution),
    next_model = coalesce(p_next_model, s.next_model),
    learned_at = clock_timestamp()
  where s.user_id = p_user_id;

  select h.last_seq > p_watermark or p_patterns is null into v_more
  from private.behaviour_heads h where h.user_id = p_user_id;
  if v_more then
    update private.learner_queue q set leased_until = null where q.user_id = p_user_id;
  else
    delete from private.learner_queue q where q.user_id = p_user_id;
  end if;
  return v_result || jsonb_build_object('more', coalesce(v_more, false));
end $$;
comment on function private.commit_learning(uuid, bigint, bigint, jsonb, jsonb, jsonb, jsonb, jsonb) is
  'Takes the whole result of a round in one transaction, if the lease still holds. Without patterns the round only caught up.';

create function private.has_learning(p_user_id uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from private.learner_queue q
    where (p_user_id is null or q.user_id = p_user_id)
      and (p_user_id is not null or q.leased_until is null or q.leased_until < clock_timestamp()))
$$;
comment on function private.has_learning(uuid) is 'Whether anybody (or the user) has unlearned events.';

create function private.reset_learning(p_user_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_uncounted jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_user_id::text, 20260101));
  with gone as (
    delete from private.learner_sessions s where s.user_id = p_user_id
    returning s.counted, s.digest)
  select coalesce(jsonb_agg(g.digest -> 'tokens') filter (where g.counted), '[]') into v_uncounted from gone g;
  perform private.count_next(p_user_id, v_uncounted, '[]');
  update private.learner_state s set watermark = 0 where s.user_id = p_user_id;
  insert into private.learner_queue (user_id)
  select h.user_id from private.behaviour_heads h where h.user_id = p_user_id
  on conflict (user_id) do update set leased_until = null, fence = nextval('private.learner_fence');
end $$;
comment on function private.reset_learning(uuid) is
  'Forgets how far a user was learned: the next rounds read everything again. For a new algorithm, or to check that both ways give the same.';

-- faces --------------------------------------------------------------------------------------------

create function public.mira_begin_learning(
  p_user_id uuid default null, p_event_limit int default 2000, p_lease_seconds int default 60
) returns json language sql set search_path = '' as $$
  select private.begin_learning(p_user_id, p_event_limit, p_lease_seconds)
$$;
comment on function public.mira_begin_learning(uuid, int, int) is 'Server only. As private.begin_learning.';

create function public.mira_commit_learning(
  p_user_id uuid, p_fence bigint, p_watermark bigint, p_ranges jsonb, p_digests jsonb,
  p_patterns jsonb default null, p_contribution jsonb default null, p_next_model jsonb default null
) returns jsonb language sql set search_path = '' as $$
  select private.commit_learning(p_user_id, p_fence, p_watermark, p_ranges, p_digests, p_patterns, p_contribution,
    p_next_model)
$$;
comment on function public.mira_commit_learning(uuid, bigint, bigint, jsonb, jsonb, jsonb, jsonb, jsonb) is
  'Server only. As private.commit_learning.';

create function public.mira_has_learning(p_user_id uuid default null) returns boolean
language sql stable set search_path = '' as $$ select private.has_learning(p_user_id) $$;
comment on function public.mira_has_learning(uuid) is 'Server only. As private.has_learning.';

create function public.mira_reset_learning(p_user_id uuid) returns void
language sql set search_path = '' as $$ select private.reset_learning(p_user_id) $$;
comment on function public.mira_reset_learning(uuid) is 'Server only. As private.reset_learning.';

select private.open_to_server('{
  begin_learning,commit_learning,has_learning,reset_learning,mira_begin_learning,mira_commit_learning,
  mira_has_learning,mira_reset_learning}');
