-- Behaviour: what people did, exactly once.
--
-- `mira_behavioral_events` is the only way in for observations, and `private.ingest_events` is the
-- only writer: clients hold no INSERT grant, so validation, redaction and rate limits cannot be
-- walked around. An event's primary key is made from its owner and the id its client chose; a batch
-- that is sent twice, even at the same moment, therefore lands once, and one user's ids can never
-- collide with another's.
--
-- Learners follow `ingest_seq`, a number per user that grows in commit order: a transaction-level
-- advisory lock per user makes the order of numbers the order of commits, so a watermark can never
-- step over a row that was still in flight. It never follows a client's clock.
--
-- Client clocks are corrected by the difference between `sent_at` and the moment of arrival;
-- differences under two seconds are network, not skew, and are left alone. Beyond 24 hours the
-- correction is still made but flagged.

create table public.mira_behavioral_events (
  id uuid primary key,
  user_id uuid not null references auth.users (id) on delete cascade,
  event_id uuid not null,
  session_id uuid not null,
  event_type text not null check (event_type in
    ('navigation', 'click', 'input', 'form_submit', 'error', 'page_leave', 'custom')),
  module text not null check (length(module) between 1 and 100),
  page text not null check (length(page) between 1 and 2000),
  target text check (length(target) between 1 and 500),
  payload jsonb not null default '{}'
    check (jsonb_typeof(payload) = 'object' and pg_column_size(payload) <= 16384),
  occurred_at timestamptz not null,
  received_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  clock_skew_ms bigint,
  is_clock_suspect boolean not null default false,
  ingest_seq bigint not null
);
comment on table public.mira_behavioral_events is
  'What people did in the app, one row per event, exactly once per (user_id, event_id). Written by track-event only.';
comment on column public.mira_behavioral_events.id is
  'First 16 bytes of sha256(user_id, event_id): unique exactly when the pair is.';
comment on column public.mira_behavioral_events.event_id is 'Chosen by the client; retries repeat it.';
comment on column public.mira_behavioral_events.occurred_at is
  'When it happened, by the client''s clock corrected for skew; never later than received_at.';
comment on column public.mira_behavioral_events.clock_skew_ms is
  'Correction that was added to the client''s time, in ms; null when none was needed or possible.';
comment on column public.mira_behavioral_events.is_clock_suspect is
  'The client''s clock was more than 24 hours off, or ahead of ours without a sent_at.';
comment on column public.mira_behavioral_events.ingest_seq is
  'Grows per user in commit order; what learners follow.';

create index idx_mira_events_user on public.mira_behavioral_events (user_id, ingest_seq);
create index idx_mira_events_session on public.mira_behavioral_events (session_id, occurred_at);
-- for retention. Rows arrive in time order, but new ones fill the pages that old ones left: a block-range
-- index then sends every night's delete through all that is kept, to find one day
-- (the condition keeps it for retention, which names it: a list by time would walk everybody's events)
create index idx_mira_events_created on public.mira_behavioral_events (created_at) where created_at > '-infinity';

alter table public.mira_behavioral_events enable row level security;
revoke all on public.mira_behavioral_events from public, anon, authenticated;
grant select on public.mira_behavioral_events to authenticated;
grant select, insert, update, delete on public.mira_behavioral_events to service_role;
create policy mira_behavioral_events_select_own on public.mira_behavioral_events
  for select to authenticated using (user_id = (select auth.uid()));
comment on policy mira_behavioral_events_select_own on public.mira_behavioral_events is
  'Users can view their own events.';

create table private.behaviour_heads (
  user_id uuid primary key references auth.users (id) on delete cascade,
  last_seq bigint not null,
  events bigint not null,
  updated_at timestamptz not null default now()
) with (fillfactor = 70);
comment on table private.behaviour_heads is
  'The newest ingest_seq of each user: where a learner sees at once whether there is anything new.';
comment on column private.behaviour_heads.events is 'Events ever accepted from the user.';

alter table private.behaviour_heads enable row level security;
revoke all on private.behaviour_heads from public, anon, authenticated;
grant select, insert, update, delete on private.behaviour_heads to service_role;
create policy behaviour_heads_all_service on private.behaviour_heads
  for all to service_role using (true) with check (true);

create function private.ingest_events(p_user_id uuid, p_events jsonb, p_sent_at timestamptz)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := pg_catalog.clock_timestamp();
  v_skew interval := case
    when abs(extract(epoch from v_now - p_sent_at)) >= 2 then v_now - p_sent_at end;
  v_far boolean := coalesce(abs(extract(epoch from v_skew)) > 86400, false);
  v_head bigint;
  v_new integer;
begin
  -- order of numbers = order of commits, and concurrent copies of a batch wait instead of deadlocking
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_user_id::text, 20260101));
  select h.last_seq into v_head from private.behaviour_heads h where h.user_id = p_user_id;

  with event as (
    select distinct on (e.event_id) e.*,
      pg_catalog.encode(pg_catalog.substring(pg_catalog.sha256(
        pg_catalog.uuid_send(p_user_id) || pg_catalog.uuid_send(e.event_id)), 1, 16), 'hex')::uuid as id
    from rows from (pg_catalog.jsonb_to_recordset(p_events) as (
      event_id uuid, session_id uuid, event_type text, module text, page text, target text,
      payload jsonb, occurred_at timestamptz)
    ) with ordinality as e (
      event_id, session_id, event_type, module, page, target, payload, occurred_at, n)
    order by e.event_id, e.n
  ), landed as (
    insert into public.mira_behavioral_events as t (id, user_id, event_id, session_id, event_type,
      module, page, target, payload, occurred_at, received_at, created_at, clock_skew_ms,
      is_clock_suspect, ingest_seq)
    select e.id, p_user_id, e.event_id, e.session_id, e.event_type, e.module, e.page, e.target,
      coalesce(e.payload, '{}'),
      least(coalesce(e.occurred_at + coalesce(v_skew, interval '0'), v_now), v_now), v_now, v_now,
      case when e.occurred_at is not null then (extract(epoch from v_skew) * 1000)::bigint end,
      v_far or coalesce(p_sent_at is null and e.occurred_at > v_now + interval '5 minutes', false),
      coalesce(v_head, 0) + row_number() over (order by e.n)
    from event e
    order by e.id
    on conflict (id) do nothing
    returning t.ingest_seq
  ), head as (
    insert into private.behaviour_heads as h (user_id, last_seq, events, updated_at)
    select p_user_id, max(l.ingest_seq), count(*), v_now from landed l having count(*) > 0
    on conflict (user_id) do update
      set last_seq = excluded.last_seq, events = h.events + excluded.events, updated_at = v_now
    returning 1
  )
  select count(*) into v_new from landed;

  return pg_catalog.jsonb_build_object(
    'accepted', v_new, 'duplicates', pg_catalog.jsonb_array_length(p_events) - v_new);
end $$;
comment on function private.ingest_events(uuid, jsonb, timestamptz) is
  'Stores a checked batch of one user''s events once each. Runs with the service role''s own rights.';

create function public.mira_ingest_events(
  p_user_id uuid, p_events jsonb, p_sent_at timestamptz default null
) returns jsonb
language sql set search_path = '' as $$
  select private.ingest_events(p_user_id, p_events, p_sent_at)
$$;
comment on function public.mira_ingest_events(uuid, jsonb, timestamptz) is
  'Server only (track-event). Stores a checked batch of one user''s events: {accepted, duplicates}.';

revoke all on function private.ingest_events(uuid, jsonb, timestamptz),
  public.mira_ingest_events(uuid, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.ingest_events(uuid, jsonb, timestamptz),
  public.mira_ingest_events(uuid, jsonb, timestamptz) to service_role;
