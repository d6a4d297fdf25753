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
-- Users with thousands of rows have them by neighbourhood in that same index, and a search reads those
-- near the request (recall_cells); a new row is read by every search until a job has filed it.
--
-- Counters never touch a vector, an index or this file's side tables: `use_count`, `confidence` and
-- the evidence counts are in no index, so their updates stay on the heap page (HOT). That is why the
-- seed's indexes on use_count, confidence and final_outcome are not here: one user's rows are sorted in
-- memory. Its GINs over whole `actions` and `context` documents are not here either: nothing asks for
-- the first, the search filters by context inside its own index, and every insert pays for an index.
--
-- Here are the tables and the models; recall_forms says what a row must be and how rows are compared,
-- recall_index keeps the side table, recall_search reads it, pattern_evidence counts uses and weighs
-- outcomes, embedding pays for every text once, recall_care checks and tidies, recall_cells divides
-- what is large.
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
  created_at timestamptz not null default now(),
  unique (id, name, margin)
);
comment on table private.embedding_models is
  'Embedding models by a small number that fits into the search index. Vectors of two models are never compared.';
comment on column private.embedding_models.dimensions is
  'The model''s own dimensions; shorter vectors are stored zero-padded to 1536, which leaves cosine unchanged.';

comment on column private.embedding_models.margin is
  'Bits of Hamming distance beyond the k-th best that are re-ranked: four standard deviations of the noise at equal cosine, which a shorter model has less of.';

create table private.embedding_state (
  is_single boolean primary key default true check (is_single),
  answering_id smallint,
  answering_name text,
  answering_margin smallint,
  target_id smallint references private.embedding_models (id),
  cursor_source smallint not null default 1,
  cursor_id uuid,
  is_sweeping boolean not null default false,
  leased_until timestamptz,
  changed_at timestamptz not null default now(),
  foreign key (answering_id, answering_name, answering_margin)
    references private.embedding_models (id, name, margin) match full on update cascade
);
comment on table private.embedding_state is
  'One row: the model that answers searches, the model being moved to, and where the move stands.';
comment on column private.embedding_state.is_sweeping is
  'The new model answers already; the last job is to bring behavior_patterns.trigger_embedding up to it.';
comment on column private.embedding_state.answering_margin is
  'Margin and name of the answering model stand here too, held true by the foreign key: a search reads one row instead of joining two tables.';
create index embedding_state_answering_id_idx on private.embedding_state (answering_id, answering_name, answering_margin);
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

create function private.answer_with_model(p_model_id smallint, p_instead_of smallint) returns void
language plpgsql security definer set search_path = '' as $$
begin
  update private.embedding_state s
  set answering_id = m.id, answering_name = m.name, answering_margin = m.margin, changed_at = now()
  from private.embedding_models m where m.id = p_model_id and s.answering_id is not distinct from p_instead_of;
end $$;
comment on function private.answer_with_model(smallint, smallint) is
  'From now on, this model answers searches instead of that one (null: of none), unless another has taken its place meanwhile.';

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
    perform private.answer_with_model(v_id, v_answering);
  elsif v_answering <> v_id
    and exists (select from private.embedding_models m where m.id = v_answering and m.name = 'unspecified')
    and not exists (select from private.recall_vectors v where v.model_id = v_answering) then
    -- a nameless model nobody has a vector of steps aside at once
    perform private.answer_with_model(v_id, v_answering);
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
  return (select s.answering_name from private.embedding_state s);
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
  trigger text not null,
  trigger_embedding extensions.vector(1536),
  context jsonb not null default '{}'::jsonb,
  actions jsonb not null default '[]'::jsonb,
  final_outcome text not null,
  confidence double precision not null default 0.7,
  use_count int not null default 1 check (use_count >= 0),
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  embedding_model text,
  success_count int not null default 0,
  partial_count int not null default 0,
  failure_count int not null default 0,
  aliases text[] not null default '{}',
  other_contexts jsonb not null default '[]'::jsonb
  -- The other columns' limits are asked by a trigger when they are written (prepare_behavior_pattern).
  -- PostgreSQL reads every check of a table anew in every statement that writes to any column: that
  -- was half of what counting a use cost.
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

-- The same text, but for case, is the same trigger even before it is embedded. That is asked of one
-- user's entries, read in a row, because a second index would cost every insert more than it saves.
create index behavior_patterns_user_id_idx on public.behavior_patterns
  (user_id, created_at desc, hashtextextended(lower(trigger), 0));
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

-- who may do what

alter table private.embedding_models enable row level security;
alter table private.embedding_state enable row level security;
alter table private.embedding_cache enable row level security;
alter table private.embedding_failures enable row level security;
revoke all on private.embedding_models, private.embedding_state, private.embedding_cache,
  private.embedding_failures from public, anon, authenticated;
create policy embedding_models_all_server on private.embedding_models for all to service_role using (true) with check (true);
create policy embedding_state_all_server on private.embedding_state for all to service_role using (true) with check (true);
create policy embedding_cache_all_server on private.embedding_cache for all to service_role using (true) with check (true);
create policy embedding_failures_all_server on private.embedding_failures for all to service_role using (true) with check (true);

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

select private.open_to_server('{
  answer_with_model,embedding_model_id,known_model,answering_model,checked_embedding}');
