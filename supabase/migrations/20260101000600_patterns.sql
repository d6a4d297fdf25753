-- Patterns: what worked before, found again by meaning.
--
-- Two tables hold what can be recalled. `behavior_patterns` (seed 001, option B) is a procedure:
-- trigger → actions → outcome. `memories` (option A) is any note; its type 'workflow' carries a
-- procedure as JSON. Both are searched by one core.
--
-- The search does not use the seed's ivfflat index, which filters tenants after the scan and so
-- loses half of a large user's true neighbours, and which re-inserts a 6 KB vector whenever a
-- counter moves. Instead `private.recall_vectors` keeps, per vector, its 1536 sign bits inside a
-- covering B-tree by (user, model, source) and a half-precision copy inline in the heap. A search is
-- one index-only range scan over the caller's own codes (about 0.1 µs a row), then a re-rank of the
-- few dozen nearest by half vectors, then the exact similarity of the winners. The user, the
-- embedding model and the context filter all act inside that scan, so nothing is ever lost to a
-- filter, and vectors of two models never meet. The margin is four standard deviations of the
-- Hamming distance between vectors of equal cosine (about 15 bits of 1536).
--
-- Counters never touch a vector, an index or this file's side tables: `use_count`, `confidence` and
-- the evidence counts are in no index, so their updates stay on the heap page (HOT). That is why the
-- seed's indexes on use_count and confidence are not here: one user's rows are sorted in memory. Its GIN
-- over whole `actions` documents is not here either: nothing asks for it and it costs a third of an insert.
--
-- Confidence is the mean of a Beta posterior: the first value is a prior worth two observations, and
-- with n = success + partial + failure counted, one more outcome x moves it to
-- (confidence·(2+n) + x) / (3+n), x = 1, 0.5 or 0. Nothing else needs to be stored.

-- ---------------------------------------------------------------------------------------------
-- embedding models

create table private.embedding_models (
  id smallint generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 200),
  dimensions smallint not null default 1536 check (dimensions between 1 and 1536),
  margin smallint not null generated always as (ceil(64 * sqrt(dimensions / 1536.0))) stored,
  created_at timestamptz not null default now()
);
comment on table private.embedding_models is
  'Embedding models by a small number that fits into the search index. Vectors of two models are never compared.';
comment on column private.embedding_models.dimensions is
  'The model''s own dimensions; shorter vectors are stored zero-padded to 1536, which leaves cosine unchanged.';

comment on column private.embedding_models.margin is
  'Bits of Hamming distance beyond the k-th best that are re-ranked: four standard deviations of the noise at equal cosine, which a shorter model has less of.';

create table private.embedding_state (
  is_single boolean primary key default true check (is_single),
  answering_id smallint references private.embedding_models (id),
  target_id smallint references private.embedding_models (id),
  cursor_source smallint not null default 1,
  cursor_id uuid,
  is_sweeping boolean not null default false,
  leased_until timestamptz,
  changed_at timestamptz not null default now()
);
comment on table private.embedding_state is
  'One row: the model that answers searches, the model being moved to, and where the move stands.';
comment on column private.embedding_state.is_sweeping is
  'The new model answers already; the last job is to bring behavior_patterns.trigger_embedding up to it.';
create index embedding_state_answering_id_idx on private.embedding_state (answering_id);
create index embedding_state_target_id_idx on private.embedding_state (target_id);
insert into private.embedding_state default values;

create table private.embedding_cache (
  model_id smallint not null references private.embedding_models (id) on delete cascade,
  text_hash bytea not null,
  embedding extensions.vector(1536) not null,
  created_at timestamptz not null default now(),
  primary key (model_id, text_hash)
);
comment on table private.embedding_cache is
  'A text is paid for once: its embedding by model and SHA-256 of the text. The text itself is not kept.';
create index embedding_cache_created_at_idx on private.embedding_cache (created_at);

create table private.embedding_failures (
  source smallint not null,
  source_id uuid not null,
  model_id smallint not null references private.embedding_models (id) on delete cascade,
  attempts int not null default 1,
  detail text not null,
  failed_at timestamptz not null default now(),
  primary key (source, source_id, model_id)
);
comment on table private.embedding_failures is
  'Texts a model refused. After three attempts the re-embedding job goes on without them.';
create index embedding_failures_model_id_idx on private.embedding_failures (model_id);

-- the number of a model; a name seen for the first time gets one, and the first ever answers
create function private.embedding_model_id(p_name text, p_dimensions int default null) returns smallint
language plpgsql security definer set search_path = '' as $$
declare
  v_answering smallint;
  v_id smallint;
begin
  select s.answering_id into v_answering from private.embedding_state s;
  if p_name is null and v_answering is not null then
    return v_answering;
  end if;
  select m.id into v_id from private.embedding_models m where m.name = coalesce(p_name, 'unspecified');
  if v_id is null then
    insert into private.embedding_models (name, dimensions)
    values (coalesce(p_name, 'unspecified'), coalesce(p_dimensions, 1536))
    on conflict (name) do update set name = excluded.name
    returning id into v_id;
  elsif p_dimensions is not null then
    update private.embedding_models m set dimensions = p_dimensions where m.id = v_id and m.dimensions <> p_dimensions;
  end if;
  if v_answering is null then
    update private.embedding_state s set answering_id = v_id, changed_at = now() where s.answering_id is null;
  elsif v_answering <> v_id
    and exists (select from private.embedding_models m where m.id = v_answering and m.name = 'unspecified')
    and not exists (select from private.recall_vectors v where v.model_id = v_answering) then
    -- a nameless model nobody has a vector of steps aside at once
    update private.embedding_state s set answering_id = v_id, changed_at = now() where s.answering_id = v_answering;
  end if;
  return v_id;
end $$;
comment on function private.embedding_model_id(text, int) is
  'The number of an embedding model, made on first sight. Null means the model that answers now.';

create function private.known_model(p_name text) returns text
language plpgsql security definer set search_path = '' as $$
declare
  v_id smallint;
begin
  if exists (select from private.embedding_models m where m.name = p_name) then
    return p_name;
  end if;
  v_id := private.embedding_model_id(p_name);
  return (select m.name from private.embedding_models m where m.id = v_id);
end $$;
comment on function private.known_model(text) is 'The same model name, now known; null becomes the model that answers.';

create function private.answering_model() returns text
language plpgsql stable security definer set search_path = '' as $$
begin
  return (select m.name from private.embedding_state s join private.embedding_models m on m.id = s.answering_id);
end $$;
comment on function private.answering_model() is 'The name of the model that answers searches now; null before the first vector. '
  'Definer: people cannot read private tables.';

-- a vector that can be searched: 1536 numbers, not all zero
create function private.checked_embedding(p_embedding extensions.vector) returns extensions.vector
language plpgsql immutable set search_path = '' as $$
declare
  v_dimensions int := extensions.vector_dims(p_embedding);
begin
  if p_embedding is null then
    raise exception using errcode = 'PT422', message = 'embedding_required',
      detail = 'An embedding is needed: 1536 numbers.';
  end if;
  if v_dimensions <> 1536 then
    raise exception using errcode = 'PT422', message = 'embedding_dimensions',
      detail = pg_catalog.format('An embedding has 1536 numbers, not %s. Pad a shorter one with zeros.', v_dimensions);
  end if;
  if extensions.vector_norm(p_embedding) = 0 then
    raise exception using errcode = 'PT422', message = 'embedding_is_zero',
      detail = 'An embedding of zeros has no direction and is similar to nothing.';
  end if;
  return p_embedding;
end $$;
comment on function private.checked_embedding(extensions.vector) is
  'The same vector, or a clear error if it is null, zero or not of 1536 dimensions. (NaN and infinity are refused by the type.)';

-- ---------------------------------------------------------------------------------------------
-- tables of the domain

create table public.behavior_patterns (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  trigger text not null check (length(trigger) between 1 and 8000),
  trigger_embedding extensions.vector(1536),
  context jsonb not null default '{}'::jsonb
    check (jsonb_typeof(context) = 'object' and pg_column_size(context) <= 16384),
  actions jsonb not null default '[]'::jsonb
    check (jsonb_typeof(actions) = 'array' and pg_column_size(actions) <= 131072),
  final_outcome text not null check (final_outcome in ('success', 'partial', 'failed')),
  confidence double precision not null default 0.7 check (confidence >= 0 and confidence <= 1),
  use_count int not null default 1 check (use_count >= 0),
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  embedding_model text,
  success_count int not null default 0 check (success_count >= 0),
  partial_count int not null default 0 check (partial_count >= 0),
  failure_count int not null default 0 check (failure_count >= 0),
  aliases text[] not null default '{}' check (cardinality(aliases) <= 20),
  other_contexts jsonb not null default '[]'::jsonb
) with (fillfactor = 85);

comment on table public.behavior_patterns is 'Stores learned workflow patterns for behavior intelligence';
comment on column public.behavior_patterns.trigger is 'The task/prompt that initiated this workflow';
comment on column public.behavior_patterns.trigger_embedding is 'Vector embedding for semantic search';
comment on column public.behavior_patterns.confidence is
  'Quality score (0.0-1.0) based on outcome and user feedback: mean of a Beta posterior';
comment on column public.behavior_patterns.use_count is 'Number of times this pattern was recalled and used';
comment on column public.behavior_patterns.final_outcome is
  'The outcome with most evidence. Failed ones are recalled as what to avoid.';
comment on column public.behavior_patterns.embedding_model is
  'Model of trigger_embedding; left out, the model that answers now.';
comment on column public.behavior_patterns.aliases is
  'Other wordings of the same trigger, kept when near-duplicates merged.';
comment on column public.behavior_patterns.other_contexts is
  'Other contexts the same procedure was recorded in; a context filter matches any of them.';

create index behavior_patterns_user_id_idx on public.behavior_patterns (user_id, created_at desc);
-- the same text, but for case, is the same trigger even before it is embedded
create index behavior_patterns_user_id_trigger_idx on public.behavior_patterns (user_id, md5(lower(trigger)));
create index behavior_patterns_final_outcome_idx on public.behavior_patterns (user_id, final_outcome);
create index behavior_patterns_context_idx on public.behavior_patterns using gin (context jsonb_path_ops);
create index behavior_patterns_unembedded_idx on public.behavior_patterns (id) where trigger_embedding is null;

create table public.memories (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  type text not null default 'note' check (type ~ '^[a-z][a-z0-9_]{0,62}$'),
  content text not null check (length(content) between 1 and 65536),
  metadata jsonb not null default '{}'::jsonb
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  embedding extensions.vector(1536),
  embedding_model text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 85);
comment on table public.memories is
  'Any recalled note. Type ''workflow'' (seed 001, option A) holds a procedure: content is JSON with trigger, actions and outcome.';
comment on column public.memories.metadata is
  'confidence, use_count and context of a workflow memory; free otherwise.';
comment on column public.memories.embedding is 'Vector for semantic search; null until the embedding job has seen the row.';
comment on column public.memories.embedding_model is 'Model of embedding; left out, the model that answers now.';

create index memories_user_id_idx on public.memories (user_id, created_at desc);
create index memories_type_workflow_idx on public.memories (user_id) where type = 'workflow';
-- guarded: one row whose confidence is a word must not make every later write fail
create index memories_workflow_confidence_idx on public.memories (
  user_id,
  (case when jsonb_typeof(metadata -> 'confidence') = 'number' then (metadata ->> 'confidence')::double precision end) desc
) where type = 'workflow';
create index memories_unembedded_idx on public.memories (id) where embedding is null;

-- ---------------------------------------------------------------------------------------------
-- the search index

create table private.recall_vectors (
  vid bigint generated always as identity primary key,
  -- no foreign keys: only triggers write here, and a check would cost as much as the insert
  user_id uuid not null,
  model_id smallint not null,
  source smallint not null,
  source_id uuid not null,
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
comment on column private.recall_vectors.code is 'Sign bits of the embedding: 192 bytes that rank by Hamming distance.';
comment on column private.recall_vectors.facets is
  'Superimposed code (two bits a fact) of the contexts: a filter on directory, project_type, branch or files that asks for a bit not set here cannot match.';
comment on column private.recall_vectors.contexts is
  'The contexts with files under files_touched, as an array; null when empty. Decides a filter that the facets let pass.';
comment on column private.recall_vectors.words is 'Hashes of the words, salted by user: an inverted index per tenant.';
comment on column private.recall_vectors.e is 'The embedding, unit length, half precision.';

-- one user's codes lie side by side here whatever order rows arrived in
create index recall_vectors_code_idx on private.recall_vectors (user_id, model_id, source) include (code, facets, vid);
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
declare
  v_context jsonb;
  v_text text;
  v_hash bigint;
  v_facets bigint := 0;
begin
  if p_contexts is null then
    return 0;
  end if;
  for i in 0..pg_catalog.jsonb_array_length(p_contexts) - 1 loop
    v_context := p_contexts -> i;
    for v_key in 1..3 loop
      v_text := case v_key when 1 then 'directory' when 2 then 'project_type' else 'branch' end;
      -- texts only: jsonb compares numbers by value, so 1 and 1.0 match but read differently
      if pg_catalog.jsonb_typeof(v_context -> v_text) = 'string' then
        v_hash := pg_catalog.hashtextextended(v_context ->> v_text, v_key);
        v_facets := v_facets | (1::bigint << (v_hash & 63)::int) | (1::bigint << ((v_hash >> 6) & 63)::int);
      end if;
    end loop;
    if pg_catalog.jsonb_typeof(v_context -> 'files_touched') = 'array' then
      v_facets := v_facets | coalesce((
        select pg_catalog.bit_or((1::bigint << (h.hash & 63)::int) | (1::bigint << ((h.hash >> 6) & 63)::int))
        from pg_catalog.jsonb_array_elements(v_context -> 'files_touched') f
        cross join lateral (select pg_catalog.hashtextextended(f.value #>> '{}', 4) as hash) h
        where pg_catalog.jsonb_typeof(f.value) = 'string'), 0);
    end if;
  end loop;
  return v_facets;
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

-- before a row is stored: a vector must be one, and a changed text has lost its vector
create function private.prepare_behavior_pattern() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and new.trigger is distinct from old.trigger and coalesce(
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
  'Trigger: checks the vector, names its model, drops it when the text changed.';

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
  -- as index_recall_row does, for a whole statement at once; spelled out, because every call of a
  -- function costs more here than its work
  insert into private.recall_vectors (user_id, model_id, source, source_id, code, facets, contexts, words, e)
  select n.user_id,
    coalesce((select m.id from private.embedding_models m where m.name = n.embedding_model),
      private.embedding_model_id(n.embedding_model)),
    1, n.id, extensions.binary_quantize(n.trigger_embedding)::bit(1536),
    case when n.context = '{}'::jsonb and n.other_contexts = '[]'::jsonb then 0
      else private.recall_facets(private.recall_contexts(n.context, n.other_contexts)) end,
    case when n.context = '{}'::jsonb and n.other_contexts = '[]'::jsonb then null
      else private.recall_contexts(n.context, n.other_contexts) end,
    array(select pg_catalog.hashtextextended(w, pg_catalog.uuid_hash_extended(n.user_id, 0))
      from pg_catalog.unnest(pg_catalog.tsvector_to_array(
        pg_catalog.to_tsvector('pg_catalog.simple', pg_catalog.left(n.trigger, 4000)))) w),
    extensions.l2_normalize(case when extensions.vector_norm(n.trigger_embedding) = 0
      then private.checked_embedding(n.trigger_embedding) else n.trigger_embedding end)::extensions.halfvec(1536)
  from new_rows n where n.trigger_embedding is not null;
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
    words = excluded.words, e = excluded.e;
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
  for each row execute function public.update_behavior_pattern_timestamp();
-- only where the model has to be filled in; index_new_patterns checks the rest a statement at a time
create trigger behavior_patterns_prepare_insert before insert on public.behavior_patterns
  for each row when ((new.trigger_embedding is null) <> (new.embedding_model is null)) execute function private.prepare_behavior_pattern();
create trigger behavior_patterns_prepare_update
  before update of trigger, trigger_embedding, embedding_model on public.behavior_patterns
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

-- ---------------------------------------------------------------------------------------------
-- search

-- The scan: index entries nearest to a code, those within the margin of the p_count-th. Callers have
-- checked the user and set plan_cache_mode: a generic plan per branch is twice as fast as planning.
create function private.recall_scan(
  p_user_id uuid, p_model_id smallint, p_margin int, p_sources smallint[], p_code bit, p_count int, p_contexts jsonb)
returns bigint[]
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
declare
  v_cap int := greatest(400, 8 * p_count);
  v_facets bigint;
  v_ids bigint[];
begin
  if p_contexts is null then
    if p_user_id is not null then
      v_ids := array(
        with near as materialized (
          select v.vid, v.code operator(extensions.<~>) p_code as bits
          from private.recall_vectors v
          where v.user_id = p_user_id and v.model_id = p_model_id and v.source = any (p_sources)
          order by 2 limit v_cap)
        select n.vid from near n
        where n.bits <= coalesce((select n.bits from near n offset p_count - 1 limit 1), 1536) + p_margin);
      if cardinality(v_ids) = v_cap then
        -- a crowd: hundreds of rows about equally near, where bits alone cannot tell; look wider
        v_ids := array(
          select v.vid from private.recall_vectors v
          where v.user_id = p_user_id and v.model_id = p_model_id and v.source = any (p_sources)
          order by v.code operator(extensions.<~>) p_code limit 4 * v_cap);
      end if;
      return v_ids;
    elsif to_regclass('private.recall_vectors_graph_' || p_model_id || '_idx') is null then
      return array(
        with near as materialized (
          select v.vid, v.code operator(extensions.<~>) p_code as bits
          from private.recall_vectors v
          where v.model_id = p_model_id and v.source = any (p_sources)
          order by (v.code operator(extensions.<~>) p_code) + 0 limit v_cap)
        select n.vid from near n
        where n.bits <= coalesce((select n.bits from near n offset p_count - 1 limit 1), 1536) + p_margin);
    end if;
    -- the graph is a partial index per model, so its number has to be a literal
    perform set_config('hnsw.ef_search', '400', true);
    execute format($graph$
      select array(
        with near as materialized (
          select v.vid, v.source, v.code operator(extensions.<~>) $1 as bits
          from private.recall_vectors v where v.model_id = %s
          order by v.code operator(extensions.<~>) $1 limit $2)
        select n.vid from near n
        where n.source = any ($5)
          and n.bits <= coalesce((select n.bits from near n order by n.bits offset $3 - 1 limit 1), 1536) + $4)
      $graph$, p_model_id)
    into v_ids using p_code::bit(1536), v_cap, p_count, p_margin, p_sources;
    return v_ids;
  end if;

  -- a context: its facets act inside the scan, the contexts themselves decide; facets may let a
  -- stranger pass, so widen until enough rows truly match or nobody is left
  v_facets := private.recall_facets(p_contexts);
  loop
    if p_user_id is not null then
      v_ids := array(
        select v.vid from private.recall_vectors v
        where v.user_id = p_user_id and v.model_id = p_model_id and v.source = any (p_sources)
          and (v.facets & v_facets) = v_facets
        order by v.code operator(extensions.<~>) p_code limit v_cap);
    else
      v_ids := array(
        select v.vid from private.recall_vectors v
        where v.model_id = p_model_id and v.source = any (p_sources) and (v.facets & v_facets) = v_facets
        order by (v.code operator(extensions.<~>) p_code) + 0 limit v_cap);
    end if;
    exit when cardinality(v_ids) < v_cap or (
      select count(*) from private.recall_vectors v
      where v.vid = any (v_ids) and v.contexts @> p_contexts) >= 4 * p_count;
    v_cap := v_cap * 8;
  end loop;
  return array(
    select v.vid from private.recall_vectors v where v.vid = any (v_ids) and v.contexts @> p_contexts);
end $$;
comment on function private.recall_scan(uuid, smallint, int, smallint[], bit, int, jsonb) is
  'Index entries nearest to a code, of one user or (null) of everybody, within model, sources and contexts. Definer: the index is private.';

create function private.recall_nearest(
  p_user_id uuid, p_model_id smallint, p_sources smallint[], p_embedding extensions.vector,
  p_count int, p_threshold double precision, p_context jsonb default null)
returns table (source smallint, source_id uuid, similarity double precision)
language plpgsql stable security definer rows 10
set search_path = '' set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_half extensions.halfvec(1536) := extensions.l2_normalize(p_embedding)::extensions.halfvec(1536);
  v_ids bigint[] := private.recall_scan(
    p_user_id, p_model_id, (select m.margin from private.embedding_models m where m.id = p_model_id), p_sources,
    extensions.binary_quantize(p_embedding), p_count, private.recall_contexts(p_context));
begin
  return query
    select r.source, r.source_id, 1 - r.distance from (
      select v.source, v.source_id, v.e operator(extensions.<=>) v_half as distance
      from private.recall_vectors v where v.vid = any (v_ids)
      order by 3 limit p_count) r
    where 1 - r.distance >= p_threshold;
end $$;
comment on function private.recall_nearest(uuid, smallint, smallint[], extensions.vector, int, double precision, jsonb) is
  'Nearest rows of one user in one model''s space, by half-precision cosine. Definer: the index is private. Callers have checked the user.';

create function public.find_similar_patterns(
  query_embedding extensions.vector(1536), match_threshold double precision default 0.7,
  match_count int default 5, p_user_id uuid default null)
returns table (
  id uuid, trigger text, context jsonb, actions jsonb, final_outcome text,
  confidence double precision, use_count int, similarity double precision)
language plpgsql stable security invoker rows 5 set search_path = '' as $$
begin
  return query select * from private.find_similar_patterns(query_embedding, match_threshold, match_count, p_user_id);
end $$;
comment on function public.find_similar_patterns(extensions.vector, double precision, int, uuid) is
  'Seed 001: patterns most similar to an embedding. A user sees only their own; the service names a user or, with none, searches everybody''s. Threshold is clamped to [-1,1], count to [1,200].';

create function private.find_similar_patterns(
  p_embedding extensions.vector, p_threshold double precision, p_count int, p_user_id uuid)
returns table (
  id uuid, trigger text, context jsonb, actions jsonb, final_outcome text,
  confidence double precision, use_count int, similarity double precision)
language plpgsql stable security definer rows 5
set search_path = '' set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_user uuid := private.acting_user(p_user_id);
  v record;
  v_ids bigint[];
begin
  if p_embedding is null or extensions.vector_dims(p_embedding) <> 1536 or extensions.vector_norm(p_embedding) = 0 then
    perform private.checked_embedding(p_embedding);
  end if;
  -- in one query, because every expression of its own is prepared anew in each transaction
  select m.id, m.margin, m.name, extensions.binary_quantize(p_embedding)::bit(1536) as code,
    extensions.l2_normalize(p_embedding)::extensions.halfvec(1536) as half,
    least(greatest(coalesce(p_threshold, 0.7), -1), 1) as threshold, least(greatest(coalesce(p_count, 5), 1), 200) as wanted
  into v
  from private.embedding_models m where m.id = (select s.answering_id from private.embedding_state s);
  if not found then
    return; -- nothing was ever stored
  end if;
  v_ids := private.recall_scan(v_user, v.id, v.margin, '{1}', v.code, v.wanted, null);
  return query
    with winners as materialized (
      select n.source_id, n.e operator(extensions.<=>) v.half as distance
      from private.recall_vectors n where n.vid = any (v_ids)
      order by 2 limit v.wanted)
    select z.* from (
      select p.id, p.trigger, p.context, p.actions, p.final_outcome, p.confidence, p.use_count,
        -- full precision for the winners; while a model is being replaced, only the index has the new vector
        case when p.embedding_model = v.name
          then 1 - (p.trigger_embedding operator(extensions.<=>) p_embedding) else 1 - w.distance end as exact
      from winners w join public.behavior_patterns p on p.id = w.source_id
      where w.distance <= 1.001 - v.threshold
      offset 0) z
    where z.exact >= v.threshold
    order by z.exact desc;
end $$;
comment on function private.find_similar_patterns(extensions.vector, double precision, int, uuid) is
  'Body of find_similar_patterns. Definer: the index is private; answers for the acting user only (the service may leave the user out).';

-- the words leg: rows that share one of the request's most telling words (identifiers, numbers, long words)
create function private.recall_by_words(
  p_user_id uuid, p_model_id smallint, p_sources smallint[], p_query text, p_contexts jsonb)
returns bigint[]
language plpgsql stable security definer
set search_path = '' set plan_cache_mode = force_generic_plan as $$
begin
  return array(
    select distinct found.vid
    from (
      select pg_catalog.hashtextextended(w, pg_catalog.uuid_hash_extended(p_user_id, 0)) as hash
      from pg_catalog.unnest(pg_catalog.tsvector_to_array(
        pg_catalog.to_tsvector('pg_catalog.simple', pg_catalog.left(p_query, 4000)))) w
      order by w ~ '[0-9_./-]' desc, pg_catalog.length(w) desc
      limit 6) q
    cross join lateral (
      -- the hash holds the user, so the posting list is the user's own; the user is checked again outside
      select v.vid, v.user_id, v.model_id, v.source, v.contexts
      from private.recall_vectors v where v.words @> array[q.hash]
      offset 0 limit 48) found
    where found.user_id = p_user_id and found.model_id = p_model_id and found.source = any (p_sources)
      and (p_contexts is null or found.contexts @> p_contexts)
    limit 96);
end $$;
comment on function private.recall_by_words(uuid, smallint, smallint[], text, jsonb) is
  'Index entries of one user that share a telling word with the request, at most 96. Definer: the index is private. Callers have checked the user.';

-- everything find-patterns needs to choose from, narrow: no payloads yet
create function public.mira_recall_candidates(
  p_user_id uuid, p_query text default null, p_embedding extensions.vector default null,
  p_model text default null, p_dimensions int default null, p_sources text[] default '{behavior_patterns,memories}',
  p_context jsonb default null, p_limit int default 40)
returns jsonb
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.recall_candidates(p_user_id, p_query, p_embedding, p_model, p_dimensions, p_sources, p_context, p_limit);
end $$;
comment on function public.mira_recall_candidates(uuid, text, extensions.vector, text, int, text[], jsonb, int) is
  'Server only. Candidates of one user by meaning and by words: {model, needs_embedding, candidates:[…]}. Without p_embedding the query''s cached embedding is used; if there is none, needs_embedding names the model to embed with.';

create function private.recall_candidates(
  p_user_id uuid, p_query text, p_embedding extensions.vector, p_model text, p_dimensions int,
  p_sources text[], p_context jsonb, p_limit int)
returns jsonb
language plpgsql volatile security definer
set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_limit int := least(greatest(coalesce(p_limit, 40), 1), 200);
  v_model smallint := private.embedding_model_id(p_model, p_dimensions);
  v_name text;
  v_sources smallint[];
  v_contexts jsonb := private.recall_contexts(p_context);
  v_embedding extensions.vector := p_embedding;
  v_half extensions.halfvec(1536);
  v_words bigint[] := '{}';
  v_rows jsonb;
begin
  select m.name into v_name from private.embedding_models m where m.id = v_model;
  v_sources := array_remove(array[
    case when 'behavior_patterns' = any (p_sources) then 1 end,
    case when 'memories' = any (p_sources) then 2 end], null)::smallint[];
  if v_embedding is null then
    select c.embedding into v_embedding from private.embedding_cache c
    where c.model_id = v_model and c.text_hash = sha256(convert_to(p_query, 'UTF8'));
    if v_embedding is null then
      return jsonb_build_object('model', v_name, 'needs_embedding', true, 'candidates', '[]'::jsonb);
    end if;
  else
    perform private.checked_embedding(v_embedding);
  end if;
  v_half := extensions.l2_normalize(v_embedding)::extensions.halfvec(1536);
  if p_query is not null then
    v_words := private.recall_by_words(v_user, v_model, v_sources, p_query, v_contexts);
  end if;
  with hits as (
    select n.source, n.source_id, n.similarity
    from private.recall_nearest(v_user, v_model, v_sources, v_embedding, v_limit, -1, p_context) n
    union
    select w.source, w.source_id, 1 - (w.e operator(extensions.<=>) v_half)
    from private.recall_vectors w where w.vid = any (v_words))
  select jsonb_agg(c.candidate order by (c.candidate ->> 'similarity')::double precision desc) into v_rows from (
    select jsonb_build_object(
      'id', p.id, 'source', 'behavior_patterns', 'trigger', p.trigger, 'aliases', p.aliases,
      'similarity', h.similarity, 'tools', private.action_sequence(p.actions),
      'final_outcome', p.final_outcome, 'confidence', p.confidence,
      'evidence', p.success_count + p.partial_count + p.failure_count, 'use_count', p.use_count,
      'seen_at', greatest(p.created_at, p.last_used_at)) as candidate
    from hits h join public.behavior_patterns p on p.id = h.source_id
    where h.source = 1
    union all
    select jsonb_build_object(
      'id', m.id, 'source', 'memories', 'trigger', r.body ->> 'trigger', 'aliases', '{}'::text[],
      'similarity', h.similarity, 'tools', private.action_sequence(r.body -> 'actions'),
      'final_outcome', private.memory_outcome(r.body, m.metadata),
      'confidence', private.memory_number(m.metadata, 'confidence', 0.7),
      'evidence', private.memory_number(m.metadata, 'evidence', 0),
      'use_count', private.memory_number(m.metadata, 'use_count', 0),
      'seen_at', m.created_at)
    from hits h join public.memories m on m.id = h.source_id
    cross join lateral (select private.memory_procedure(m.content) as body offset 0) r
    where h.source = 2) c;
  return jsonb_build_object('model', v_name, 'needs_embedding', false, 'candidates', coalesce(v_rows, '[]'::jsonb));
end $$;
comment on function private.recall_candidates(uuid, text, extensions.vector, text, int, text[], jsonb, int) is
  'Body of mira_recall_candidates. Definer: reads the private index and cache, for the acting user only.';

create function private.memory_outcome(p_procedure jsonb, p_metadata jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_outcome text := coalesce(p_metadata ->> 'final_outcome', p_procedure ->> 'outcome');
begin
  return case when v_outcome in ('success', 'partial', 'failed') then v_outcome else 'success' end;
end $$;
comment on function private.memory_outcome(jsonb, jsonb) is
  'Outcome of a memory: by its evidence, else as its content says, else success.';

create function private.memory_number(p_metadata jsonb, p_key text, p_default double precision) returns double precision
language plpgsql immutable set search_path = '' as $$
begin
  return case when pg_catalog.jsonb_typeof(p_metadata -> p_key) = 'number'
    then (p_metadata ->> p_key)::double precision else p_default end;
end $$;
comment on function private.memory_number(jsonb, text, double precision) is
  'A number out of metadata, or the default where it is missing or is none.';

create function public.mira_recall_patterns(
  p_user_id uuid, p_recall_id uuid, p_used uuid[], p_shown uuid[] default '{}')
returns jsonb
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.recall_patterns(p_user_id, p_recall_id, p_used, p_shown);
end $$;
comment on function public.mira_recall_patterns(uuid, uuid, uuid[], uuid[]) is
  'Server only. The full rows of chosen candidates as one JSON array, and a receipt for those in p_used: counted later, once per recall id.';

create function private.recall_patterns(p_user_id uuid, p_recall_id uuid, p_used uuid[], p_shown uuid[])
returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_ids uuid[] := coalesce(p_used, '{}') || coalesce(p_shown, '{}');
begin
  if p_recall_id is not null and cardinality(p_used) > 0 then
    insert into private.recall_receipts (user_id, recall_id, pattern_ids)
    values (v_user, p_recall_id, p_used)
    on conflict (user_id, recall_id) do nothing;
  end if;
  return coalesce((
    select jsonb_agg(r.pattern) from (
      select jsonb_build_object('id', p.id, 'source', 'behavior_patterns', 'trigger', p.trigger,
        'context', p.context, 'actions', p.actions, 'final_outcome', p.final_outcome,
        'confidence', p.confidence, 'use_count', p.use_count) as pattern
      from public.behavior_patterns p where p.id = any (v_ids) and p.user_id = v_user
      union all
      select jsonb_build_object('id', m.id, 'source', 'memories', 'trigger', b.body ->> 'trigger',
        'context', case when jsonb_typeof(m.metadata -> 'context') = 'object' then m.metadata -> 'context' else '{}'::jsonb end,
        'actions', b.body -> 'actions', 'final_outcome', private.memory_outcome(b.body, m.metadata),
        'confidence', private.memory_number(m.metadata, 'confidence', 0.7),
        'use_count', private.memory_number(m.metadata, 'use_count', 0))
      from public.memories m
      cross join lateral (select private.memory_procedure(m.content) as body offset 0) b
      where m.id = any (v_ids) and m.user_id = v_user) r), '[]'::jsonb);
end $$;
comment on function private.recall_patterns(uuid, uuid, uuid[], uuid[]) is
  'Body of mira_recall_patterns. Definer: writes the private receipt; reads rows of the acting user only.';

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
  update public.behavior_patterns p set use_count = p.use_count + 1, last_used_at = now()
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

create function public.mira_record_pattern(
  p_user_id uuid, p_trigger text, p_context jsonb default '{}'::jsonb, p_actions jsonb default '[]'::jsonb,
  p_final_outcome text default 'success', p_embedding extensions.vector default null, p_model text default null,
  p_dimensions int default null)
returns table (id uuid, merged boolean, confidence double precision, use_count int)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select r.id, r.merged, r.confidence, r.use_count
    from private.record_pattern(p_user_id, p_trigger, p_context, p_actions, p_final_outcome, p_embedding, p_model, p_dimensions) r;
end $$;
comment on function public.mira_record_pattern(uuid, text, jsonb, jsonb, text, extensions.vector, text, int) is
  'Server only. Records a procedure of a user. Near-duplicates (same text or cosine ≥ 0.9, and action sequences alike ≥ 0.8) merge: counts and wordings are kept, nothing is deleted. Without p_embedding a cached one is used, else the embedding job fills it in.';

create function private.record_pattern(
  p_user_id uuid, p_trigger text, p_context jsonb, p_actions jsonb, p_final_outcome text,
  p_embedding extensions.vector, p_model text, p_dimensions int)
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
begin
  if v_trigger is null or length(v_trigger) not between 1 and 8000 then
    raise exception using errcode = 'PT422', message = 'trigger_invalid',
      detail = 'The trigger is a text of 1 to 8000 characters.';
  end if;
  if private.outcome_value(p_final_outcome) is null then
    raise exception using errcode = 'PT422', message = 'outcome_invalid',
      detail = 'The outcome is success, partial or failed.';
  end if;
  if jsonb_typeof(v_context) <> 'object' or pg_column_size(v_context) > 16384 then
    raise exception using errcode = 'PT422', message = 'context_invalid',
      detail = 'The context is a JSON object of at most 16 KiB.';
  end if;
  if jsonb_typeof(v_actions) <> 'array' or pg_column_size(v_actions) > 131072 then
    raise exception using errcode = 'PT422', message = 'actions_invalid',
      detail = 'The actions are a JSON array of at most 128 KiB.';
  end if;
  v_tools := private.action_sequence(v_actions);

  -- same user, one at a time: of many who record the same thing at once, one inserts and the rest merge
  perform pg_advisory_xact_lock(hashtextextended('private.record_pattern', uuid_hash_extended(v_user, 0)));

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
    and md5(lower(p.trigger)) = md5(lower(v_trigger))
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

  if v_twin is null then
    insert into public.behavior_patterns
      (user_id, trigger, trigger_embedding, embedding_model, context, actions, final_outcome, confidence,
       success_count, partial_count, failure_count)
    values (v_user, v_trigger, v_embedding, case when v_embedding is not null then coalesce(v_model_name, private.answering_model()) end,
      v_context, v_actions, p_final_outcome,
      round(((2 * 0.7 + private.outcome_value(p_final_outcome)) / 3)::numeric, 9),
      (p_final_outcome = 'success')::int, (p_final_outcome = 'partial')::int, (p_final_outcome = 'failed')::int)
    returning behavior_patterns.id into v_twin;
    return query select p.id, false, p.confidence, p.use_count from public.behavior_patterns p where p.id = v_twin;
    return;
  end if;

  -- one more observation: counts, the other wording, the other context
  perform private.add_evidence(v_twin, p_final_outcome);
  update public.behavior_patterns p set use_count = p.use_count + 1, last_used_at = now() where p.id = v_twin;
  update public.behavior_patterns p set aliases = p.aliases || v_trigger
  where p.id = v_twin and lower(p.trigger) <> lower(v_trigger) and v_trigger <> all (p.aliases) and cardinality(p.aliases) < 20;
  update public.behavior_patterns p set other_contexts = p.other_contexts || jsonb_build_array(v_context)
  where p.id = v_twin and p.context <> v_context and v_context <> '{}'::jsonb
    and not p.other_contexts @> jsonb_build_array(v_context) and jsonb_array_length(p.other_contexts) < 20;
  update public.behavior_patterns p set trigger_embedding = v_embedding, embedding_model = v_model_name
  where p.id = v_twin and p.trigger_embedding is null and v_embedding is not null and p.trigger = v_trigger;
  return query select p.id, true, p.confidence, p.use_count from public.behavior_patterns p where p.id = v_twin;
end $$;
comment on function private.record_pattern(uuid, text, jsonb, jsonb, text, extensions.vector, text, int) is
  'Body of mira_record_pattern. Definer: writes server-written columns, for the acting user only.';

create function public.mira_pattern_feedback(p_user_id uuid, p_pattern_id uuid, p_outcome text)
returns table (confidence double precision, use_count int)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select f.confidence, f.use_count from private.pattern_feedback(p_user_id, p_pattern_id, p_outcome) f;
end $$;
comment on function public.mira_pattern_feedback(uuid, uuid, text) is
  'Server only. How a recalled pattern (or workflow memory) turned out for its user; moves its confidence.';

create function private.pattern_feedback(p_user_id uuid, p_pattern_id uuid, p_outcome text)
returns table (confidence double precision, use_count int)
language plpgsql volatile security definer set search_path = '' as $$
#variable_conflict use_column
declare
  v_user uuid := private.required_user(p_user_id);
  v_metadata jsonb;
  v_evidence double precision;
  v_failed double precision;
begin
  if private.outcome_value(p_outcome) is null then
    raise exception using errcode = 'PT422', message = 'outcome_invalid',
      detail = 'The outcome is success, partial or failed.';
  end if;
  perform from public.behavior_patterns p where p.id = p_pattern_id and p.user_id = v_user for update;
  if found then
    perform private.add_evidence(p_pattern_id, p_outcome);
    return query select p.confidence, p.use_count from public.behavior_patterns p where p.id = p_pattern_id;
    return;
  end if;
  select m.metadata into v_metadata from public.memories m
  where m.id = p_pattern_id and m.user_id = v_user for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No such pattern of yours.';
  end if;
  -- a memory keeps the same posterior in its metadata
  v_evidence := greatest(0, private.memory_number(v_metadata, 'evidence', 0));
  v_failed := greatest(0, private.memory_number(v_metadata, 'failures', 0)) + (p_outcome = 'failed')::int;
  v_metadata := v_metadata || jsonb_build_object(
    'confidence', least(1, greatest(0, round(((private.memory_number(v_metadata, 'confidence', 0.7) * (2 + v_evidence)
      + private.outcome_value(p_outcome)) / (3 + v_evidence))::numeric, 9))),
    'evidence', v_evidence + 1, 'failures', v_failed);
  if v_failed > (v_evidence + 2) / 2 then
    v_metadata := v_metadata || '{"final_outcome": "failed"}'::jsonb;
  elsif v_metadata ->> 'final_outcome' = 'failed' then
    v_metadata := v_metadata || jsonb_build_object('final_outcome', p_outcome);
  end if;
  update public.memories m set metadata = v_metadata where m.id = p_pattern_id;
  return query select private.memory_number(v_metadata, 'confidence', 0.7),
    private.memory_number(v_metadata, 'use_count', 0)::int;
end $$;
comment on function private.pattern_feedback(uuid, uuid, text) is
  'Body of mira_pattern_feedback. Definer: writes server-written columns, for the acting user only.';

-- ---------------------------------------------------------------------------------------------
-- embedding: the cache and the job

create function private.store_embedding(p_model_id smallint, p_text text, p_embedding extensions.vector) returns void
language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into private.embedding_cache (model_id, text_hash, embedding)
  values (p_model_id, sha256(convert_to(p_text, 'UTF8')), private.checked_embedding(p_embedding))
  on conflict (model_id, text_hash) do nothing;
end $$;
comment on function private.store_embedding(smallint, text, extensions.vector) is 'Puts one embedding into the cache.';

create function public.mira_cached_embeddings(p_model text, p_texts text[])
returns table (ordinal int, embedding text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select c.ordinal, c.embedding from private.cached_embeddings(p_model, p_texts) c;
end $$;
comment on function public.mira_cached_embeddings(text, text[]) is
  'Server only. Embeddings already paid for: position in p_texts (from 0) and the vector as text; texts not cached are left out.';

create function private.cached_embeddings(p_model text, p_texts text[])
returns table (ordinal int, embedding text)
language plpgsql stable security definer set search_path = '' as $$
begin
  return query
    select (t.ordinality - 1)::int, c.embedding::text
    from unnest(p_texts) with ordinality t (body, ordinality)
    join private.embedding_models m on m.name = p_model
    join private.embedding_cache c on c.model_id = m.id and c.text_hash = sha256(convert_to(t.body, 'UTF8'));
end $$;
comment on function private.cached_embeddings(text, text[]) is 'Body of mira_cached_embeddings. Definer: the cache is private.';

create function public.mira_cache_embeddings(p_model text, p_dimensions int, p_texts text[], p_embeddings text[])
returns int
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.cache_embeddings(p_model, p_dimensions, p_texts, p_embeddings);
end $$;
comment on function public.mira_cache_embeddings(text, int, text[], text[]) is
  'Server only. Remembers embeddings (1536 numbers each, as text) of texts; returns how many were given.';

create function private.cache_embeddings(p_model text, p_dimensions int, p_texts text[], p_embeddings text[])
returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_model smallint := private.embedding_model_id(p_model, p_dimensions);
begin
  perform private.store_embedding(v_model, t.body, t.vector::extensions.vector)
  from unnest(p_texts, p_embeddings) t (body, vector);
  return cardinality(p_texts);
end $$;
comment on function private.cache_embeddings(text, int, text[], text[]) is 'Body of mira_cache_embeddings. Definer: the cache is private.';

-- Moving to another model: `target` is set, rows get a second index entry in the new model's space while
-- the old model goes on answering, then `answering` flips in one row, then the tables' own vectors
-- follow ("sweep"). Where it stands is data, so the job may die at any point and go on later.
create function private.embedding_work(p_model text, p_dimensions int, p_limit int, p_lease_seconds int)
returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 64), 1), 500);
  v_model smallint := private.embedding_model_id(p_model, p_dimensions);
  v_state private.embedding_state;
  v_items jsonb;
  v_last record;
begin
  select s.* into v_state from private.embedding_state s for update;
  if p_lease_seconds is not null and v_state.leased_until > clock_timestamp() then
    return jsonb_build_object('state', 'busy', 'items', '[]'::jsonb);
  end if;
  if v_state.answering_id <> v_model and v_state.target_id is distinct from v_model then
    v_state.target_id := v_model;
    v_state.cursor_source := 1;
    v_state.cursor_id := null;
    v_state.is_sweeping := false;
    delete from private.embedding_failures f where f.model_id = v_model;
  elsif v_state.answering_id = v_model and v_state.target_id is not null then
    v_state.target_id := null;
    delete from private.recall_vectors v where v.model_id <> v_model
      and exists (select from private.recall_vectors o
        where o.source = v.source and o.source_id = v.source_id and o.model_id = v_model);
  end if;
  -- 1. rows without any vector
  select jsonb_agg(jsonb_build_object('source', x.source, 'id', x.source_id, 'text', x.body)) into v_items from (
    (select 1::smallint as source, p.id as source_id, p.trigger as body from public.behavior_patterns p
     where p.trigger_embedding is null and not private.embedding_gave_up(1::smallint, p.id, v_model)
     order by p.id limit v_limit)
    union all
    (select 2::smallint, m.id, left(private.memory_procedure(m.content) ->> 'trigger', 8000) from public.memories m
     where m.embedding is null and not private.embedding_gave_up(2::smallint, m.id, v_model)
     order by m.id limit v_limit)
    limit v_limit) x;

  -- 2. rows without a vector of the model being moved to
  if v_items is null and v_state.target_id is not null then
    loop
      with page as (
        select s.source, s.source_id, s.body, exists (
          select from private.recall_vectors v
          where v.source_id = s.source_id and v.model_id = v_model and v.source = s.source)
          or private.embedding_gave_up(s.source, s.source_id, v_model) as is_done
        from (
          (select 1::smallint as source, p.id as source_id, p.trigger as body from public.behavior_patterns p
           where v_state.cursor_source = 1 and (v_state.cursor_id is null or p.id > v_state.cursor_id)
             and p.trigger_embedding is not null
           order by p.id limit v_limit)
          union all
          (select 2::smallint, m.id, left(private.memory_procedure(m.content) ->> 'trigger', 8000) from public.memories m
           where v_state.cursor_source = 2 and (v_state.cursor_id is null or m.id > v_state.cursor_id)
             and m.embedding is not null
           order by m.id limit v_limit)) s)
      select jsonb_agg(jsonb_build_object('source', p.source, 'id', p.source_id, 'text', p.body))
               filter (where not p.is_done) as items,
             (array_agg(p.source_id order by p.source_id desc))[1] as id, count(*) as seen
      into v_last from page p;
      v_items := v_last.items;
      -- the cursor stays before a page with work left: what is not stored will be handed out again
      exit when v_items is not null;
      if v_last.seen > 0 then
        v_state.cursor_id := v_last.id;
      elsif v_state.cursor_source = 1 then
        v_state.cursor_source := 2;
        v_state.cursor_id := null;
      else
        exit;
      end if;
    end loop;
    if v_items is null then
      -- rows may have come in behind the cursor: flip only when none is left
      perform from private.recall_sources s
      where s.embedding is not null and not private.embedding_gave_up(s.source, s.source_id, v_model)
        and not exists (select from private.recall_vectors v
          where v.source_id = s.source_id and v.model_id = v_model and v.source = s.source)
      limit 1;
      v_state.cursor_source := 1;
      v_state.cursor_id := null;
      if not found then
        v_state.answering_id := v_model;
        v_state.target_id := null;
        v_state.is_sweeping := true;
        v_state.changed_at := now();
      end if;
    end if;
  end if;

  v_state.leased_until := case when v_items is not null and p_lease_seconds is not null
    then clock_timestamp() + make_interval(secs => least(p_lease_seconds, 600)) end;
  update private.embedding_state s set answering_id = v_state.answering_id, target_id = v_state.target_id,
    cursor_source = v_state.cursor_source, cursor_id = v_state.cursor_id, is_sweeping = v_state.is_sweeping,
    leased_until = v_state.leased_until, changed_at = v_state.changed_at;

  -- 3. the tables' own vectors follow the model that answers
  if v_items is null and v_state.is_sweeping then
    if private.sweep_embeddings(v_model, v_limit) > 0 then
      return jsonb_build_object('state', 'sweeping', 'items', '[]'::jsonb);
    end if;
    -- rows that were stored with the old model while the new one took over
    select jsonb_agg(jsonb_build_object('source', x.source, 'id', x.source_id, 'text', x.body)) into v_items from (
      select s.source, s.source_id, s.body from private.recall_sources s
      where s.embedding is not null and not private.embedding_gave_up(s.source, s.source_id, v_model)
        and not exists (select from private.recall_vectors v
          where v.source_id = s.source_id and v.model_id = v_model and v.source = s.source)
      limit v_limit) x;
    if v_items is null then
      update private.embedding_state s set is_sweeping = false;
    end if;
  end if;
  return jsonb_build_object(
    'state', case when v_items is not null then 'work' when v_state.target_id is not null then 'moving' else 'idle' end,
    'items', coalesce(v_items, '[]'::jsonb));
end $$;
comment on function private.embedding_work(text, int, int, int) is
  'Next texts to embed with a model. Starts a move when the model is not the one that answers, and finishes it when nothing is left.';

create function private.embedding_gave_up(p_source smallint, p_source_id uuid, p_model_id smallint) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
  return exists (select from private.embedding_failures f
    where f.source = p_source and f.source_id = p_source_id and f.model_id = p_model_id and f.attempts >= 3);
end $$;
comment on function private.embedding_gave_up(smallint, uuid, smallint) is 'True after three refused attempts to embed a row.';

create function private.sweep_embeddings(p_model_id smallint, p_limit int) returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_name text := (select m.name from private.embedding_models m where m.id = p_model_id);
  v_patterns int;
  v_notes int;
begin
  with due as (
    select p.id, p.trigger, v.e from public.behavior_patterns p
    join private.recall_vectors v on v.source = 1 and v.source_id = p.id and v.model_id = p_model_id
    where p.trigger_embedding is not null and p.embedding_model <> v_name limit p_limit)
  update public.behavior_patterns p set embedding_model = v_name, trigger_embedding = coalesce(
    (select c.embedding from private.embedding_cache c
     where c.model_id = p_model_id and c.text_hash = sha256(convert_to(d.trigger, 'UTF8'))), d.e::extensions.vector)
  from due d where p.id = d.id;
  get diagnostics v_patterns = row_count;
  with due as (
    select m.id, private.memory_procedure(m.content) ->> 'trigger' as body, v.e from public.memories m
    join private.recall_vectors v on v.source = 2 and v.source_id = m.id and v.model_id = p_model_id
    where m.embedding is not null and m.embedding_model <> v_name limit p_limit)
  update public.memories m set embedding_model = v_name, embedding = coalesce(
    (select c.embedding from private.embedding_cache c
     where c.model_id = p_model_id and c.text_hash = sha256(convert_to(left(d.body, 8000), 'UTF8'))), d.e::extensions.vector)
  from due d where m.id = d.id;
  get diagnostics v_notes = row_count;
  return v_patterns + v_notes;
end $$;
comment on function private.sweep_embeddings(smallint, int) is
  'After a move: brings a batch of the tables'' own vectors up to the model that answers; returns how many.';

create function private.put_embeddings(p_model text, p_dimensions int, p_items jsonb) returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_model smallint := private.embedding_model_id(p_model, p_dimensions);
  v_item record;
  v_row record;
  v_embedding extensions.vector;
  v_stored int := 0;
begin
  for v_item in
    select i.source, i.id, i.text, i.embedding, i.error
    from jsonb_to_recordset(p_items) i (source smallint, id uuid, text text, embedding text, error text)
    order by i.source, i.id
  loop
    if v_item.embedding is null then
      insert into private.embedding_failures as f (source, source_id, model_id, detail)
      values (v_item.source, v_item.id, v_model, left(coalesce(v_item.error, 'no embedding'), 500))
      on conflict (source, source_id, model_id) do update set
        attempts = f.attempts + 1, detail = excluded.detail, failed_at = now();
      continue;
    end if;
    v_embedding := private.checked_embedding(v_item.embedding::extensions.vector);
    perform private.store_embedding(v_model, v_item.text, v_embedding);
    -- the row may have changed or gone since its text was handed out
    if v_item.source = 1 then
      perform from public.behavior_patterns p where p.id = v_item.id for update;
      select s.* into v_row from private.recall_sources s where s.source = 1 and s.source_id = v_item.id;
    else
      perform from public.memories m where m.id = v_item.id for update;
      select s.* into v_row from private.recall_sources s where s.source = 2 and s.source_id = v_item.id;
    end if;
    continue when not found or v_row.body <> v_item.text;
    if v_row.embedding is null or v_row.embedding_model = p_model then
      if v_item.source = 1 then
        update public.behavior_patterns p set trigger_embedding = v_embedding, embedding_model = p_model where p.id = v_item.id;
      else
        update public.memories m set embedding = v_embedding, embedding_model = p_model where m.id = v_item.id;
      end if;
    else
      insert into private.recall_vectors (user_id, model_id, source, source_id, code, facets, contexts, words, e)
      values (v_row.user_id, v_model, v_item.source, v_item.id,
        extensions.binary_quantize(v_embedding)::bit(1536), private.recall_facets(v_row.contexts), v_row.contexts,
        private.recall_words(v_row.user_id, v_row.words), extensions.l2_normalize(v_embedding)::extensions.halfvec(1536))
      on conflict (source_id, model_id, source) do update set code = excluded.code, e = excluded.e;
    end if;
    delete from private.embedding_failures f
    where f.source = v_item.source and f.source_id = v_item.id and f.model_id = v_model;
    v_stored := v_stored + 1;
  end loop;
  update private.embedding_state s set leased_until = null;
  return v_stored;
end $$;
comment on function private.put_embeddings(text, int, jsonb) is
  'Stores a batch of embeddings handed out by embedding_work, unless the text has changed since; errors are noted. Definer: writes private tables.';

create function public.mira_embedding_work(
  p_model text, p_dimensions int default null, p_limit int default 64, p_lease_seconds int default 60)
returns jsonb
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.embedding_work(p_model, p_dimensions, p_limit, p_lease_seconds);
end $$;
comment on function public.mira_embedding_work(text, int, int, int) is
  'Server only. Next texts to embed: {state: work|busy|moving|sweeping|idle, items: [{source, id, text}]}. Leased, so two jobs do not pay twice.';

create function public.mira_put_embeddings(p_model text, p_items jsonb, p_dimensions int default null) returns int
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.put_embeddings(p_model, p_dimensions, p_items);
end $$;
comment on function public.mira_put_embeddings(text, jsonb, int) is
  'Server only. Stores [{source, id, text, embedding | error}] and gives the lease back; returns how many rows took their vector.';

create function public.mira_answering_model() returns text
language plpgsql stable security invoker set search_path = '' as $$
begin
  return private.answering_model();
end $$;
comment on function public.mira_answering_model() is
  'Server only. The embedding model that answers searches now; null before the first vector. '
  'Definer: people cannot read private tables.';

-- ---------------------------------------------------------------------------------------------
-- care

create function private.check_recall(p_user_id uuid, p_sample int, p_repair boolean)
returns table (fact text, value double precision, is_good boolean)
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_sample int := least(greatest(coalesce(p_sample, 50), 1), 1000);
  v_missing bigint;
  v_orphans bigint;
  v_drifted bigint;
  v_recall double precision;
begin
  if coalesce(p_repair, false) then
    perform private.index_recall_row(s.source, s.source_id) from private.recall_sources s
    where s.embedding is not null and (p_user_id is null or s.user_id = p_user_id)
      and not exists (select from private.recall_vectors v
        where v.source_id = s.source_id and v.source = s.source and v.user_id = s.user_id
          and v.code = extensions.binary_quantize(s.embedding)::bit(1536)
          and v.contexts is not distinct from s.contexts);
    delete from private.recall_vectors v
    where (p_user_id is null or v.user_id = p_user_id)
      and not exists (select from private.recall_sources s
        where s.source = v.source and s.source_id = v.source_id and s.embedding is not null);
  end if;
  select count(*) into v_missing from private.recall_sources s
  where s.embedding is not null and (p_user_id is null or s.user_id = p_user_id)
    and not exists (select from private.recall_vectors v where v.source_id = s.source_id and v.source = s.source);
  select count(*) into v_orphans from private.recall_vectors v
  where (p_user_id is null or v.user_id = p_user_id)
    and not exists (select from private.recall_sources s
      where s.source = v.source and s.source_id = v.source_id and s.embedding is not null);
  select count(*) into v_drifted from private.recall_sources s
  join private.embedding_models m on m.name = s.embedding_model
  join private.recall_vectors v on v.source_id = s.source_id and v.source = s.source and v.model_id = m.id
  where s.embedding is not null and (p_user_id is null or s.user_id = p_user_id)
    and (v.user_id <> s.user_id or v.code <> extensions.binary_quantize(s.embedding)::bit(1536)
      or v.contexts is distinct from s.contexts);
  return query values
    ('entries_missing', v_missing::double precision, v_missing = 0),
    ('entries_orphaned', v_orphans::double precision, v_orphans = 0),
    ('entries_drifted', v_drifted::double precision, v_drifted = 0);

  -- recall@10 on the data itself: a sample's exact neighbours against what the search finds
  select avg(hit.share) into v_recall
  from (
    select p.id, p.user_id, p.trigger_embedding as embedding, m.id as model_id, p.embedding_model
    from public.behavior_patterns p join private.embedding_models m on m.name = p.embedding_model
    where p.trigger_embedding is not null and (p_user_id is null or p.user_id = p_user_id)
    order by md5(p.id::text) limit v_sample) q
  cross join lateral (
    -- by similarity, not by id: rows equally near are equally right
    select min(b.similarity) as worst, count(*) as wanted from (
      select 1 - (b.trigger_embedding operator(extensions.<=>) q.embedding) as similarity
      from public.behavior_patterns b
      where b.user_id = q.user_id and b.embedding_model = q.embedding_model and b.trigger_embedding is not null
      order by 1 desc limit 10) b) exact
  cross join lateral (
    select count(*)::double precision / exact.wanted as share
    from private.recall_nearest(q.user_id, q.model_id, '{1}', q.embedding, 10, -1) n
    where n.similarity >= exact.worst - 0.0005) hit;
  return query values ('recall_at_10', v_recall, coalesce(v_recall >= 0.99, true));
end $$;
comment on function private.check_recall(uuid, int, boolean) is
  'Compares the search index with the tables, and the search with an exact scan on a sample of the data itself. Optionally mends first.';

create function public.mira_check_recall(p_user_id uuid default null, p_sample int default 50, p_repair boolean default false)
returns table (fact text, value double precision, is_good boolean)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return query select c.fact, c.value, c.is_good from private.check_recall(p_user_id, p_sample, p_repair) c;
end $$;
comment on function public.mira_check_recall(uuid, int, boolean) is
  'Server only. Self-check of the search: entries missing, orphaned, drifted, and recall@10 against an exact scan; of one user or of all.';

create function public.mira_tidy_recall() returns jsonb
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.tidy_recall();
end $$;
comment on function public.mira_tidy_recall() is
  'Server only, for cron: counts open receipts, forgets receipts after 7 days and cached embeddings after 90.';

create function private.tidy_recall() returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_counted int := private.count_recalls(10000);
  v_receipts int;
  v_cached int;
begin
  delete from private.recall_receipts r where r.counted_at < now() - interval '7 days';
  get diagnostics v_receipts = row_count;
  delete from private.embedding_cache c where c.created_at < now() - interval '90 days';
  get diagnostics v_cached = row_count;
  return jsonb_build_object('counted', v_counted, 'receipts_forgotten', v_receipts, 'embeddings_forgotten', v_cached);
end $$;
comment on function private.tidy_recall() is 'Body of mira_tidy_recall. Definer: private tables.';

create function private.build_recall_graph(p_model text default null) returns text
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_model smallint := private.embedding_model_id(p_model);
  v_name text := format('recall_vectors_graph_%s_idx', v_model);
begin
  perform set_config('maintenance_work_mem', '256MB', true);
  -- parallel builds of pgvector before 0.8.2 may write out of bounds
  perform set_config('max_parallel_maintenance_workers', '0', true);
  execute format('create index if not exists %I on private.recall_vectors using hnsw (code extensions.bit_hamming_ops) where model_id = %s', v_name, v_model);
  return v_name;
end $$;
comment on function private.build_recall_graph(text) is
  'Opt-in, by an owner: a graph that makes searches over everybody about five times faster past some 150k rows, at recall about .95 and about 2 ms CPU for every insert. Needs pgvector 0.8.4 or later to be safe under vacuum. Drop the index to go back.';

-- ---------------------------------------------------------------------------------------------
-- who may do what

alter table private.embedding_models enable row level security;
alter table private.embedding_state enable row level security;
alter table private.embedding_cache enable row level security;
alter table private.embedding_failures enable row level security;
alter table private.recall_vectors enable row level security;
alter table private.recall_receipts enable row level security;
revoke all on private.embedding_models, private.embedding_state, private.embedding_cache,
  private.embedding_failures, private.recall_vectors, private.recall_receipts from public, anon, authenticated;
create policy embedding_models_all_server on private.embedding_models for all to service_role using (true) with check (true);
create policy embedding_state_all_server on private.embedding_state for all to service_role using (true) with check (true);
create policy embedding_cache_all_server on private.embedding_cache for all to service_role using (true) with check (true);
create policy embedding_failures_all_server on private.embedding_failures for all to service_role using (true) with check (true);
create policy recall_vectors_all_server on private.recall_vectors for all to service_role using (true) with check (true);
create policy recall_receipts_all_server on private.recall_receipts for all to service_role using (true) with check (true);

alter table public.behavior_patterns enable row level security;
revoke all on public.behavior_patterns from public, anon, authenticated;
grant select, delete on public.behavior_patterns to authenticated;
grant insert (id, user_id, trigger, context, actions, final_outcome) on public.behavior_patterns to authenticated;
grant update (trigger, context, actions, final_outcome) on public.behavior_patterns to authenticated;
grant all on public.behavior_patterns to service_role;
create policy behavior_patterns_select_own on public.behavior_patterns for select to authenticated
  using (user_id = (select auth.uid()));
create policy behavior_patterns_insert_own on public.behavior_patterns for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy behavior_patterns_update_own on public.behavior_patterns for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy behavior_patterns_delete_own on public.behavior_patterns for delete to authenticated
  using (user_id = (select auth.uid()));
comment on policy behavior_patterns_select_own on public.behavior_patterns is 'Users can view own patterns';
comment on policy behavior_patterns_insert_own on public.behavior_patterns is
  'Users can insert own patterns; vectors, counts and confidence are server-written';
comment on policy behavior_patterns_update_own on public.behavior_patterns is 'Users can update own patterns';
comment on policy behavior_patterns_delete_own on public.behavior_patterns is 'Users can delete own patterns';

alter table public.memories enable row level security;
revoke all on public.memories from public, anon, authenticated;
grant select, delete on public.memories to authenticated;
grant insert (id, user_id, type, content, metadata) on public.memories to authenticated;
grant update (type, content, metadata) on public.memories to authenticated;
grant all on public.memories to service_role;
create policy memories_select_own on public.memories for select to authenticated using (user_id = (select auth.uid()));
create policy memories_insert_own on public.memories for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy memories_update_own on public.memories for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy memories_delete_own on public.memories for delete to authenticated using (user_id = (select auth.uid()));

do $grants$
declare
  v_function regprocedure;
begin
  -- everything this file made is closed by name, then opened to exactly whom it is for
  for v_function in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
      and p.proname = any (array[
        'embedding_model_id', 'known_model', 'answering_model', 'checked_embedding', 'recall_contexts', 'recall_facets', 'recall_words',
        'memory_procedure', 'action_sequence', 'prepare_behavior_pattern', 'prepare_memory', 'index_new_patterns',
        'index_new_memories', 'index_recall_row', 'reindex_pattern', 'reindex_memory', 'unindex_recall_rows',
        'update_behavior_pattern_timestamp', 'recall_scan', 'recall_nearest', 'find_similar_patterns', 'recall_by_words',
        'recall_candidates', 'mira_recall_candidates', 'memory_outcome', 'memory_number', 'recall_patterns',
        'mira_recall_patterns', 'count_recalls', 'mira_count_recalls', 'increment_pattern_use_count', 'outcome_value',
        'add_evidence', 'sequence_similarity', 'record_pattern', 'mira_record_pattern', 'pattern_feedback',
        'mira_pattern_feedback', 'store_embedding', 'cached_embeddings', 'mira_cached_embeddings', 'cache_embeddings',
        'mira_cache_embeddings', 'embedding_work', 'mira_embedding_work', 'embedding_gave_up', 'sweep_embeddings',
        'put_embeddings', 'mira_put_embeddings', 'mira_answering_model', 'check_recall', 'mira_check_recall',
        'tidy_recall', 'mira_tidy_recall', 'build_recall_graph'])
  loop
    execute format('revoke all on function %s from public, anon, authenticated', v_function);
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end $grants$;

grant execute on function
  public.find_similar_patterns(extensions.vector, double precision, int, uuid),
  public.increment_pattern_use_count(uuid),
  private.find_similar_patterns(extensions.vector, double precision, int, uuid),
  private.increment_pattern_use_count(uuid)
  to authenticated;
