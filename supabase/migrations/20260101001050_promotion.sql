-- Promotion: where a habit becomes a workflow, and its runs come back as experience.
--
-- A promoted habit is two things at once, made in one transaction: a draft graph in
-- `mira_workflows` that its owner may read, change and activate (never active by itself), and a
-- behaviour pattern that find-patterns recalls. The learned pattern points to both, so promoting it
-- again answers with what is there. When a run of the workflow ends, the outcome moves both
-- confidences, in the transaction that ends the run.

alter table public.mira_learned_patterns
  add constraint mira_learned_patterns_workflow_id_fkey
    foreign key (workflow_id) references public.mira_workflows (id) on delete set null,
  add constraint mira_learned_patterns_behavior_pattern_id_fkey
    foreign key (behavior_pattern_id) references public.behavior_patterns (id) on delete set null;
create index mira_learned_patterns_behavior_pattern_id_idx
  on public.mira_learned_patterns (behavior_pattern_id) where behavior_pattern_id is not null;

create function private.read_habit(p_user_id uuid, p_pattern_id uuid) returns json
language plpgsql stable set search_path = '' as $$
declare
  v_row public.mira_learned_patterns;
begin
  select * into v_row from public.mira_learned_patterns t
  where t.id = p_pattern_id and t.user_id = p_user_id and t.valid_to is null;
  if v_row.id is null then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No current pattern of yours has this id.';
  elsif v_row.pattern_type <> 'workflow_habit' then
    raise exception using errcode = 'PT422', message = 'not_a_habit', detail = 'Only a workflow_habit can become a workflow.';
  end if;
  return json_build_object('module', v_row.module, 'confidence', v_row.confidence,
    'sequence', v_row.metadata -> 'sequence', 'optional', v_row.metadata -> 'optional',
    'sessions', coalesce((
      select json_agg(e.events order by s.started_at, s.session_id)
      from (
        select x.session_id, x.started_at, x.until_at from private.learner_sessions x
        where x.user_id = p_user_id
          and x.digest -> 'tokens' ?& (select array_agg(v.value) from jsonb_array_elements_text(v_row.metadata -> 'sequence') v)
        order by x.started_at desc
        limit 60) s
      cross join lateral (
        select json_agg(json_build_array(v.event_id, v.session_id, v.event_type, v.module, v.page, v.target,
          (extract(epoch from v.occurred_at) * 1000)::bigint,
          case when v.occurred_at = v.received_at then v.ingest_seq end, v.payload)
          order by v.occurred_at, v.ingest_seq) as events
        from (
          select * from public.mira_behavioral_events b
          where b.session_id = s.session_id and b.user_id = p_user_id
            and b.occurred_at between s.started_at - interval '1 millisecond' and s.until_at + interval '1 millisecond'
          order by b.occurred_at, b.ingest_seq
          limit 500) v) e
      where e.events is not null), '[]'));
end $$;
comment on function private.read_habit(uuid, uuid) is
  'A habit and the newest 60 sessions that may show it, with their events: what a draft is made from.';

create function private.promote_habit(p_user_id uuid, p_pattern_id uuid, p_draft jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_row public.mira_learned_patterns;
  v_workflow uuid;
  v_pattern uuid;
  v_ids jsonb;
begin
  select * into v_row from public.mira_learned_patterns t
  where t.id = p_pattern_id and t.user_id = p_user_id and t.valid_to is null and t.pattern_type = 'workflow_habit'
  for update;
  if v_row.id is null then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No current habit of yours has this id.';
  end if;
  v_workflow := v_row.workflow_id;
  v_pattern := v_row.behavior_pattern_id;

  if v_workflow is null then
    insert into public.mira_workflows (user_id, name, description, is_active, input_schema, metadata)
    values (p_user_id, p_draft ->> 'name', p_draft ->> 'description', false, p_draft -> 'input_schema', p_draft -> 'metadata')
    returning id into v_workflow;
    select jsonb_object_agg(n.value ->> 'key', gen_random_uuid()) into v_ids
    from jsonb_array_elements(p_draft -> 'nodes') n;
    insert into public.mira_workflow_nodes (id, workflow_id, type, name, config, position_x, position_y)
    select (v_ids ->> n.key)::uuid, v_workflow, n.type, n.name, n.config, n.x, n.y
    from jsonb_to_recordset(p_draft -> 'nodes') as n (key text, type text, name text, config jsonb, x int, y int);
    insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id, condition_label)
    select v_workflow, (v_ids ->> e."from")::uuid, (v_ids ->> e."to")::uuid, e.label
    from jsonb_to_recordset(p_draft -> 'edges') as e ("from" text, "to" text, label text);
  end if;
  if v_pattern is null then
    select r.id into v_pattern
    from private.record_pattern(p_user_id, p_draft ->> 'trigger',
      (p_draft -> 'context') || jsonb_build_object('workflow_id', v_workflow),
      p_draft -> 'actions', 'success', null, null, null) r;
  end if;
  update public.mira_learned_patterns t set workflow_id = v_workflow, behavior_pattern_id = v_pattern
  where t.id = p_pattern_id and (t.workflow_id, t.behavior_pattern_id) is distinct from (v_workflow, v_pattern);
  return jsonb_build_object('workflow_id', v_workflow, 'behavior_pattern_id', v_pattern);
end $$;
comment on function private.promote_habit(uuid, uuid, jsonb) is
  'Makes the draft workflow and the behaviour pattern of a habit, each once; a second promotion finds them.';

create function private.learn_from_run(p_user_id uuid, p_workflow_id uuid, p_success boolean) returns void
language plpgsql set search_path = '' as $$
declare
  v_pattern uuid;
begin
  for v_pattern in
    update public.mira_learned_patterns t
    set run_count = t.run_count + 1, run_successes = t.run_successes + p_success::int,
      confidence = private.habit_confidence(t.observed_confidence, t.run_count + 1, t.run_successes + p_success::int)
    where t.workflow_id = p_workflow_id and t.user_id = p_user_id and t.valid_to is null
    returning t.behavior_pattern_id
  loop
    if v_pattern is not null then
      perform private.add_evidence(v_pattern, case when p_success then 'success' else 'failed' end);
    end if;
  end loop;
end $$;
comment on function private.learn_from_run(uuid, uuid, boolean) is
  'How a run of a promoted habit ended moves the confidence of the habit and of its behaviour pattern.';

create function public.mira_read_habit(p_user_id uuid, p_pattern_id uuid) returns json
language sql stable set search_path = '' as $$ select private.read_habit(p_user_id, p_pattern_id) $$;
comment on function public.mira_read_habit(uuid, uuid) is 'Server only. As private.read_habit.';

create function public.mira_promote_habit(p_user_id uuid, p_pattern_id uuid, p_draft jsonb) returns jsonb
language sql set search_path = '' as $$ select private.promote_habit(p_user_id, p_pattern_id, p_draft) $$;
comment on function public.mira_promote_habit(uuid, uuid, jsonb) is 'Server only. As private.promote_habit.';

revoke all on function private.read_habit(uuid, uuid), private.promote_habit(uuid, uuid, jsonb),
  private.learn_from_run(uuid, uuid, boolean), public.mira_read_habit(uuid, uuid), public.mira_promote_habit(uuid, uuid, jsonb)
  from public, anon, authenticated;
grant execute on function private.read_habit(uuid, uuid), private.promote_habit(uuid, uuid, jsonb),
  private.learn_from_run(uuid, uuid, boolean), public.mira_read_habit(uuid, uuid), public.mira_promote_habit(uuid, uuid, jsonb)
  to service_role;
