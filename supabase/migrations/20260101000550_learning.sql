-- Learning: what was noticed about a person, with evidence, and how it stays true.
--
-- The statistics are computed outside (functions-shared/behaviour, pure and deterministic). The
-- database does what only a database can: it says who has something new, hands out a user to one
-- learner at a time, keeps a digest per session so that old events are never read again, and takes
-- the whole result of a round in one transaction: watermark, digests, patterns and the user's part
-- in everybody's counts move together or not at all. A learner that dies leaves nothing half done;
-- a learner that comes back late finds its fence gone and is refused.
--
-- A learned pattern is never overwritten by another one and never deleted by the learner: what no
-- longer holds is retired (`valid_to`), what replaces it points back (`supersedes_id`). What a person
-- dismissed stays dismissed, what they pinned stays.
--
-- Nothing new costs nothing: `private.learner_queue` holds exactly the users with unlearned events,
-- filled by a trigger on their heads, under the same per-user lock that ingestion takes.

create table public.mira_learned_patterns (
  id uuid primary key default gen_random_uuid(),
  pattern_type text not null check (pattern_type in ('struggle', 'preference', 'workflow_habit')),
  user_id uuid not null references auth.users (id) on delete cascade,
  module text,
  confidence double precision not null default 0.0 check (confidence between 0 and 1),
  frequency int not null default 1 check (frequency >= 0),
  last_detected_at timestamptz not null default now(),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  status text not null default 'active' check (status in ('active', 'pinned', 'dismissed', 'retired')),
  pattern_key text not null check (length(pattern_key) between 1 and 400),
  variant text not null default '',
  evidence uuid[] not null default '{}',
  algorithm text not null default '',
  valid_from timestamptz not null default now(),
  valid_to timestamptz,
  supersedes_id uuid references public.mira_learned_patterns (id) on delete set null,
  observed_confidence double precision not null default 0 check (observed_confidence between 0 and 1),
  run_count int not null default 0 check (run_count >= 0),
  run_successes double precision not null default 0 check (run_successes between 0 and run_count),
  workflow_id uuid,
  behavior_pattern_id uuid,
  constraint mira_learned_patterns_retired_has_an_end_check check ((status = 'retired') = (valid_to is not null))
);
comment on table public.mira_learned_patterns is
  'What was noticed about a person: struggles, preferences, workflow habits, with statistics and evidence. Written by learn-patterns.';
comment on column public.mira_learned_patterns.confidence is
  'Wilson lower bound of the share that shows it; for a promoted habit also moved by how its runs end.';
comment on column public.mira_learned_patterns.frequency is 'Sessions that show it, within the window of the newest 200.';
comment on column public.mira_learned_patterns.last_detected_at is 'When the newest evidence happened.';
comment on column public.mira_learned_patterns.metadata is
  'What it says in detail, by type: kind, page, target; control, value, share; sequence, steps, optional; and the counts k, n behind it.';
comment on column public.mira_learned_patterns.status is
  'active; pinned and dismissed are the person''s word and the learner keeps to it; retired: no longer holds.';
comment on column public.mira_learned_patterns.pattern_key is 'What it is about: unique among the current patterns of a user and type.';
comment on column public.mira_learned_patterns.variant is 'What it says about its key; a change supersedes the row.';
comment on column public.mira_learned_patterns.evidence is 'event_id of at most five events that show it, newest first.';
comment on column public.mira_learned_patterns.algorithm is 'Version of the learner that last said so.';
comment on column public.mira_learned_patterns.valid_to is 'When it stopped holding; null while it does.';
comment on column public.mira_learned_patterns.supersedes_id is 'The retired pattern this one took the place of.';
comment on column public.mira_learned_patterns.observed_confidence is 'Confidence from behaviour alone.';
comment on column public.mira_learned_patterns.run_successes is 'Runs of the promoted workflow that ended well; a partly good one counts a half.';
comment on column public.mira_learned_patterns.workflow_id is 'The draft workflow a habit was promoted to.';
comment on column public.mira_learned_patterns.behavior_pattern_id is 'The behaviour pattern a habit was promoted to.';

create unique index mira_learned_patterns_current_idx
  on public.mira_learned_patterns (user_id, pattern_type, pattern_key) where valid_to is null;
create index idx_mira_patterns_user on public.mira_learned_patterns (user_id, last_detected_at desc);
create index mira_learned_patterns_supersedes_id_idx
  on public.mira_learned_patterns (supersedes_id) where supersedes_id is not null;
create index mira_learned_patterns_workflow_id_idx
  on public.mira_learned_patterns (workflow_id) where workflow_id is not null;
create index mira_learned_patterns_struggles_idx
  on public.mira_learned_patterns (module) where pattern_type = 'struggle' and status in ('active', 'pinned');
create trigger mira_learned_patterns_updated_at before update on public.mira_learned_patterns
  for each row execute function private.set_updated_at();

alter table public.mira_learned_patterns enable row level security;
revoke all on public.mira_learned_patterns from public, anon, authenticated;
grant select on public.mira_learned_patterns to authenticated;
grant select, insert, update, delete on public.mira_learned_patterns to service_role;
create policy mira_learned_patterns_select_own on public.mira_learned_patterns
  for select to authenticated using (user_id = (select auth.uid()));
comment on policy mira_learned_patterns_select_own on public.mira_learned_patterns is
  'Users can view their own patterns.';

-- the learner's own tables -----------------------------------------------------------------------

create table private.learner_state (
  user_id uuid primary key references auth.users (id) on delete cascade,
  watermark bigint not null default 0,
  contribution jsonb not null default '{}',
  next_model jsonb,
  learned_at timestamptz
);
comment on table private.learner_state is 'How far each user was learned, and their part in everybody''s counts.';
comment on column private.learner_state.watermark is 'ingest_seq of the newest event that was learned.';
comment on column private.learner_state.contribution is
  'Counts by unit, as added to private.learner_population: {unit: [n, k, f]}.';
comment on column private.learner_state.next_model is
  'Trust in the experts that predict the next action, and what it was learned from (functions-shared/behaviour/next_action.ts).';

create table private.learner_queue (
  user_id uuid primary key references auth.users (id) on delete cascade,
  queued_at timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  fence bigint not null default 0
);
comment on table private.learner_queue is 'Users with unlearned events, and who is at it.';
comment on column private.learner_queue.fence is 'Number of the newest lease; results under an older one are refused.';
create index learner_queue_queued_at_idx on private.learner_queue (queued_at);
create sequence private.learner_fence;

create table private.learner_sessions (
  user_id uuid not null references private.learner_state (user_id) on delete cascade,
  session_id uuid not null,
  started_at timestamptz not null,
  until_at timestamptz not null,
  events int not null,
  digest jsonb not null,
  counted boolean not null default false,
  primary key (user_id, session_id, started_at)
);
comment on table private.learner_sessions is
  'One row per session without a pause of 30 minutes: all the learner needs of it. The newest 400 of a user are kept.';
comment on column private.learner_sessions.until_at is 'Its last event; later than the digest says when the session was too long to read.';
comment on column private.learner_sessions.counted is 'Whether its actions are in everybody''s counts of what comes next (next_population).';
create index learner_sessions_started_at_idx on private.learner_sessions (user_id, started_at desc);

create table private.learner_population (
  unit text primary key check (length(unit) <= 700),
  users int not null default 0,
  n int not null default 0,
  k int not null default 0,
  f int not null default 0
) with (fillfactor = 70);
comment on table private.learner_population is
  'Counts over all users, by unit: what is usual. Kept exact by adding each user''s change.';
comment on column private.learner_population.n is 'Sessions that reached the page, clicked the target, used the control.';
comment on column private.learner_population.k is 'Sessions with the struggle, a click run, the value.';
comment on column private.learner_population.f is 'Sessions in which trouble followed the click run.';

do $$
declare
  v_table text;
begin
  foreach v_table in array '{learner_state,learner_queue,learner_sessions,learner_population}'::text[] loop
    execute format('alter table private.%I enable row level security', v_table);
    execute format('revoke all on private.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on private.%I to service_role', v_table);
    execute format('create policy %I on private.%I for all to service_role using (true) with check (true)',
      v_table || '_all_service', v_table);
  end loop;
end $$;
revoke all on sequence private.learner_fence from public, anon, authenticated;
grant usage on sequence private.learner_fence to service_role;

-- whoever gets events gets into the queue, in the transaction that stores them
create function private.queue_learning() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into private.learner_queue (user_id) values (new.user_id) on conflict (user_id) do nothing;
  return null;
end $$;
comment on function private.queue_learning() is 'Trigger: a user whose head moved has something to learn from.';
create trigger behaviour_heads_queue_learning after insert or update of last_seq on private.behaviour_heads
  for each row execute function private.queue_learning();

-- what everybody does ------------------------------------------------------------------------------

create function private.change_population(p_before jsonb, p_after jsonb) returns void
language sql set search_path = '' as $$
  insert into private.learner_population as p (unit, users, n, k, f)
  select c.key, sum(c.sign), sum(c.sign * (c.value ->> 0)::int), sum(c.sign * (c.value ->> 1)::int),
    sum(c.sign * (c.value ->> 2)::int)
  from (
    select a.key, a.value, 1 as sign from jsonb_each(p_after) a
    union all
    select b.key, b.value, -1 from jsonb_each(p_before) b
  ) c
  group by c.key
  having sum(c.sign) <> 0 or sum(c.sign * (c.value ->> 0)::int) <> 0
    or sum(c.sign * (c.value ->> 1)::int) <> 0 or sum(c.sign * (c.value ->> 2)::int) <> 0
  order by c.key  -- one order of locks for all learners
  on conflict (unit) do update
    set users = p.users + excluded.users, n = p.n + excluded.n, k = p.k + excluded.k, f = p.f + excluded.f
$$;
comment on function private.change_population(jsonb, jsonb) is
  'Replaces one user''s part in everybody''s counts: {unit: [n, k, f]} before and after.';

create function private.leave_population() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_uncounted jsonb;
begin
  perform private.change_population(old.contribution, '{}');
  with gone as (
    update private.learner_sessions s set counted = false
    where s.user_id = old.user_id and s.counted
    returning s.digest)
  select coalesce(jsonb_agg(g.digest -> 'tokens'), '[]') into v_uncounted from gone g;
  perform private.count_next(old.user_id, v_uncounted, '[]');
  return old;
end $$;
comment on function private.leave_population() is
  'Trigger: a user who is deleted takes their part out of everybody''s counts. Definer: deletions come from auth.';
-- before: the sessions, which go with the state, are still there to be taken out
create trigger learner_state_leave_population before delete on private.learner_state
  for each row execute function private.leave_population();

create function private.read_population(p_user_id uuid, p_units text[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(p.unit, jsonb_build_array(
    p.users - (o.own is not null)::int,
    p.n - coalesce((o.own ->> 0)::int, 0),
    p.k - coalesce((o.own ->> 1)::int, 0),
    p.f - coalesce((o.own ->> 2)::int, 0))), '{}')
  from private.learner_population p
  left join private.learner_state s on s.user_id = p_user_id
  cross join lateral (select s.contribution -> p.unit as own) o
  where p.unit = any (p_units)
$$;
comment on function private.read_population(uuid, text[]) is
  'Counts of everybody but the user: {unit: [users, n, k, f]}.';

-- a round of learning ------------------------------------------------------------------------------

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

create function private.habit_confidence(p_observed double precision, p_runs int, p_successes double precision)
returns double precision
language sql immutable set search_path = '' as $$
  -- what was observed weighs as much as four runs
  select (4 * p_observed + p_successes) / (4 + p_runs)
$$;
comment on function private.habit_confidence(double precision, int, double precision) is
  'Confidence of a habit from behaviour and from how the runs of its workflow ended.';

create function private.likeness(p_a jsonb, p_b jsonb) returns double precision
language sql immutable set search_path = '' as $$
  select coalesce(count(*) filter (where u.a and u.b)::float8 / nullif(count(*), 0), 0)
  from (
    select v.step, bool_or(v.a) as a, bool_or(v.b) as b
    from (
      select x.value as step, true as a, false as b from jsonb_array_elements_text(p_a) x
      union all
      select y.value, false, true from jsonb_array_elements_text(p_b) y) v
    group by v.step) u
$$;
comment on function private.likeness(jsonb, jsonb) is 'Shared part of two lists of actions (Jaccard), 0 to 1.';

create function private.merge_patterns(p_user_id uuid, p_patterns jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := clock_timestamp();
  v_gone uuid[];
  v_learned jsonb;
begin
  -- what no longer holds, or says something else now; a person's pin or dismissal stands
  with gone as (
    update public.mira_learned_patterns t set status = 'retired', valid_to = v_now
    where t.user_id = p_user_id and t.valid_to is null and t.status = 'active' and not exists (
      select from jsonb_to_recordset(p_patterns) as p (pattern_type text, key text, variant text)
      where p.pattern_type = t.pattern_type and p.key = t.pattern_key and p.variant = t.variant)
    returning t.id)
  select coalesce(array_agg(g.id), '{}') into v_gone from gone g;

  with pattern as (
    select p.* from jsonb_to_recordset(p_patterns) as p (pattern_type text, key text, variant text,
      module text, confidence double precision, frequency int, last_detected_at bigint, evidence uuid[],
      metadata jsonb)
  ), known as (
    update public.mira_learned_patterns t
    set module = p.module, frequency = p.frequency, observed_confidence = p.confidence,
      confidence = private.habit_confidence(p.confidence, t.run_count, t.run_successes),
      last_detected_at = to_timestamp(p.last_detected_at / 1000.0), evidence = p.evidence,
      metadata = p.metadata, algorithm = p.metadata ->> 'algorithm'
    from pattern p
    where t.user_id = p_user_id and t.valid_to is null and t.status in ('active', 'pinned')
      and t.pattern_type = p.pattern_type and t.pattern_key = p.key and t.variant = p.variant
      and (t.module, t.frequency, t.observed_confidence, t.evidence, t.metadata)
        is distinct from (p.module, p.frequency, p.confidence, p.evidence, p.metadata)
    returning t.pattern_type
  ), added as (
    insert into public.mira_learned_patterns (user_id, pattern_type, pattern_key, variant, module,
      observed_confidence, confidence, frequency, last_detected_at, evidence, metadata, algorithm,
      valid_from, supersedes_id, workflow_id, behavior_pattern_id, run_count, run_successes)
    select p_user_id, p.pattern_type, p.key, p.variant, p.module, p.confidence,
      private.habit_confidence(p.confidence, coalesce(o.run_count, 0), coalesce(o.run_successes, 0)),
      p.frequency, to_timestamp(p.last_detected_at / 1000.0), p.evidence, p.metadata,
      p.metadata ->> 'algorithm', v_now, o.id, o.workflow_id, o.behavior_pattern_id,
      coalesce(o.run_count, 0), coalesce(o.run_successes, 0)
    from pattern p
    left join lateral (
      -- the same thing, back again or saying something else; or a habit that went over into this one
      select r.* from public.mira_learned_patterns r
      where r.user_id = p_user_id and r.pattern_type = p.pattern_type and r.status = 'retired'
        and (r.pattern_key = p.key or r.id = any (v_gone) and r.pattern_type = 'workflow_habit'
          and private.likeness(r.metadata -> 'sequence', p.metadata -> 'sequence') >= 0.6)
      order by r.pattern_key = p.key desc, r.valid_to desc, r.id
      limit 1) o on true
    where not exists (
      select from public.mira_learned_patterns t
      where t.user_id = p_user_id and t.valid_to is null and t.pattern_type = p.pattern_type
        and (t.pattern_key = p.key or t.status = 'dismissed' and t.pattern_type = 'workflow_habit'
          and private.likeness(t.metadata -> 'sequence', p.metadata -> 'sequence') >= 0.8))
    returning pattern_type
  )
  select jsonb_build_object('struggle', 0, 'preference', 0, 'workflow_habit', 0)
    || coalesce(jsonb_object_agg(c.pattern_type, c.n), '{}')
  into v_learned
  from (
    select x.pattern_type, count(*) as n
    from (select k.pattern_type from known k union all select a.pattern_type from added a) x
    group by x.pattern_type) c;
  return jsonb_build_object('learned', v_learned, 'retired', cardinality(v_gone));
end $$;
comment on function private.merge_patterns(uuid, jsonb) is
  'Makes the current patterns of a user those given: changes, adds, retires; never deletes. Touches no row that stays as it is.';

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

-- what readers ask ---------------------------------------------------------------------------------

create function private.rank_struggles(p_module text, p_limit int)
returns table (module text, kind text, page text, target text, users bigint, sessions bigint, confidence double precision)
language sql stable set search_path = '' as $$
  select t.module, t.metadata ->> 'kind', t.metadata ->> 'page', t.metadata ->> 'target',
    count(distinct t.user_id), sum(t.frequency), avg(t.confidence)
  from public.mira_learned_patterns t
  where t.pattern_type = 'struggle' and t.status in ('active', 'pinned')
    and (p_module is null or t.module = p_module)
  group by grouping sets (
    (t.module), (t.module, t.metadata ->> 'kind', t.metadata ->> 'page', t.metadata ->> 'target'))
  having count(distinct t.user_id) >= 5
  order by count(distinct t.user_id) desc, sum(t.frequency) desc, 1, 2 nulls first, 3, 4
  limit least(greatest(coalesce(p_limit, 50), 1), 500)
$$;
comment on function private.rank_struggles(text, int) is
  'Where people struggle, by module and by place; a group of fewer than 5 people is not shown (k-anonymity).';

create function private.choose_pattern_status(p_pattern_id uuid, p_status text) returns public.mira_learned_patterns
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.acting_user();
  v_row public.mira_learned_patterns;
begin
  if p_status is null or p_status not in ('active', 'pinned', 'dismissed') then
    raise exception using errcode = 'PT422', message = 'status_invalid', hint = '/status',
      detail = 'A person may make a pattern active, pinned or dismissed.';
  end if;
  update public.mira_learned_patterns t set status = p_status
  where t.id = p_pattern_id and t.valid_to is null and (t.user_id = v_user or private.is_service())
  returning t.* into v_row;
  if v_row.id is null then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No current pattern of yours has this id.';
  end if;
  return v_row;
end $$;
comment on function private.choose_pattern_status(uuid, text) is
  'Body of choose_pattern_status. Definer: clients hold no UPDATE on patterns; the owner is checked here.';

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

create function public.mira_read_population(p_user_id uuid, p_units text[]) returns jsonb
language sql stable set search_path = '' as $$ select private.read_population(p_user_id, p_units) $$;
comment on function public.mira_read_population(uuid, text[]) is 'Server only. As private.read_population.';

create function public.mira_has_learning(p_user_id uuid default null) returns boolean
language sql stable set search_path = '' as $$ select private.has_learning(p_user_id) $$;
comment on function public.mira_has_learning(uuid) is 'Server only. As private.has_learning.';

create function public.mira_reset_learning(p_user_id uuid) returns void
language sql set search_path = '' as $$ select private.reset_learning(p_user_id) $$;
comment on function public.mira_reset_learning(uuid) is 'Server only. As private.reset_learning.';

create function public.mira_rank_struggles(p_module text default null, p_limit int default 50)
returns table (module text, kind text, page text, target text, users bigint, sessions bigint, confidence double precision)
language sql stable set search_path = '' as $$ select * from private.rank_struggles(p_module, p_limit) $$;
comment on function public.mira_rank_struggles(text, int) is 'Server only. As private.rank_struggles.';

create function public.choose_pattern_status(p_pattern_id uuid, p_status text) returns public.mira_learned_patterns
language sql set search_path = '' as $$ select private.choose_pattern_status(p_pattern_id, p_status) $$;
comment on function public.choose_pattern_status(uuid, text) is
  'Your word on one of your patterns: active, pinned (keep it) or dismissed (do not say it again).';

select private.open_to_server('{
  queue_learning,change_population,leave_population,read_population,begin_learning,habit_confidence,
  likeness,merge_patterns,commit_learning,has_learning,reset_learning,rank_struggles,
  choose_pattern_status,mira_begin_learning,mira_commit_learning,mira_read_population,
  mira_has_learning,mira_reset_learning,mira_rank_struggles}');
grant execute on function public.choose_pattern_status(uuid, text), private.choose_pattern_status(uuid, text)
  to authenticated;
