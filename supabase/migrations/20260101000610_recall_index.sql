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

create trigger behavior_patterns_index_insert after insert on public.behavior_patterns
  referencing new table as new_rows for each statement execute function private.index_new_patterns();
create trigger behavior_patterns_index_update
  after update of id, user_id, trigger, trigger_embedding, embedding_model, context, other_contexts, aliases
  on public.behavior_patterns for each row execute function private.reindex_pattern();
create trigger behavior_patterns_index_delete after delete on public.behavior_patterns
  referencing old table as old_rows for each statement execute function private.unindex_recall_rows('1');
create trigger behavior_patterns_index_truncate after truncate on public.behavior_patterns
  for each statement execute function private.unindex_recall_rows('1');

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
  index_new_patterns,index_new_memories,index_recall_row,reindex_pattern,reindex_memory,unindex_recall_rows}');
