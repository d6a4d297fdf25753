-- Learning, the learner's own tables: how far each user was learned, who is at it, what is kept of a session.

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

do $$
declare
  v_table text;
begin
  foreach v_table in array '{learner_state,learner_queue,learner_sessions}'::text[] loop
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

select private.open_to_server('{queue_learning}');
