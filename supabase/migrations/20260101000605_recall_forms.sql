-- Recall, the forms: what is asked of a pattern or a memory before it is stored, and the normal forms in which
-- searches compare them: contexts, facets, words, sequences of actions.

-- contexts as one JSON array, each with its files under the seed's name for them
create function private.recall_contexts(p_context jsonb, p_others jsonb default null) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  if p_others is null or p_others = '[]'::jsonb then
    if p_context is null or p_context = '{}'::jsonb then
      return null;
    elsif not p_context ? 'files' then
      return pg_catalog.jsonb_build_array(p_context);
    end if;
  end if;
  return (
    select pg_catalog.jsonb_agg(
      case when pg_catalog.jsonb_typeof(c.value) = 'object' and c.value ? 'files' then
        (c.value - 'files') || pg_catalog.jsonb_build_object(
          'files_touched', coalesce(c.value -> 'files_touched', '[]'::jsonb) || (c.value -> 'files'))
      else c.value end)
    from pg_catalog.jsonb_array_elements(pg_catalog.jsonb_build_array(p_context) || coalesce(p_others, '[]'::jsonb)) c);
end $$;
comment on function private.recall_contexts(jsonb, jsonb) is
  'A row''s contexts as one array with files and files_touched as the same key; null when there is nothing to filter by.';

create function private.recall_facets(p_contexts jsonb) returns bigint
language plpgsql immutable set search_path = '' as $$
begin
  -- texts only: an array or object asked for may be contained in another one
  return (
    select coalesce(pg_catalog.bit_or((1::bigint << (h.hash & 63)) | (1::bigint << ((h.hash >> 6) & 63))), 0)
    from (
      select pg_catalog.jsonb_hash(c.value -> k.name) # k.kind as hash
      from pg_catalog.jsonb_array_elements(p_contexts) c
      cross join (values ('directory', 1), ('project_type', 2), ('branch', 3)) k (name, kind)
      where pg_catalog.jsonb_typeof(c.value -> k.name) = 'string'
      union all
      select pg_catalog.jsonb_hash(f.value) # 4
      from pg_catalog.jsonb_array_elements(p_contexts) c
      cross join lateral pg_catalog.jsonb_array_elements(
        case pg_catalog.jsonb_typeof(c.value -> 'files_touched') when 'array' then c.value -> 'files_touched' end) f
      where pg_catalog.jsonb_typeof(f.value) = 'string') h);
end $$;
comment on function private.recall_facets(jsonb) is
  'The superimposed code of an array of contexts: directory, project_type, branch and files.';

create function private.recall_words(p_user_id uuid, p_text text) returns bigint[]
language plpgsql immutable set search_path = '' as $$
declare
  v_salt bigint := pg_catalog.uuid_hash_extended(p_user_id, 0);
begin
  return array(
    select pg_catalog.hashtextextended(w, v_salt)
    from pg_catalog.unnest(pg_catalog.tsvector_to_array(
      pg_catalog.to_tsvector('pg_catalog.simple', pg_catalog.left(p_text, 4000)))) w);
end $$;
comment on function private.recall_words(uuid, text) is 'Hashes of a text''s words, salted by user.';

-- option A's content: JSON with a trigger, or a plain note
create function private.memory_procedure(p_content text) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
  v_json jsonb;
begin
  if pg_catalog.left(p_content, 1) = '{' then
    v_json := p_content::jsonb;
    if pg_catalog.jsonb_typeof(v_json -> 'trigger') = 'string' and v_json ->> 'trigger' <> '' then
      return pg_catalog.jsonb_build_object(
        'trigger', v_json ->> 'trigger',
        'actions', case when pg_catalog.jsonb_typeof(v_json -> 'actions') = 'array' then v_json -> 'actions' else '[]'::jsonb end,
        'outcome', coalesce(v_json ->> 'final_outcome', v_json ->> 'outcome'));
    end if;
  end if;
  return pg_catalog.jsonb_build_object('trigger', p_content, 'actions', '[]'::jsonb, 'outcome', null);
exception when others then
  -- not JSON after all, or JSON that jsonb cannot hold: a note like any other
  return pg_catalog.jsonb_build_object('trigger', p_content, 'actions', '[]'::jsonb, 'outcome', null);
end $$;
comment on function private.memory_procedure(text) is
  'A memory read as a procedure: {trigger, actions, outcome}; a plain note is all trigger.';

create function private.action_sequence(p_actions jsonb) returns text[]
language plpgsql immutable set search_path = '' as $$
begin
  return array(
    select coalesce(a.value ->> 'tool', a.value ->> 'type', a.value ->> 'name', a.value ->> 'action', a.value #>> '{}')
    from pg_catalog.jsonb_array_elements(p_actions) with ordinality a
    order by a.ordinality limit 64);
end $$;
comment on function private.action_sequence(jsonb) is 'The names of the first 64 actions, in order.';

create function private.check_pattern(p_trigger text, p_context jsonb, p_actions jsonb, p_final_outcome text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if coalesce(pg_catalog.length(p_trigger), 0) not between 1 and 8000 then
    raise exception using errcode = 'PT422', message = 'trigger_invalid',
      detail = 'The trigger is a text of 1 to 8000 characters.';
  end if;
  if p_final_outcome is null or p_final_outcome not in ('success', 'partial', 'failed') then
    raise exception using errcode = 'PT422', message = 'outcome_invalid',
      detail = 'The outcome is success, partial or failed.';
  end if;
  if p_context is null or pg_catalog.jsonb_typeof(p_context) <> 'object' or pg_catalog.pg_column_size(p_context) > 16384 then
    raise exception using errcode = 'PT422', message = 'context_invalid',
      detail = 'The context is a JSON object of at most 16 KiB.';
  end if;
  if p_actions is null or pg_catalog.jsonb_typeof(p_actions) <> 'array' or pg_catalog.pg_column_size(p_actions) > 131072 then
    raise exception using errcode = 'PT422', message = 'actions_invalid',
      detail = 'The actions are a JSON array of at most 128 KiB.';
  end if;
end $$;
comment on function private.check_pattern(text, jsonb, jsonb, text) is
  'A clear error when a pattern''s trigger, outcome, context or actions are not what they may be.';

-- before a row is stored: its values are within their limits, a vector is one, and a changed text has
-- lost its vector
create function private.prepare_behavior_pattern() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  -- in one expression, because each is prepared anew in every transaction; which limit it was is asked after
  if not (pg_catalog.length(new.trigger) between 1 and 8000
    and new.final_outcome in ('success', 'partial', 'failed')
    and pg_catalog.jsonb_typeof(new.context) = 'object' and pg_catalog.pg_column_size(new.context) <= 16384
    and pg_catalog.jsonb_typeof(new.actions) = 'array' and pg_catalog.pg_column_size(new.actions) <= 131072
    and new.confidence between 0 and 1 and pg_catalog.cardinality(new.aliases) <= 20
    and least(new.success_count, new.partial_count, new.failure_count) >= 0) then
    perform private.check_pattern(new.trigger, new.context, new.actions, new.final_outcome);
    raise exception using errcode = 'PT422', message = 'evidence_invalid',
      detail = 'Confidence is between 0 and 1, counts are not negative, and there are at most 20 aliases.';
  end if;
  if tg_op = 'INSERT' then
    if (new.trigger_embedding is null) = (new.embedding_model is null) then
      return new; -- index_new_patterns checks the vector, a statement at a time
    end if;
  elsif new.trigger is distinct from old.trigger and coalesce(
    new.trigger_embedding operator(extensions.=) old.trigger_embedding,
    old.trigger_embedding is null and new.trigger_embedding is null) then
    new.trigger_embedding := null;
  end if;
  if new.trigger_embedding is null then
    new.embedding_model := null;
    return new;
  end if;
  perform private.checked_embedding(new.trigger_embedding);
  new.embedding_model := private.known_model(new.embedding_model);
  return new;
end $$;
comment on function private.prepare_behavior_pattern() is
  'Trigger: keeps the limits, checks the vector, names its model, drops it when the text changed.';

create function private.prepare_memory() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and new.content is distinct from old.content and coalesce(
    new.embedding operator(extensions.=) old.embedding, old.embedding is null and new.embedding is null) then
    new.embedding := null;
  end if;
  if new.embedding is null then
    new.embedding_model := null;
    return new;
  end if;
  perform private.checked_embedding(new.embedding);
  new.embedding_model := private.known_model(new.embedding_model);
  return new;
end $$;
comment on function private.prepare_memory() is
  'Trigger: checks the vector, names its model, drops it when the text changed.';

-- the seed's name
create function public.update_behavior_pattern_timestamp() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function public.update_behavior_pattern_timestamp() is
  'Trigger named by seed 001: stamps updated_at with the database clock.';

create trigger behavior_patterns_updated_at before update on public.behavior_patterns
  for each row when (new.updated_at is distinct from now()) execute function public.update_behavior_pattern_timestamp();
create trigger behavior_patterns_prepare_insert before insert on public.behavior_patterns
  for each row execute function private.prepare_behavior_pattern();
-- not of use_count, which moves most: a count of uses costs nothing here
create trigger behavior_patterns_prepare_update
  before update of trigger, trigger_embedding, embedding_model, context, actions, final_outcome, confidence, aliases,
    success_count, partial_count, failure_count on public.behavior_patterns
  for each row execute function private.prepare_behavior_pattern();

create trigger memories_updated_at before update on public.memories
  for each row execute function private.set_updated_at();
create trigger memories_prepare before insert or update of content, embedding, embedding_model on public.memories
  for each row execute function private.prepare_memory();

select private.open_to_server('{
  recall_contexts,recall_facets,recall_words,memory_procedure,action_sequence,check_pattern,prepare_behavior_pattern,
  prepare_memory,update_behavior_pattern_timestamp}');
