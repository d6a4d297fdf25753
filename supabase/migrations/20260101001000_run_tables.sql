-- Engine: durable agent graphs in plain SQL.
--
-- One call per step. A worker holds a task, does it (a model, a tool), and says how it went:
-- `advance(run, epoch, seq, outcome)`. In that one transaction the engine fences the report, records
-- the step once, reduces the output into the state, walks everything that needs no worker (routers,
-- joins, timers, ends), writes the ledger and the logs, renews the lease and hands back the next
-- task. A worker that loops on the reply drives a whole run with steps + 1 statements, no session
-- state and nothing to listen to, so it works through a transaction pooler and over HTTP.
--
-- Leases. A claim raises the run's `lease_epoch` and moves `due_at` to the end of the lease; whoever
-- reports under an older epoch is refused. `due_at` is the only clock of a run: reached = anybody
-- may claim it. The same column is a lease's end, a retry's turn, a timer, a deadline; it is null
-- for runs that are finished or wait for somebody, and so the one index a claim reads holds live
-- work only. A lease is written anew when less than half of it is left: a step that leaves `due_at`
-- alone changes no indexed column, so PostgreSQL updates the checkpoint in place (HOT).
--
-- The cursor (`mira_workflow_state.cursor`) is the program counter:
--   o  open steps by sequence number: {n: node, f: event that opened it, a: attempt, i: epoch that
--      has it, k: what a step waits for when no worker is needed (human, signal, timer, map, child),
--      at: when it is due, c: calls recorded inside it, ask: the call that a person is asked to allow,
--      g: what persons said to such calls}
--   j  joins that were reached and wait;  q  nodes to enter when the run is first claimed
--   g  what tools with side effects the run may call: a list of grants that must all agree, if it has any
-- Most steps are alone in their run, have one successor and nothing that limits them. For those the
-- checkpoint says it in one number, `straight_node`, the cursor stands still at no open step, and the frozen
-- node says what comes next: the straight road is one update that fences, reduces and opens or closes, and
-- writes the same rows. What it costs is mostly the number of expressions PostgreSQL must prepare for a
-- statement, so its statements are spare. Everything else reads the cursor, as `private.cursor_of` spells it
-- out: the long road.
-- Sequence numbers name steps (`run:seq` is the idempotency key of a step's side effects), event
-- numbers count what was recorded, without gaps and in commit order, for whoever follows the run.
--
-- Joins wait for every predecessor that was activated and for no other: a join that was reached
-- fires as soon as no open step and no other reached join can still lead to it (its `feeders`,
-- computed when the version was frozen). Branches a router did not take therefore never block, and
-- loops need no special case. Two joins that could feed one another: the first reached goes first.
--
-- Fan-out (`map`) keeps its items in rows of their own. Workers take and return them in batches, two
-- updates each, and no row is shared: whoever goes on with other items need not know how many are
-- left, for these will be reported later. Only who finds nothing more to do locks the map and counts
-- what is open; the run's row is locked by the one who counts none: run before items before map.
--
-- Signals are inserted first and matched second, from both sides: a sender inserts, then locks the
-- run and looks for a waiting step; a step that begins to wait looks into the mailbox under the same
-- lock. One of the two always sees the other. Locks are taken child before parent, everywhere.
--
-- The files of the engine follow a step's way: run_state (values), run_records (what is written beside the
-- checkpoint), run_moves (walking the graph), run_maps (fan-out), run_tasks (handing out), run_saves (the
-- checkpoint), run_claims, run_starts, run_purse (budgets), run_advances (reports), run_leases, run_steering
-- (answers, signals, cancels), run_forks, run_reading, run_faces (the doors).
--
-- Tables of steps, items and maps carry no foreign key to the run: the check would cost every step an
-- extra row lock. Triggers on the run's deletion take them along instead, in the order of the locks.

create table private.run_steps (
  run bigint not null,
  created_at timestamptz not null default now(),
  event int not null,
  seq int not null,
  node int not null,
  opened int,
  attempt smallint,
  kind text not null,
  duration_ms int,
  output json,
  error jsonb,
  usage jsonb,
  call jsonb,
  call_item int,
  call_index int,
  primary key (run, event)
);
-- a call inside a step, or inside an element of a map, is recorded once; of columns and no expressions, which every
-- step that is recorded would prepare
create unique index run_steps_call_idx on private.run_steps
  (run, seq, call_item, call_index) nulls not distinct where call_index is not null;
comment on table private.run_steps is
  'What happened in a run, one row per event: step done, step failed, retry, call inside a step, began to wait.';
comment on column private.run_steps.run is 'mira_workflow_state.number.';
comment on column private.run_steps.output is 'As json: read whole or not at all, and shorter than jsonb.';
comment on column private.run_steps.kind is 'step (done), failed (for good), retry, call (inside a step), waiting (began to).';
comment on column private.run_steps.opened is 'The event that opened the step, null = the one before this: a fork finds the steps open at any moment with it.';
comment on column private.run_steps.attempt is 'Null = the first.';
comment on column private.run_steps.call is '{index, kind: model|tool, name, input, output, error, duration_ms, item: of a map}: replayed, not repeated, after a crash.';
comment on column private.run_steps.call_index is 'The call''s index, and with call_item the element of a map it belongs to.';

create table private.run_edits (
  run bigint not null,
  event int not null,
  state jsonb not null,
  primary key (run, event)
);
comment on table private.run_edits is
  'States that forks were given instead of the one they had: what the state is after this event, whatever the steps say.';
comment on column private.run_edits.run is 'mira_workflow_state.number.';

create table private.run_maps (
  run_id uuid not null,
  seq int not null,
  user_id uuid not null,
  version_id bigint not null,
  node int not null,
  total int not null,
  batch int not null,
  max_failures int not null,
  is_open boolean not null default true,
  remaining int not null,
  failed int not null default 0,
  tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (run_id, seq)
) with (fillfactor = 50);
create index run_maps_open_idx on private.run_maps (run_id) where is_open;
comment on table private.run_maps is 'One row per fan-out: how many items failed, and what they have spent.';
comment on column private.run_maps.remaining is
  'Items of a fan-out of child runs that have not ended; those that workers do are counted when it matters (private.items_left).';

create table private.run_items (
  run_id uuid not null,
  seq int not null,
  idx int not null,
  attempt smallint not null default 0,
  is_open boolean not null default true,
  due_at timestamptz not null default now(),
  input jsonb,
  output jsonb,
  error jsonb,
  primary key (run_id, seq, idx)
) with (fillfactor = 50);
-- of a column that taking an item leaves alone, so that taking it changes no index
create index run_items_open_idx on private.run_items (run_id, seq, idx) where is_open;
comment on table private.run_items is
  'The items of a fan-out. due_at: claimable from then on (a lease''s end, a retry''s turn), while is_open: workers have it still to do.';

create table private.run_signals (
  run_id uuid not null references public.mira_workflow_state (id) on delete cascade,
  name text not null check (length(name) between 1 and 200),
  dedup_id text not null check (length(dedup_id) between 1 and 255),
  payload jsonb,
  sent_at timestamptz not null default clock_timestamp(),
  consumed_seq int,
  primary key (run_id, name, dedup_id)
);
create index run_signals_unread_idx on private.run_signals (run_id, name, sent_at) where consumed_seq is null;
comment on table private.run_signals is
  'The mailbox of a run: a signal may come before, during or after its wait, and twice. Answers leave the ids of their requests here.';

create table private.user_limits (
  user_id uuid primary key references auth.users (id) on delete cascade,
  max_running int check (max_running > 0),
  day_tokens bigint check (day_tokens >= 0),
  day_cost_micros bigint check (day_cost_micros >= 0)
);
comment on table private.user_limits is 'What one user''s runs may use: runs at work at once, tokens and money per UTC day. No row, no limit.';

create table private.user_spend (
  user_id uuid not null references auth.users (id) on delete cascade,
  day date not null,
  tokens bigint not null default 0,
  cost_micros bigint not null default 0,
  primary key (user_id, day)
) with (fillfactor = 50);
comment on table private.user_spend is 'Tokens and money each user''s runs used, per UTC day.';

alter table private.run_steps enable row level security;
alter table private.run_edits enable row level security;
alter table private.run_maps enable row level security;
alter table private.run_items enable row level security;
alter table private.run_signals enable row level security;
alter table private.user_limits enable row level security;
alter table private.user_spend enable row level security;
revoke all on private.run_steps, private.run_edits, private.run_maps, private.run_items, private.run_signals,
  private.user_limits, private.user_spend from public, anon, authenticated;
grant select, insert, update, delete on private.run_steps, private.run_edits, private.run_maps, private.run_items,
  private.run_signals, private.user_limits, private.user_spend to service_role;
create policy run_steps_all_service on private.run_steps for all to service_role using (true) with check (true);
create policy run_edits_all_service on private.run_edits for all to service_role using (true) with check (true);
create policy run_maps_all_service on private.run_maps for all to service_role using (true) with check (true);
create policy run_items_all_service on private.run_items for all to service_role using (true) with check (true);
create policy run_signals_all_service on private.run_signals for all to service_role using (true) with check (true);
create policy user_limits_all_service on private.user_limits for all to service_role using (true) with check (true);
create policy user_spend_all_service on private.user_spend for all to service_role using (true) with check (true);

create function private.delete_run_rows() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from private.run_steps s using gone where s.run = gone.number;
  delete from private.run_edits e using gone where e.run = gone.number;
  delete from private.run_items i using gone where i.run_id = gone.id;
  delete from private.run_maps m using gone where m.run_id = gone.id;
  delete from private.run_reserves v using gone where v.run_id = gone.id;
  return null;
end $$;
comment on function private.delete_run_rows() is 'Trigger: a deleted run takes its steps and items with it.';
create trigger mira_workflow_state_delete_rows after delete on public.mira_workflow_state
  referencing old table as gone for each statement execute function private.delete_run_rows();

-- Before anything that hangs on the account by a key, because a step at work holds its run and will want the
-- ledger: once the runs are had, child before parent as everywhere, nobody is left who could write more.
create function private.delete_with_account() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform from public.mira_workflow_state s
    where s.user_id = old.id and s.finished_at is null order by s.id desc for update;
  delete from public.mira_workflow_state s where s.user_id = old.id;
  delete from public.execution_logs l where l.user_id = old.id;
  delete from public.tool_executions t where t.user_id = old.id;
  delete from public.task_history h where h.user_id = old.id;
  return old;
end $$;
comment on function private.delete_with_account() is
  'Trigger on auth.users: what has no foreign key to the account goes with it. '
  'Definer: the role that deletes accounts has no rights on the record.';
create trigger mira_account_deleted before delete on auth.users
  for each row execute function private.delete_with_account();

-- A start reads the limits under the shared lock: it either sees a new limit or is seen here.
create function private.follow_limits() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('mira:limits:' || new.user_id::text, 0));
  update public.mira_workflow_state s set cursor = private.cursor_of(s), straight_node = null
    where s.user_id = new.user_id and s.due_at is not null;
  return null;
end $$;
comment on function private.follow_limits() is 'Trigger: a user''s live runs leave the straight road when there is a limit to look at.';
create trigger user_limits_follow after insert on private.user_limits
  for each row execute function private.follow_limits();

-- Nobody calls these but the server.
select private.close_functions('{
  delete_run_rows,delete_with_account,follow_limits}');
