-- Engine, the queue: due and abandoned runs are claimed, users taking turns, and their tasks handed out.

-- May one more run of this user and this workflow be at work? Serialised per limit, so that two
-- claims cannot both take the last place.
create function private.may_run(r public.mira_workflow_state) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_max int;
begin
  select (v.limits ->> 'max_running')::int into v_max from private.workflow_versions v where v.id = r.version_id;
  if v_max is not null then
    perform pg_advisory_xact_lock(hashtextextended('mira:running:' || coalesce(r.workflow_id::text, r.version_id::text), 0));
    if (select count(*) from public.mira_workflow_state s where s.leased_at is not null and s.due_at > now()
        and s.user_id = r.user_id and s.id <> r.id
        and (s.workflow_id = r.workflow_id or (r.workflow_id is null and s.version_id = r.version_id))) >= v_max then
      return false;
    end if;
  end if;
  select l.max_running into v_max from private.user_limits l where l.user_id = r.user_id;
  if v_max is not null then
    perform pg_advisory_xact_lock(hashtextextended('mira:running:' || r.user_id::text, 0));
    return (select count(*) from public.mira_workflow_state s
      where s.leased_at is not null and s.due_at > now() and s.user_id = r.user_id and s.id <> r.id) < v_max;
  end if;
  return true;
end $$;
comment on function private.may_run(public.mira_workflow_state) is
  'True when the workflow''s and the user''s limits on runs at work leave room for this one.';

-- Lease one run that is due: new epoch, timers fired, ready steps issued. tasks is null when it is not to be had.
create function private.lease_run(p_run_id uuid, p_lease interval, out r public.mira_workflow_state, out tasks jsonb)
language plpgsql set search_path = '' as $$
declare
  v_issued record;
  v_old text;
begin
  -- by id alone: the planner must not be tempted by the index of live work
  select * into r from public.mira_workflow_state where id = p_run_id for update skip locked;
  if not found or r.due_at is null or r.due_at > now() then
    return;
  end if;
  if r.finished_at is not null then
    update public.mira_workflow_state set due_at = case when not private.stop_children(r.id) then now() + interval '1 second' end
      where id = r.id;
    return;
  end if;
  v_old := r.status;
  r := private.with_cursor(r);
  if not private.may_run(r) then
    -- back in the queue, a little later, so that it does not stand in the way of runs that may go
    update public.mira_workflow_state set due_at = now() + make_interval(secs => 0.5 + random()) where id = r.id;
    return;
  end if;
  if r.leased_at is not null then
    r.stalls := r.stalls + 1;
  end if;
  r.lease_epoch := r.lease_epoch + 1;
  r.leased_at := now();
  r.due_at := now() + p_lease;
  if r.stalls >= 5 then
    r := private.fail_run(r, 'crash_loop', 'Abandoned five times in a row without finishing a step.');
  else
    r := private.wake(r);
  end if;
  tasks := '[]';
  if r.status not in ('failed', 'completed') then
    v_issued := private.issue(r, p_lease);
    r := v_issued.r;
    tasks := v_issued.tasks;
  end if;
  r := private.save(r, v_old, p_lease);
end $$;
comment on function private.lease_run(uuid, interval) is
  'Leases one due run: the run as it was saved and its own tasks; tasks is null when it is locked, not due or over a limit.';

create function private.claim_run(p_run_id uuid, p_lease interval, p_item_batch int default null, p_most int default 100) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_leased record := private.lease_run(p_run_id, p_lease);
begin
  if v_leased.tasks is null then
    return '[]';
  end if;
  return v_leased.tasks || private.tasks_around(v_leased.r, p_lease, p_item_batch, p_most - 1);
end $$;
comment on function private.claim_run(uuid, interval, int, int) is
  'Claims one due run and returns its tasks (and those of runs it woke, p_most runs in all); [] when it is locked, not due or over a limit.';

-- What else came up in the same transaction: items of fan-outs, children just made, and after a child's end the
-- parent to go on with or, while that waits for others, the next of them. Children that end at once are passed in
-- a loop, and no more than a hundred of them, nor more children and children's children than p_most: the rest is due
-- for whoever asks next.
create function private.tasks_around(r public.mira_workflow_state, p_lease interval, p_item_batch int default null, p_most int default 100)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_tasks jsonb := '[]';
  v_task jsonb;
  v_leased record;
  v_parent uuid;
  v_id uuid;
  v_ids uuid[];
  v_seq text;
begin
  for i in 1..100 loop
    exit when r.status not in ('completed', 'failed', 'cancelled');
    v_parent := r.parent_run_id;
    if v_parent is null then
      return v_tasks;
    end if;
    v_leased := private.lease_run(v_parent, p_lease);
    if v_leased.tasks is null then
      select s.id into v_id from public.mira_workflow_state s
        where s.parent_run_id = v_parent and s.lease_epoch = 0 and s.due_at <= now()
        order by s.parent_seq, s.parent_item limit 1 for update skip locked;
      v_leased := private.lease_run(v_id, p_lease);
      if v_leased.tasks is null then
        return v_tasks;
      end if;
    end if;
    v_tasks := v_tasks || v_leased.tasks;
    r := v_leased.r;
  end loop;
  if r.status in ('completed', 'failed', 'cancelled') then
    return v_tasks;
  end if;
  if not r.cursor @? '$.o.* ? (@.k == "map" || @.k == "child")' then
    return v_tasks;
  end if;
  for v_seq in select key from jsonb_each(r.cursor -> 'o') where value ->> 'k' = 'map' order by key::int loop
    v_task := private.take_items(r.id, v_seq::int, p_item_batch, p_lease);
    if v_task is not null then
      v_tasks := v_tasks || v_task;
    end if;
  end loop;
  v_ids := array(select s.id from public.mira_workflow_state s
    where s.parent_run_id = r.id and s.lease_epoch = 0 and s.due_at <= now()
    order by s.parent_seq, s.parent_item limit greatest(least(coalesce(p_item_batch, 10), p_most), 0));
  foreach v_id in array v_ids loop
    v_tasks := v_tasks || private.claim_run(v_id, p_lease, p_item_batch, p_most / cardinality(v_ids));
  end loop;
  return v_tasks;
end $$;
comment on function private.tasks_around(public.mira_workflow_state, interval, int, int) is
  'Tasks beside a run''s own: its fan-outs'' items, its new children''s, or its parent''s when it has ended.';

create function private.reply(r public.mira_workflow_state, p_tasks jsonb, p_extra jsonb default '{}') returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_reply jsonb := jsonb_build_object('run_id', r.id, 'status', r.status, 'accepted', true, 'tasks', p_tasks);
begin
  if r.status in ('completed', 'failed', 'cancelled') then
    v_reply := v_reply || jsonb_strip_nulls(jsonb_build_object('error', r.error));
    if r.status = 'completed' then
      v_reply := v_reply || jsonb_build_object('output', private.output_of(r));
    end if;
  elsif p_tasks = '[]' then
    v_reply := v_reply || jsonb_strip_nulls(jsonb_build_object('waiting', private.waiting(r), 'wake_at', r.due_at));
  end if;
  return v_reply || p_extra;
end $$;
comment on function private.reply(public.mira_workflow_state, jsonb, jsonb) is 'The common answer: run, status, tasks, and output, error or what it waits for.';

create function private.lease(p_ms int) returns interval
language plpgsql immutable set search_path = '' as $$
begin
  return least(greatest(p_ms, 1000), 900000) * interval '1 ms';
end $$;
comment on function private.lease(int) is 'A lease of 1 second to 15 minutes.';

-- The straight road of claiming: runs nobody has begun, that begin with a task and have no limit to be
-- checked. However many there are, one statement leases them. The caller has locked them.
create function private.claim_straight(p_ids uuid[], p_lease interval, out tasks jsonb, out claimed uuid[])
language plpgsql set search_path = '' as $$
begin
  with ready as materialized (
    select s.id, g.key, g.node, g.timeout_ms
    from public.mira_workflow_state s
    -- by each run's own version: however these were joined, some plan would walk through everybody's
    cross join lateral (
      select v.start_key, v.limits, m.key, m.type, m.node, m.timeout_ms from private.workflow_versions v
      join private.version_nodes n on n.version_id = v.id and n.key = v.start_key
      join private.version_nodes m on m.version_id = v.id and m.key = n.sole_target
      where v.id = s.version_id offset 0) g
    where s.id = any (p_ids) and s.status = 'pending' and (g.type = 'tool'
        or g.type = 'llm' and s.max_tokens is null and s.max_cost_micros is null) and s.lease_epoch = 0 and s.due_at <= now()
      and s.deadline_at is null and s.max_steps > 0 and g.limits ->> 'max_running' is null
      and s.cursor = jsonb_build_object('o', '{}'::jsonb, 'q', jsonb_build_array(g.start_key))
      and not exists (select from private.user_limits l where l.user_id = s.user_id)
  ), taken as (
    update public.mira_workflow_state s set lease_epoch = 1, leased_at = now(), due_at = now() + p_lease, status = 'running',
      started_at = now(), updated_at = now(), current_node_id = (t.node ->> 'id')::uuid, steps_used = 1, next_seq = 2,
      straight_node = case when s.max_tokens is null and s.max_cost_micros is null then t.key end,
      cursor = case when s.max_tokens is null and s.max_cost_micros is null then '{"o": {}}'
        else jsonb_build_object('o', jsonb_build_object('1', jsonb_build_object('n', t.key, 'f', 1, 'i', 1))) end
    from ready t where s.id = t.id
    returning s.*, t.node, t.timeout_ms
  ), ledger as (
    update public.workflow_executions e set current_state = 'running', current_step = t.node ->> 'name', started_at = now(),
      updated_at = now()
    from taken t where e.id = t.id
  ), history as (
    update public.task_history h set status = 'running', started_at = now(), updated_at = now()
    from taken t where h.user_id = t.user_id and h.id = t.id
  )
  select coalesce(jsonb_agg(jsonb_build_object('run_id', t.id, 'seq', 1, 'epoch', 1, 'attempt', 1, 'key', t.id::text || ':1',
      'user_id', t.user_id, 'workflow_id', t.workflow_id, 'thread_id', t.thread_id, 'node', t.node, 'state', t.state_data,
      'input', t.input, 'budget_left', jsonb_build_object('steps', t.max_steps - 1, 'tokens', t.max_tokens,
        'cost_micros', t.max_cost_micros, 'time_ms', null),
      'lease_until', now() + p_lease, 'deadline_at', now() + make_interval(secs => t.timeout_ms::float8 / 1000))
      order by array_position(p_ids, t.id)), '[]'),
    coalesce(array_agg(t.id), '{}')
    into tasks, claimed from taken t;
end $$;
comment on function private.claim_straight(uuid[], interval) is
  'Leases those of the locked runs that begin with a task and have no limit to check, in one statement; says which.';

-- What a worker left lying, whoever's it is.
create function private.claim_lapsed(p_limit int, p_user_id uuid, p_lease interval, p_item_batch int, out tasks jsonb, out claimed int)
language plpgsql set search_path = '' as $$
declare
  v_run uuid;
begin
  tasks := '[]';
  claimed := 0;
  foreach v_run in array array(
    select s.id from public.mira_workflow_state s
    where s.leased_at is not null and s.due_at <= now() and (p_user_id is null or s.user_id = p_user_id)
    order by s.due_at limit p_limit for update skip locked) loop
    tasks := tasks || private.claim_run(v_run, p_lease, p_item_batch);
    claimed := claimed + 1;
  end loop;
end $$;
comment on function private.claim_lapsed(int, uuid, interval, int) is
  'Claims runs whose lease lapsed, the longest abandoned first: their tasks, and how many runs.';

-- A run and the unfinished runs below it.
create function private.run_tree(p_run_id uuid) returns table (id uuid, due_at timestamptz)
language sql stable set search_path = '' as $$
  with recursive tree as (
    select s.id, s.due_at from public.mira_workflow_state s where s.id = p_run_id
    union all
    select s.id, s.due_at from tree t join public.mira_workflow_state s on s.parent_run_id = t.id
    where s.status not in ('completed', 'failed', 'cancelled')
  )
  select * from tree
$$;
comment on function private.run_tree(uuid) is 'A run and every unfinished run below it, the nearer first.';

-- Claim due runs and open items, fairly: users take turns. The walk starts at a random user and
-- skips from user to user through the index, so its cost does not grow with the backlog.
create function private.claim_tasks(p_limit int, p_lease_ms int, p_item_batch int, p_user_id uuid, p_run_id uuid)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_lease interval := private.lease(p_lease_ms);
  v_tasks jsonb := '[]';
  v_task jsonb;
  v_straight record;
  v_lapsed record;
  v_from uuid := coalesce(p_user_id, gen_random_uuid());
  v_user uuid := v_from;
  v_wrapped boolean := false;
  v_users uuid[] := '{}';
  v_runs uuid[] := '{}';
  v_run uuid;
  v_claimed int := 0;
  v_before int;
  v_seen int := 0;
  v_share int;
  m record;
begin
  p_limit := least(greatest(p_limit, 1), 1000);
  if p_run_id is not null then
    -- a run that waits for those below it is at work where they are
    foreach v_run in array array(select t.id from private.run_tree(p_run_id) t where t.due_at <= now() limit p_limit) loop
      v_tasks := v_tasks || private.claim_run(v_run, v_lease, p_item_batch);
      v_claimed := jsonb_array_length(v_tasks);
      exit when v_claimed >= p_limit;
    end loop;
  else
    -- half of the capacity goes to what was begun before anything new is
    v_lapsed := private.claim_lapsed((p_limit + 1) / 2, p_user_id, v_lease, p_item_batch);
    v_tasks := v_lapsed.tasks;
    v_claimed := v_lapsed.claimed;
  end if;
  if p_user_id is not null then
    v_users := array[p_user_id];
  elsif p_run_id is null then
    while cardinality(v_users) < p_limit loop
      select s.user_id into v_user from public.mira_workflow_state s
        where s.due_at is not null and s.leased_at is null and s.user_id > v_user
        order by s.user_id limit 1;
      if v_user is null then
        exit when v_wrapped;
        v_wrapped := true;
        v_user := '00000000-0000-0000-0000-000000000000';
        continue;
      end if;
      exit when v_wrapped and v_user >= v_from;
      v_seen := v_seen + 1;
      exit when v_seen > 20 * p_limit;
      if exists (select from public.mira_workflow_state s where s.user_id = v_user and s.leased_at is null and s.due_at <= now()) then
        v_users := v_users || v_user;
      end if;
    end loop;
  end if;
  -- two rounds: everybody's fair share, then whatever capacity is left
  v_before := v_claimed;
  for v_round in 1..2 loop
    exit when cardinality(v_users) = 0 or v_claimed >= p_limit;
    v_share := case v_round when 1 then ceil(p_limit::numeric / cardinality(v_users)) else p_limit end;
    foreach v_user in array v_users loop
      exit when v_claimed >= p_limit;
      v_runs := v_runs || array(
        select s.id from public.mira_workflow_state s
        where s.user_id = v_user and s.leased_at is null and s.due_at <= now() and s.id <> all (v_runs)
        order by s.priority desc, s.due_at limit least(v_share, p_limit - v_claimed) for update skip locked);
      v_claimed := v_before + cardinality(v_runs);
    end loop;
  end loop;
  if v_runs <> '{}' then
    v_straight := private.claim_straight(v_runs, v_lease);
    v_tasks := v_tasks || v_straight.tasks;
    foreach v_run in array v_runs loop
      if v_run <> all (v_straight.claimed) then
        v_tasks := v_tasks || private.claim_run(v_run, v_lease, p_item_batch);
      end if;
    end loop;
  end if;
  if p_run_id is null and v_before = (p_limit + 1) / 2 and v_claimed < p_limit then
    v_lapsed := private.claim_lapsed(p_limit - v_claimed, p_user_id, v_lease, p_item_batch);
    v_tasks := v_tasks || v_lapsed.tasks;
    v_claimed := v_claimed + v_lapsed.claimed;
  end if;
  -- fan-outs under way, in no particular order
  if v_claimed < p_limit then
    for m in select rm.run_id, rm.seq from private.run_maps rm
      where rm.is_open and (p_run_id is null or rm.run_id = p_run_id) and (p_user_id is null or rm.user_id = p_user_id)
        and exists (select from private.run_items i where i.run_id = rm.run_id and i.seq = rm.seq and i.is_open and i.due_at <= now())
      order by random() limit p_limit - v_claimed loop
      v_task := private.take_items(m.run_id, m.seq, p_item_batch, v_lease);
      if v_task is not null then
        v_tasks := v_tasks || v_task;
      end if;
    end loop;
  end if;
  if p_run_id is not null and v_tasks = '[]' then
    return jsonb_build_object('tasks', v_tasks, 'rests', not exists (select from private.run_tree(p_run_id) t
      where t.due_at is not null or exists (select from private.run_items i where i.run_id = t.id and i.is_open)));
  end if;
  return jsonb_build_object('tasks', v_tasks);
end $$;
comment on function private.claim_tasks(int, int, int, uuid, uuid) is
  'Tasks of up to p_limit due or abandoned runs, users taking turns, and item batches of fan-outs under way. Of one run, when there are none: rests = nobody is at work on it or below it, and nothing comes by time.';

-- Nobody calls these but the server.
select private.close_functions('{
  may_run,lease_run,claim_run,tasks_around,reply,lease,claim_straight,claim_lapsed,run_tree,claim_tasks}');
grant execute on function
  private.claim_tasks(int, int, int, uuid, uuid), private.lease(int)
  to service_role;
