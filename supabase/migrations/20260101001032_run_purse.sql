-- Engine, the purse: what a model call may cost is set aside before it is made and settled by the report that
-- tells what it did cost.
--
-- Steps of one run, elements of a map, children of a run and runs of one user spend side by side, on
-- workers that know nothing of one another. So the decision is made here, one at a time per purse:
-- what is left of each budget that the call counts against, less what other calls that are under way
-- may come to. A reservation holds as long as its worker holds the step (the lease's epoch, or the
-- element's attempt): when the lease dies, so does the reservation, and nothing has to tidy up. The
-- report that carries the usage deletes the reservation in its own transaction, so whoever looks sees
-- one of the two, never both and never neither.

create table private.run_reserves (
  run_id uuid not null,
  seq int not null,
  item int not null,
  holder int not null,
  user_id uuid not null,
  tokens bigint not null,
  cost_micros bigint not null,
  primary key (run_id, seq, item)
) with (fillfactor = 70);
create index run_reserves_user_id_idx on private.run_reserves (user_id);
comment on table private.run_reserves is
  'Model calls under way in runs with a budget: the most each may cost. One call per step or element at a time; gone with the report, void with the lease.';
comment on column private.run_reserves.item is 'The element of a map, -1 for a step of its own.';
comment on column private.run_reserves.holder is 'The epoch that holds the step, or the attempt that holds the element.';
alter table private.run_reserves enable row level security;
revoke all on private.run_reserves from public, anon, authenticated;
grant select, insert, update, delete on private.run_reserves to service_role;
create policy run_reserves_all_service on private.run_reserves for all to service_role using (true) with check (true);

create function private.is_held(p_run_id uuid, p_seq int, p_item int, p_holder int) returns boolean
language sql stable set search_path = '' as $$
  select case when p_item >= 0 then exists (select from private.run_items i
      where i.run_id = p_run_id and i.seq = p_seq and i.idx = p_item and i.attempt = p_holder and i.is_open and i.due_at > now())
    else exists (select from public.mira_workflow_state s
      where s.id = p_run_id and s.lease_epoch = p_holder and s.leased_at is not null and s.due_at > now()) end
$$;
comment on function private.is_held(uuid, int, int, int) is
  'Whether a worker''s lease on a step (p_item < 0: by epoch) or on an element of a map (by attempt) still runs.';

-- Every budget that a call of this run counts against: its own, those of the runs it is a child of, its user's.
create function private.purses(r public.mira_workflow_state, p_seq int, p_item int, out tokens bigint, out cost_micros bigint,
  out is_shared boolean)
language sql stable set search_path = '' as $$
  with recursive up as (
    select r.id, r.parent_run_id, r.max_tokens, r.max_cost_micros
    union all
    select s.id, s.parent_run_id, s.max_tokens, s.max_cost_micros
    from public.mira_workflow_state s join up on s.id = up.parent_run_id
  ), tree as (
    -- what has ended has been added to its parent
    select up.id as top, s.id, s.tokens_used, s.cost_micros from up join public.mira_workflow_state s on s.id = up.id
    where up.max_tokens is not null or up.max_cost_micros is not null
    union all
    select tree.top, s.id, s.tokens_used, s.cost_micros from tree
    join public.mira_workflow_state s on s.parent_run_id = tree.id and s.status not in ('completed', 'failed', 'cancelled')
  ), other as (
    select v.run_id, v.user_id, v.tokens, v.cost_micros from private.run_reserves v
    where (v.user_id = r.user_id) and (v.run_id, v.seq, v.item) <> (r.id, p_seq, p_item)
      and private.is_held(v.run_id, v.seq, v.item, v.holder)
  ), purse as (
    select up.max_tokens - t.tokens as tokens, up.max_cost_micros - t.cost_micros as cost_micros, t.reserved
    from up cross join lateral (
      select sum(tree.tokens_used + coalesce(m.tokens, 0) + coalesce(o.tokens, 0)) as tokens,
        sum(tree.cost_micros + coalesce(m.cost_micros, 0) + coalesce(o.cost_micros, 0)) as cost_micros,
        coalesce(sum(o.calls), 0) as reserved
      from tree
      left join lateral (select sum(x.tokens) as tokens, sum(x.cost_micros) as cost_micros
        from private.run_maps x where x.run_id = tree.id and x.is_open) m on true
      left join lateral (select sum(x.tokens) as tokens, sum(x.cost_micros) as cost_micros, count(*) as calls
        from other x where x.run_id = tree.id) o on true
      where tree.top = up.id) t
    where up.max_tokens is not null or up.max_cost_micros is not null
    union all
    select u.tokens - o.tokens, u.cost_micros - o.cost_micros, o.calls
    from private.user_left(r.user_id) u
    cross join (select coalesce(sum(x.tokens), 0) as tokens, coalesce(sum(x.cost_micros), 0) as cost_micros, count(*) as calls
      from other x) o
    where u.tokens is not null or u.cost_micros is not null
  )
  select min(p.tokens)::bigint, min(p.cost_micros)::bigint, coalesce(sum(p.reserved), 0) > 0 from purse p
$$;
comment on function private.purses(public.mira_workflow_state, int, int) is
  'What is left for one call of a run after everything spent and everything others have set aside; null = no limit. is_shared: others may give some back.';

create function private.reserve_spend(p_run_id uuid, p_seq int, p_item int, p_holder int, p_input_tokens int, p_answer_tokens int,
  p_input_price numeric, p_output_price numeric) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  v_root uuid;
  v_left record;
  v_most bigint := p_answer_tokens;
begin
  with recursive up as (
    select s.id, s.parent_run_id from public.mira_workflow_state s where s.id = p_run_id
    union all
    select s.id, s.parent_run_id from public.mira_workflow_state s join up on s.id = up.parent_run_id
  )
  select up.id into v_root from up where up.parent_run_id is null;
  if v_root is null then
    return '{"refused": "run_not_found"}';
  end if;
  -- one decision at a time for whoever shares a purse
  perform pg_advisory_xact_lock(hashtextextended('mira:purse:' || coalesce(
    (select l.user_id from private.user_limits l join public.mira_workflow_state s on s.user_id = l.user_id where s.id = p_run_id),
    v_root)::text, 0));
  select * into r from public.mira_workflow_state where id = p_run_id;
  if r.status in ('completed', 'failed', 'cancelled') or not private.is_held(p_run_id, p_seq, p_item, p_holder) then
    return jsonb_build_object('refused', 'lease_lost');
  end if;
  v_left := private.purses(r, p_seq, p_item);
  if v_left.cost_micros is not null and (p_input_price is null or p_output_price is null) then
    return '{"refused": "llm_price_unknown"}';
  end if;
  v_most := least(v_most, v_left.tokens - p_input_tokens,
    case when p_output_price > 0 then floor((v_left.cost_micros - p_input_tokens * p_input_price) / p_output_price)
      when p_input_tokens * p_input_price > v_left.cost_micros then 0 end);
  if v_most < p_answer_tokens and v_left.is_shared then
    return '{"wait": true}';
  elsif v_most < least(16, p_answer_tokens) then
    return '{"refused": "budget_exceeded"}';
  end if;
  insert into private.run_reserves as v (run_id, seq, item, holder, user_id, tokens, cost_micros)
  values (p_run_id, p_seq, p_item, p_holder, r.user_id, p_input_tokens + v_most,
    ceil(coalesce(p_input_tokens * p_input_price + v_most * p_output_price, 0)))
  on conflict (run_id, seq, item) do update
    set holder = excluded.holder, tokens = excluded.tokens, cost_micros = excluded.cost_micros;
  return jsonb_build_object('most', v_most);
end $$;
comment on function private.reserve_spend(uuid, int, int, int, int, int, numeric, numeric) is
  'Sets aside the most a model call may cost: {most: tokens it may answer with}, {wait: true} while others that are under way may give some back, or {refused: code}.';

create function public.mira_reserve_spend(p_run_id uuid, p_seq int, p_item int, p_holder int, p_input_tokens int,
  p_answer_tokens int, p_input_price numeric default null, p_output_price numeric default null) returns jsonb
-- planned for keys, as everything that workers call all the time: a plan may outlive today's table sizes by far
language plpgsql set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
begin
  return private.reserve_spend(p_run_id, p_seq, p_item, p_holder, p_input_tokens, p_answer_tokens, p_input_price, p_output_price);
end $$;
comment on function public.mira_reserve_spend(uuid, int, int, int, int, int, numeric, numeric) is
  'Before a model call: how much it may answer with. Prices in US dollars per million tokens. p_item -1 and the epoch, or an element and its attempt.';

create function private.settle_spend(p_run_id uuid, p_seq int, p_items int[]) returns void
language sql set search_path = '' as $$
  delete from private.run_reserves v where v.run_id = p_run_id and v.seq = p_seq and v.item = any (p_items)
$$;
comment on function private.settle_spend(uuid, int, int[]) is 'The report is in: what was set aside for the calls is free again.';

-- Calls inside an element of a map, recorded like those of a step: an element that is done again repeats none of them.
create function private.record_item_call(p_run_id uuid, p_seq int, p_item int, p_attempt int, p_outcome jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  r public.mira_workflow_state;
  n private.version_nodes;
  v_entry jsonb;
  v_old text;
  v_call jsonb;
  v_tokens bigint := private.tokens_of(p_outcome -> 'usage');
  v_cost bigint := private.cost_of(p_outcome -> 'usage');
  v_maps record;
begin
  select * into r from public.mira_workflow_state where id = p_run_id for update;
  if not found then
    return private.refusal(p_run_id, null, 'run_not_found');
  elsif r.status in ('completed', 'failed', 'cancelled') then
    return private.refusal(r.id, r.status, 'run_finished');
  end if;
  v_entry := r.cursor -> 'o' -> p_seq::text;
  if v_entry is null or not exists (select from private.run_items i
      where i.run_id = r.id and i.seq = p_seq and i.idx = p_item and i.attempt = p_attempt and i.is_open) then
    return private.refusal(r.id, r.status, 'stale_step');
  end if;
  select s.call into v_call from private.run_steps s where s.run = r.number and s.seq = p_seq
    and s.call_item = p_item and s.call_index = (p_outcome #>> '{call,index}')::int;
  if found then
    return private.refusal(r.id, r.status, 'call_recorded') || jsonb_build_object('call', v_call);
  end if;
  v_old := r.status;
  select * into strict n from private.version_nodes where version_id = r.version_id and key = (v_entry ->> 'n')::int;
  r.tokens_used := r.tokens_used + v_tokens;
  r.cost_micros := r.cost_micros + v_cost;
  if v_tokens <> 0 or v_cost <> 0 then
    perform private.spend(r.user_id, v_tokens, v_cost);
  end if;
  perform private.settle_spend(r.id, p_seq, array[p_item]);
  if p_outcome ?| '{logs,messages,tools}' then
    perform private.write_reported(r, n, p_seq, p_attempt, p_outcome);
  end if;
  r := private.write_event(r, n.key, p_seq, 'call', v_entry || jsonb_build_object('a', p_attempt),
    jsonb_set(p_outcome, '{call,item}', to_jsonb(p_item)));
  select coalesce(sum(m.tokens), 0) as tokens, coalesce(sum(m.cost_micros), 0) as cost_micros into v_maps
    from private.run_maps m where m.run_id = r.id and m.is_open;
  if r.tokens_used + v_maps.tokens > r.max_tokens or r.cost_micros + v_maps.cost_micros > r.max_cost_micros then
    r := private.fail_run(r, 'budget_exceeded', 'The run spent more than its budget.', n.node ->> 'name', p_seq);
  end if;
  r := private.save(r, v_old);
  return private.reply(r, '[]');
end $$;
comment on function private.record_item_call(uuid, int, int, int, jsonb) is
  'Records one model or tool call inside an element of a map, from the attempt that holds it, with what it cost.';

create function public.mira_record_item_call(p_run_id uuid, p_seq int, p_item int, p_attempt int, p_outcome jsonb) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return private.record_item_call(p_run_id, p_seq, p_item, p_attempt, p_outcome);
end $$;
comment on function public.mira_record_item_call(uuid, int, int, int, jsonb) is
  'Records a call inside an element of a map before anything follows from it.';

create function private.with_calls(p_run bigint, p_seq int, p_items jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_agg(case when c.calls is null then i.value else i.value || jsonb_build_object('calls', c.calls) end order by i.ord)
  from jsonb_array_elements(p_items) with ordinality i(value, ord)
  left join lateral (
    select jsonb_agg(s.call order by s.call_index) as calls from private.run_steps s
    where s.run = p_run and s.seq = p_seq and s.call_index is not null and s.call_item = (i.value ->> 'idx')::int) c on true
$$;
comment on function private.with_calls(bigint, int, jsonb) is 'Elements of a map, each with the calls recorded inside it.';

-- Nobody calls these but the server.
select private.close_functions('{
  is_held,purses,reserve_spend,mira_reserve_spend,settle_spend,record_item_call,mira_record_item_call,with_calls}');
grant execute on function
  private.reserve_spend(uuid, int, int, int, int, int, numeric, numeric),
  public.mira_reserve_spend(uuid, int, int, int, int, int, numeric, numeric),
  private.record_item_call(uuid, int, int, int, jsonb), public.mira_record_item_call(uuid, int, int, int, jsonb)
  to service_role;
