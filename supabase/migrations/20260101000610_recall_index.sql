-- Recall, the index: the side table that searches read, and the triggers that keep it true.

create table private.recall_vectors (
  vid bigint generated always as identity primary key,
  -- no foreign keys: only triggers write here, and a check would cost as much as the insert
  user_id uuid not null,
  model_id smallint not null,
  source smallint not null,
  source_id uuid not null,
  cell smallint not null default 0,
  code bit(1536) not null,
  facets bigint not null,
  contexts jsonb,
  words bigint[] not null,
  e extensions.halfvec(1536) not null,
  unique (source_id, model_id, source)
) with (
  -- keep the 3 KB half vector inline, two rows a page: a re-rank is one page read, not five
  toast_tuple_target = 8160,
  -- index-only scans live from the visibility map
  autovacuum_vacuum_insert_threshold = 500,
  autovacuum_vacuum_insert_scale_factor = 0.01,
  autovacuum_vacuum_scale_factor = 0.02
);
comment on table private.recall_vectors is
  'Search copies of embeddings, one per row and model. Kept true by triggers on behavior_patterns and memories.';
comment on column private.recall_vectors.source is '1 = behavior_patterns, 2 = memories.';
comment on column private.recall_vectors.cell is
  'The neighbourhood it was filed in, of a user who has that many (recall_cells); 0 until then, and always read.';
comment on column private.recall_vectors.code is 'Sign bits of the embedding: 192 bytes that rank by Hamming distance.';
comment on column private.recall_vectors.facets is
  'Superimposed code (two bits a fact) of the contexts: a filter on directory, project_type, branch or files that asks for a bit not set here cannot match.';
comment on column private.recall_vectors.contexts is
  'The contexts with files under files_touched, as an array; null when empty. Decides a filter that the facets let pass.';
comment on column private.recall_vectors.words is 'Hashes of the words, salted by user: an inverted index per tenant.';
comment on column private.recall_vectors.e is 'The embedding, unit length, half precision.';

-- one user's codes lie side by side here whatever order rows arrived in, and in it those of a cell; the
-- user comes late, so that a search over everybody reads one range of it too
create index recall_vectors_code_idx on private.recall_vectors (model_id, source, user_id, cell) include (code, facets, vid);
create index recall_vectors_words_idx on private.recall_vectors using gin (words);

create table private.recall_receipts (
  user_id uuid not null references auth.users (id) on delete cascade,
  recall_id uuid not null,
  pattern_ids uuid[] not null,
  created_at timestamptz not null default now(),
  counted_at timestamptz,
  primary key (user_id, recall_id)
);
comment on table private.recall_receipts is
  'What a recall handed out. Counted later, in batches, exactly once per recall id.';
create index recall_receipts_uncounted_idx on private.recall_receipts (created_at) where counted_at is null;
create index recall_receipts_counted_at_idx on private.recall_receipts (counted_at) where counted_at is not null;

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

-- the two tables as the index sees them
create view private.recall_sources with (security_invoker = true) as
  select 1::smallint as source, p.id as source_id, p.user_id, p.embedding_model, p.trigger_embedding as embedding,
    p.trigger as body, array_to_string(p.trigger || p.aliases, ' ') as words,
    private.recall_contexts(p.context, p.other_contexts) as contexts
  from public.behavior_patterns p
  union all
  select 2::smallint, m.id, m.user_id, m.embedding_model, m.embedding,
    left(private.memory_procedure(m.content) ->> 'trigger', 8000),
    left(private.memory_procedure(m.content) ->> 'trigger', 8000),
    private.recall_contexts(case when jsonb_typeof(m.metadata -> 'context') = 'object' then m.metadata -> 'context' end)
  from public.memories m;
comment on view private.recall_sources is
  'behavior_patterns and memories in one shape: what is embedded (body), its words and its contexts.';
revoke all on private.recall_sources from public, anon, authenticated, service_role;

create function private.index_new_patterns() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  -- As index_recall_row does, for a whole statement at once; spelled out, because every call of a
  -- function costs more here than its work, and briefly, because preparing the expressions costs more
  -- than evaluating them. A value that is no text sets bits nobody asks for.
  insert into private.recall_vectors (user_id, model_id, source, source_id, code, facets, contexts, words, e)
  select n.user_id,
    coalesce((select m.id from private.embedding_models m where m.name = n.embedding_model),
      private.embedding_model_id(n.embedding_model)),
    1, n.id, extensions.binary_quantize(n.trigger_embedding)::bit(1536),
    case when n.is_plain then
      coalesce((1::bigint << (n.directory & 63)) | (1::bigint << ((n.directory >> 6) & 63)), 0)
        | coalesce((1::bigint << (n.project & 63)) | (1::bigint << ((n.project >> 6) & 63)), 0)
        | coalesce((1::bigint << (n.branch & 63)) | (1::bigint << ((n.branch >> 6) & 63)), 0)
      else private.recall_facets(private.recall_contexts(n.context, n.other_contexts)) end,
    case when n.is_plain then nullif(pg_catalog.jsonb_build_array(n.context), '[{}]'::jsonb)
      else private.recall_contexts(n.context, n.other_contexts) end,
    array(select pg_catalog.hashtextextended(w, pg_catalog.uuid_hash_extended(n.user_id, 0))
      from pg_catalog.unnest(pg_catalog.tsvector_to_array(
        pg_catalog.to_tsvector('pg_catalog.simple', pg_catalog.left(n.trigger, 4000)))) w),
    (case when abs(extensions.vector_norm(n.trigger_embedding) - 1) < 0.001 then n.trigger_embedding
      else extensions.l2_normalize(private.checked_embedding(n.trigger_embedding)) end)::extensions.halfvec(1536)
  from (
    select r.id, r.user_id, r.trigger, r.trigger_embedding, r.embedding_model, r.context, r.other_contexts,
      r.other_contexts = '[]'::jsonb and not r.context ?| '{files,files_touched}' as is_plain,
      pg_catalog.jsonb_hash(r.context -> 'directory') # 1 as directory,
      pg_catalog.jsonb_hash(r.context -> 'project_type') # 2 as project, pg_catalog.jsonb_hash(r.context -> 'branch') # 3 as branch
    from new_rows r where r.trigger_embedding is not null offset 0) n;
  return null;
end $$;
comment on function private.index_new_patterns() is 'Trigger: puts inserted patterns into the search index, one statement at a time.';

create function private.index_new_memories() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform private.index_recall_row(2::smallint, n.id) from new_rows n where n.embedding is not null;
  return null;
end $$;
comment on function private.index_new_memories() is 'Trigger: puts inserted memories into the search index.';

create function private.index_recall_row(p_source smallint, p_source_id uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
  v_model smallint;
  v_row record;
begin
  if p_source = 1 then
    select s.* into v_row from private.recall_sources s where s.source = 1 and s.source_id = p_source_id;
  else
    select s.* into v_row from private.recall_sources s where s.source = 2 and s.source_id = p_source_id;
  end if;
  if v_row.embedding is null then
    delete from private.recall_vectors v where v.source = p_source and v.source_id = p_source_id;
    return false;
  end if;
  v_model := private.embedding_model_id(v_row.embedding_model);
  insert into private.recall_vectors as v (user_id, model_id, source, source_id, code, facets, contexts, words, e)
  values (v_row.user_id, v_model, p_source, p_source_id,
    extensions.binary_quantize(v_row.embedding)::bit(1536), private.recall_facets(v_row.contexts), v_row.contexts,
    private.recall_words(v_row.user_id, v_row.words), extensions.l2_normalize(v_row.embedding)::extensions.halfvec(1536))
  on conflict (source_id, model_id, source) do update set
    user_id = excluded.user_id, code = excluded.code, facets = excluded.facets, contexts = excluded.contexts,
    words = excluded.words, e = excluded.e,
    cell = case when v.user_id = excluded.user_id and v.e operator(extensions.=) excluded.e then v.cell else 0 end;
  -- the vector of the model being moved to may stay: the same text, another model
  delete from private.recall_vectors v
  where v.source = p_source and v.source_id = p_source_id and v.model_id <> v_model
    and v.model_id is distinct from (select s.target_id from private.embedding_state s);
  return true;
end $$;
comment on function private.index_recall_row(smallint, uuid) is
  'Makes the search index true for one row; false when the row has no vector and therefore no entry.';

create function private.reindex_pattern() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if new.trigger is distinct from old.trigger or new.user_id is distinct from old.user_id
    or new.id is distinct from old.id then
    delete from private.recall_vectors v where v.source = 1 and v.source_id = old.id;
  end if;
  perform private.index_recall_row(1::smallint, new.id);
  return null;
end $$;
comment on function private.reindex_pattern() is 'Trigger: keeps the search index true when a pattern''s meaning changes.';

create function private.reindex_memory() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if new.content is distinct from old.content or new.user_id is distinct from old.user_id
    or new.id is distinct from old.id then
    delete from private.recall_vectors v where v.source = 2 and v.source_id = old.id;
  end if;
  perform private.index_recall_row(2::smallint, new.id);
  return null;
end $$;
comment on function private.reindex_memory() is 'Trigger: keeps the search index true when a memory''s meaning changes.';

create function private.unindex_recall_rows() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'TRUNCATE' then
    delete from private.recall_vectors v where v.source = tg_argv[0]::smallint;
  else
    delete from private.recall_vectors v using old_rows o
    where v.source_id = o.id and v.source = tg_argv[0]::smallint;
  end if;
  return null;
end $$;
comment on function private.unindex_recall_rows() is 'Trigger: deleted rows leave the search index.';

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
create trigger behavior_patterns_index_insert after insert on public.behavior_patterns
  referencing new table as new_rows for each statement execute function private.index_new_patterns();
create trigger behavior_patterns_index_update
  after update of id, user_id, trigger, trigger_embedding, embedding_model, context, other_contexts, aliases
  on public.behavior_patterns for each row execute function private.reindex_pattern();
create trigger behavior_patterns_index_delete after delete on public.behavior_patterns
  referencing old table as old_rows for each statement execute function private.unindex_recall_rows('1');
create trigger behavior_patterns_index_truncate after truncate on public.behavior_patterns
  for each statement execute function private.unindex_recall_rows('1');

create trigger memories_updated_at before update on public.memories
  for each row execute function private.set_updated_at();
create trigger memories_prepare before insert or update of content, embedding, embedding_model on public.memories
  for each row execute function private.prepare_memory();
create trigger memories_index_insert after insert on public.memories
  referencing new table as new_rows for each statement execute function private.index_new_memories();
create trigger memories_index_update after update of id, user_id, content, embedding, embedding_model on public.memories
  for each row execute function private.reindex_memory();
create trigger memories_index_context after update of metadata on public.memories
  for each row when (old.metadata -> 'context' is distinct from new.metadata -> 'context')
  execute function private.reindex_memory();
create trigger memories_index_delete after delete on public.memories
  referencing old table as old_rows for each statement execute function private.unindex_recall_rows('2');
create trigger memories_index_truncate after truncate on public.memories
  for each statement execute function private.unindex_recall_rows('2');

alter table private.recall_vectors enable row level security;
alter table private.recall_receipts enable row level security;
revoke all on private.recall_vectors, private.recall_receipts from public, anon, authenticated;
create policy recall_vectors_all_server on private.recall_vectors for all to service_role using (true) with check (true);
create policy recall_receipts_all_server on private.recall_receipts for all to service_role using (true) with check (true);

select private.open_to_server('{
  recall_contexts,recall_facets,recall_words,memory_procedure,action_sequence,check_pattern,prepare_behavior_pattern,
  prepare_memory,index_new_patterns,index_new_memories,index_recall_row,reindex_pattern,reindex_memory,
  unindex_recall_rows,update_behavior_pattern_timestamp}');
