-- Patterns, what is learned of them: uses counted once, near-duplicates merged, outcomes weighed.

-- ---------------------------------------------------------------------------------------------
-- uses, counted in batches

create function private.count_recalls(p_limit int default 1000) returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_ids uuid[];
  v_due int;
begin
  -- one counter at a time: rows are updated in one order, and a hot pattern once per batch
  if not pg_try_advisory_xact_lock(hashtextextended('private.count_recalls', 0)) then
    return 0;
  end if;
  with due as (
    select r.user_id, r.recall_id from private.recall_receipts r
    where r.counted_at is null order by r.created_at limit least(greatest(coalesce(p_limit, 1000), 1), 10000)
    for update),
  counted as (
    update private.recall_receipts r set counted_at = now() from due d
    where r.user_id = d.user_id and r.recall_id = d.recall_id
    returning r.user_id, r.pattern_ids),
  uses as (
    select c.user_id, i.id, count(*)::int as uses
    from counted c cross join lateral unnest(c.pattern_ids) i (id) group by 1, 2),
  patterns as (
    update public.behavior_patterns p set use_count = p.use_count + u.uses, last_used_at = now()
    from uses u where p.id = u.id and p.user_id = u.user_id),
  notes as (
    update public.memories m set metadata = m.metadata || jsonb_build_object(
      'use_count', private.memory_number(m.metadata, 'use_count', 0) + u.uses)
    from uses u where m.id = u.id and m.user_id = u.user_id)
  select count(*) into v_due from counted;
  return v_due;
end $$;
comment on function private.count_recalls(int) is
  'Counts the uses of receipts not counted yet; returns how many receipts. Definer: server-written columns and a private table.';

create function public.mira_count_recalls(p_limit int default 1000) returns int
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.count_recalls(p_limit);
end $$;
comment on function public.mira_count_recalls(int) is
  'Server only. Adds the uses of recent recalls to use_count, each recall id once; returns the receipts counted.';

create function public.increment_pattern_use_count(pattern_id uuid) returns void
language plpgsql volatile security invoker set search_path = '' as $$
begin
  if not private.increment_pattern_use_count(pattern_id) then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No such pattern of yours.';
  end if;
end $$;
comment on function public.increment_pattern_use_count(uuid) is
  'Seed 001: one more use of a pattern. A user reaches only their own; an unknown or foreign id is not found.';

create function private.increment_pattern_use_count(p_pattern_id uuid) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user uuid := private.acting_user();
begin
  -- stamped here: the trigger would do the same for the price of another function
  update public.behavior_patterns p set use_count = p.use_count + 1, last_used_at = now(), updated_at = now()
  where p.id = p_pattern_id and (v_user is null or p.user_id = v_user);
  return found;
end $$;
comment on function private.increment_pattern_use_count(uuid) is
  'Body of increment_pattern_use_count. Definer: clients may not write use_count themselves.';

-- ---------------------------------------------------------------------------------------------
-- recording and learning from outcomes

create function private.outcome_value(p_outcome text) returns double precision
language plpgsql immutable set search_path = '' as $$
begin
  return case p_outcome when 'success' then 1 when 'partial' then 0.5 when 'failed' then 0 end;
end $$;
comment on function private.outcome_value(text) is 'success 1, partial 0.5, failed 0; null for any other word.';

create function private.add_evidence(p_pattern_id uuid, p_outcome text) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  update public.behavior_patterns p set
    confidence = least(1, round(((p.confidence * (2 + n.total) + private.outcome_value(p_outcome)) / (3 + n.total))::numeric, 9)),
    success_count = p.success_count + (p_outcome = 'success')::int,
    partial_count = p.partial_count + (p_outcome = 'partial')::int,
    failure_count = p.failure_count + (p_outcome = 'failed')::int,
    -- the outcome with most evidence; a tie changes nothing
    final_outcome = case
      when 1 + case p_outcome when 'success' then p.success_count when 'partial' then p.partial_count else p.failure_count end
         > case p.final_outcome when 'success' then p.success_count when 'partial' then p.partial_count else p.failure_count end
           + (n.total = 0)::int -- what was written without evidence counts as one observation
      then p_outcome else p.final_outcome end
  from (select b.id, b.success_count + b.partial_count + b.failure_count as total
        from public.behavior_patterns b where b.id = p_pattern_id for update) n
  where p.id = n.id;
end $$;
comment on function private.add_evidence(uuid, text) is
  'One more observed outcome of a pattern: Beta posterior, counts, and the outcome that prevails. Callers have checked the user.';

create function private.sequence_similarity(p_a text[], p_b text[]) returns double precision
language plpgsql immutable set search_path = '' as $$
declare
  v_a int := pg_catalog.cardinality(p_a);
  v_b int := pg_catalog.cardinality(p_b);
  v_row int[];
  v_diagonal int;
  v_above int;
begin
  if p_a = p_b then
    return 1;
  end if;
  if v_a = 0 or v_b = 0 then
    return 0;
  end if;
  v_row := pg_catalog.array_fill(0, array[v_b]);
  for i in 1..v_a loop
    v_diagonal := 0;
    for j in 1..v_b loop
      v_above := v_row[j];
      if p_a[i] = p_b[j] then
        v_row[j] := v_diagonal + 1;
      elsif j > 1 and v_row[j - 1] > v_above then
        v_row[j] := v_row[j - 1];
      end if;
      v_diagonal := v_above;
    end loop;
  end loop;
  return 2.0 * v_row[v_b] / (v_a + v_b);
end $$;
comment on function private.sequence_similarity(text[], text[]) is
  'Likeness of two action sequences: twice the longest common subsequence over both lengths, 0 to 1.';

create table private.evidence_receipts (
  user_id uuid not null references auth.users (id) on delete cascade,
  request_id uuid not null,
  pattern_id uuid references public.behavior_patterns (id) on delete cascade,
  merged boolean,
  created_at timestamptz not null default now(),
  primary key (user_id, request_id)
);
create index evidence_receipts_pattern_id_idx on private.evidence_receipts (pattern_id);
create index evidence_receipts_created_at_idx on private.evidence_receipts (created_at);
comment on table private.evidence_receipts is
  'What a request recorded, or that it gave feedback (then without a pattern). A request that is made again (a step after a crash) finds its receipt and counts nothing.';
alter table private.evidence_receipts enable row level security;
revoke all on private.evidence_receipts from public, anon, authenticated;
grant select, insert, update, delete on private.evidence_receipts to service_role;
create policy evidence_receipts_all_server on private.evidence_receipts for all to service_role using (true) with check (true);

create function public.mira_record_pattern(
  p_user_id uuid, p_trigger text, p_context jsonb default '{}'::jsonb, p_actions jsonb default '[]'::jsonb,
  p_final_outcome text default 'success', p_embedding extensions.vector default null, p_model text default null,
  p_dimensions int default null, p_request_id uuid default null)
returns table (id uuid, merged boolean, confidence double precision, use_count int)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select r.id, r.merged, r.confidence, r.use_count
    from private.record_pattern(p_user_id, p_trigger, p_context, p_actions, p_final_outcome, p_embedding, p_model, p_dimensions, p_request_id) r;
end $$;
comment on function public.mira_record_pattern(uuid, text, jsonb, jsonb, text, extensions.vector, text, int, uuid) is
  'Server only. Records a procedure of a user. Near-duplicates (same text or cosine ≥ 0.9, and action sequences alike ≥ 0.8) merge: counts and wordings are kept, nothing is deleted. Without p_embedding a cached one is used, else the embedding job fills it in. The same p_request_id again counts nothing and answers as the first.';

-- one more observation of a pattern that is known: counts, the other wording, the other context
create function private.add_observation(p_id uuid, p_trigger text, p_context jsonb, p_outcome text,
  p_embedding extensions.vector, p_model text) returns void
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform private.add_evidence(p_id, p_outcome);
  update public.behavior_patterns p set use_count = p.use_count + 1, last_used_at = now() where p.id = p_id;
  update public.behavior_patterns p set aliases = p.aliases || p_trigger
  where p.id = p_id and lower(p.trigger) <> lower(p_trigger) and p_trigger <> all (p.aliases) and cardinality(p.aliases) < 20;
  update public.behavior_patterns p set other_contexts = p.other_contexts || jsonb_build_array(p_context)
  where p.id = p_id and p.context <> p_context and p_context <> '{}'::jsonb
    and not p.other_contexts @> jsonb_build_array(p_context) and jsonb_array_length(p.other_contexts) < 20;
  update public.behavior_patterns p set trigger_embedding = p_embedding, embedding_model = p_model
  where p.id = p_id and p.trigger_embedding is null and p_embedding is not null and p.trigger = p_trigger;
end $$;
comment on function private.add_observation(uuid, text, jsonb, text, extensions.vector, text) is
  'Joins one more record to a pattern: evidence, use, wording, context, and the embedding it may still lack.';

create function private.record_pattern(
  p_user_id uuid, p_trigger text, p_context jsonb, p_actions jsonb, p_final_outcome text,
  p_embedding extensions.vector, p_model text, p_dimensions int, p_request_id uuid default null)
returns table (id uuid, merged boolean, confidence double precision, use_count int)
language plpgsql volatile security definer set search_path = '' as $$
#variable_conflict use_column
declare
  v_user uuid := private.required_user(p_user_id);
  v_trigger text := btrim(regexp_replace(p_trigger, '\s+', ' ', 'g'));
  v_context jsonb := coalesce(p_context, '{}'::jsonb);
  v_actions jsonb := coalesce(p_actions, '[]'::jsonb);
  v_tools text[];
  v_embedding extensions.vector := p_embedding;
  v_model smallint;
  v_model_name text := p_model;
  v_twin uuid;
  v_merged boolean;
begin
  perform private.check_pattern(v_trigger, v_context, v_actions, p_final_outcome);
  v_tools := private.action_sequence(v_actions);

  -- same user, one at a time: of many who record the same thing at once, one inserts and the rest merge
  perform pg_advisory_xact_lock(hashtextextended('private.record_pattern', uuid_hash_extended(v_user, 0)));

  select r.pattern_id, r.merged into v_twin, v_merged from private.evidence_receipts r
  where r.user_id = v_user and r.request_id = p_request_id;
  if found then
    return query select p.id, v_merged, p.confidence, p.use_count from public.behavior_patterns p where p.id = v_twin;
    return;
  end if;

  if v_embedding is not null then
    perform private.checked_embedding(v_embedding);
    v_model := private.embedding_model_id(p_model, p_dimensions);
  else
    select c.embedding, m.id, m.name into v_embedding, v_model, v_model_name
    from private.embedding_state s
    join private.embedding_models m on m.id = s.answering_id
    join private.embedding_cache c on c.model_id = m.id and c.text_hash = sha256(convert_to(v_trigger, 'UTF8'));
  end if;

  select p.id into v_twin from public.behavior_patterns p
  where p.user_id = v_user
    and hashtextextended(lower(p.trigger), 0) = hashtextextended(lower(v_trigger), 0) and lower(p.trigger) = lower(v_trigger)
    and private.sequence_similarity(private.action_sequence(p.actions), v_tools) >= 0.8
  order by p.created_at limit 1;
  if v_twin is null and v_embedding is not null then
    select p.id into v_twin
    from private.recall_nearest(v_user, v_model, '{1}', v_embedding, 20, 0.9) n
    join public.behavior_patterns p on p.id = n.source_id
    where n.similarity >= 0.9
      and private.sequence_similarity(private.action_sequence(p.actions), v_tools) >= 0.8
    order by n.similarity desc, p.created_at limit 1;
  end if;

  v_merged := v_twin is not null;
  if not v_merged then
    insert into public.behavior_patterns
      (user_id, trigger, trigger_embedding, embedding_model, context, actions, final_outcome, confidence,
       success_count, partial_count, failure_count)
    values (v_user, v_trigger, v_embedding, case when v_embedding is not null then coalesce(v_model_name, private.answering_model()) end,
      v_context, v_actions, p_final_outcome,
      round(((2 * 0.7 + private.outcome_value(p_final_outcome)) / 3)::numeric, 9),
      (p_final_outcome = 'success')::int, (p_final_outcome = 'partial')::int, (p_final_outcome = 'failed')::int)
    returning behavior_patterns.id into v_twin;
  else
    perform private.add_observation(v_twin, v_trigger, v_context, p_final_outcome, v_embedding, v_model_name);
  end if;
  if p_request_id is not null then
    insert into private.evidence_receipts (user_id, request_id, pattern_id, merged)
    values (v_user, p_request_id, v_twin, v_merged);
  end if;
  return query select p.id, v_merged, p.confidence, p.use_count from public.behavior_patterns p where p.id = v_twin;
end $$;
comment on function private.record_pattern(uuid, text, jsonb, jsonb, text, extensions.vector, text, int, uuid) is
  'Body of mira_record_pattern. Definer: writes server-written columns, for the acting user only.';

create function public.mira_pattern_feedback(
  p_user_id uuid, p_pattern_id uuid, p_outcome text, p_request_id uuid default null)
returns table (confidence double precision, use_count int)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select f.confidence, f.use_count from private.pattern_feedback(p_user_id, p_pattern_id, p_outcome, p_request_id) f;
end $$;
comment on function public.mira_pattern_feedback(uuid, uuid, text, uuid) is
  'Server only. How a recalled pattern (or workflow memory) turned out for its user; moves its confidence. The same p_request_id again counts nothing.';

create function private.pattern_feedback(p_user_id uuid, p_pattern_id uuid, p_outcome text, p_request_id uuid)
returns table (confidence double precision, use_count int)
language plpgsql volatile security definer set search_path = '' as $$
#variable_conflict use_column
declare
  v_user uuid := private.required_user(p_user_id);
  v_is_new boolean := true;
  v_metadata jsonb;
  v_evidence double precision;
  v_failed double precision;
begin
  if private.outcome_value(p_outcome) is null then
    raise exception using errcode = 'PT422', message = 'outcome_invalid',
      detail = 'The outcome is success, partial or failed.';
  end if;
  if p_request_id is not null then
    insert into private.evidence_receipts (user_id, request_id) values (v_user, p_request_id) on conflict do nothing;
    v_is_new := found;
  end if;
  perform from public.behavior_patterns p where p.id = p_pattern_id and p.user_id = v_user for update;
  if found then
    if v_is_new then
      perform private.add_evidence(p_pattern_id, p_outcome);
    end if;
    return query select p.confidence, p.use_count from public.behavior_patterns p where p.id = p_pattern_id;
    return;
  end if;
  select m.metadata into v_metadata from public.memories m
  where m.id = p_pattern_id and m.user_id = v_user for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No such pattern of yours.';
  end if;
  if not v_is_new then
    return query select private.memory_number(v_metadata, 'confidence', 0.7, 1),
      private.memory_number(v_metadata, 'use_count', 0)::int;
    return;
  end if;
  -- a memory keeps the same posterior in its metadata
  v_evidence := private.memory_number(v_metadata, 'evidence', 0);
  v_failed := private.memory_number(v_metadata, 'failures', 0) + (p_outcome = 'failed')::int;
  v_metadata := v_metadata || jsonb_build_object(
    'confidence', least(1, greatest(0, round(((private.memory_number(v_metadata, 'confidence', 0.7, 1) * (2 + v_evidence)
      + private.outcome_value(p_outcome)) / (3 + v_evidence))::numeric, 9))),
    'evidence', v_evidence + 1, 'failures', v_failed);
  if v_failed > (v_evidence + 2) / 2 then
    v_metadata := v_metadata || '{"final_outcome": "failed"}'::jsonb;
  elsif v_metadata ->> 'final_outcome' = 'failed' then
    v_metadata := v_metadata || jsonb_build_object('final_outcome', p_outcome);
  end if;
  update public.memories m set metadata = v_metadata where m.id = p_pattern_id;
  return query select private.memory_number(v_metadata, 'confidence', 0.7, 1),
    private.memory_number(v_metadata, 'use_count', 0)::int;
end $$;
comment on function private.pattern_feedback(uuid, uuid, text, uuid) is
  'Body of mira_pattern_feedback. Definer: writes server-written columns, for the acting user only.';

select private.open_to_server('{
  count_recalls,mira_count_recalls,increment_pattern_use_count,outcome_value,add_evidence,sequence_similarity,
  mira_record_pattern,record_pattern,add_observation,mira_pattern_feedback,pattern_feedback}');
grant execute on function
  public.increment_pattern_use_count(uuid),
  private.increment_pattern_use_count(uuid)
  to authenticated;
