-- Learning, the change: what a round found becomes the current patterns of a user, and nothing is lost.

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

select private.open_to_server('{habit_confidence,likeness,merge_patterns}');
