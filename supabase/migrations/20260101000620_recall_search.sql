-- Recall, the search: nearest by meaning, by words, and the candidates that find-patterns weighs.

-- The scan: index entries nearest to a code, those within the margin of the p_count-th. Callers have
-- checked the user and set plan_cache_mode: a generic plan per branch is twice as fast as planning.
-- Distance and vid are sorted as one number, bits << 48 | vid, because a sort of plain numbers copies
-- no rows (a fifth of the scan) and an array of them is cut where the margin ends without being read.
create function private.recall_scan(
  p_user_id uuid, p_model_id smallint, p_margin int, p_sources smallint[], p_code bit, p_half extensions.halfvec,
  p_count int, p_contexts jsonb)
returns bigint[]
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
declare
  v_cap int := greatest(400, 8 * p_count);
  v_cells smallint[];
  v_facets bigint;
  v_ids bigint[];
begin
  if p_contexts is null and (p_user_id is not null
    or to_regclass('private.recall_vectors_graph_' || p_model_id || '_idx') is null) then
    v_cells := private.recall_probes(p_user_id, p_model_id, p_half, p_count);
    if v_cells is not null then
      v_ids := array(
        select ((v.code operator(extensions.<~>) p_code)::bigint << 48) | v.vid
        from private.recall_vectors v
        where v.model_id = p_model_id and v.source = any (p_sources) and v.user_id = p_user_id and v.cell = any (v_cells)
        order by 1 limit v_cap);
    elsif p_user_id is not null then
      v_ids := array(
        select ((v.code operator(extensions.<~>) p_code)::bigint << 48) | v.vid
        from private.recall_vectors v
        where v.model_id = p_model_id and v.source = any (p_sources) and v.user_id = p_user_id
        order by 1 limit v_cap);
    else
      v_ids := array(
        select ((v.code operator(extensions.<~>) p_code)::bigint << 48) | v.vid
        from private.recall_vectors v
        where v.model_id = p_model_id and v.source = any (p_sources)
        order by 1 limit v_cap);
    end if;
    -- they are in order: what lies within the margin is counted by a binary search
    v_ids := v_ids[1 : width_bucket(((coalesce(v_ids[p_count] >> 48, 1536) + p_margin + 1) << 48) - 1, v_ids)];
    if p_user_id is not null and cardinality(v_ids) = v_cap then
      -- a crowd: hundreds of rows about equally near, where bits alone cannot tell; look wider, in every cell
      return array(
        select v.vid from private.recall_vectors v
        where v.model_id = p_model_id and v.source = any (p_sources) and v.user_id = p_user_id
        order by v.code operator(extensions.<~>) p_code limit 4 * v_cap);
    end if;
    return array(select k & 281474976710655 from unnest(v_ids) k);
  elsif p_contexts is null then
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
        where v.model_id = p_model_id and v.source = any (p_sources) and v.user_id = p_user_id
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
comment on function private.recall_scan(uuid, smallint, int, smallint[], bit, extensions.halfvec, int, jsonb) is
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
    extensions.binary_quantize(p_embedding), v_half, p_count, private.recall_contexts(p_context));
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

-- One statement, because each one more costs a small user what reading fifty codes does: the request, the
-- index keys nearest to it, the rows behind them, the patterns behind the nearest.
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
  v_norm double precision := extensions.vector_norm(p_embedding);
begin
  if v_norm is null or v_norm = 0 or extensions.vector_dims(p_embedding) <> 1536 then
    perform private.checked_embedding(p_embedding);
  end if;
  return query
    select z.id, z.trigger, z.context, z.actions, z.final_outcome, z.confidence, z.use_count, z.exact
    from (
      select p.id, p.trigger, p.context, p.actions, p.final_outcome, p.confidence, p.use_count, near.threshold,
        -- full precision for the winners; while a model is being replaced, only the index has the new vector
        case when p.embedding_model = near.model
          then 1 - (p.trigger_embedding operator(extensions.<=>) p_embedding) else 1 - w.distance end as exact
      from (
        select k.model, k.half, k.wanted, k.threshold,
          case when k.close < k.cap then array(select unnest(k.keys[1 : k.close]) & 281474976710655)
            -- everybody's rows, cells, or a crowd
            else private.recall_scan(v_user, k.model_id, k.margin, '{1}', k.code, k.half, k.wanted, null) end as vids
        from (
          select a.*, width_bucket(((coalesce(a.keys[a.wanted] >> 48, 1536) + a.margin + 1) << 48) - 1, a.keys) as close
          from (
            select r.*,
              -- recall_scan, spelled out for the call that is made most: a fifth of a small user's time. Whether
              -- there are cells is asked of the index that is read next: one table less to open
              case when v_user is not null and not exists (
                select from private.recall_vectors n
                where n.model_id = r.model_id and n.source = 1 and n.user_id = v_user and n.cell > 0)
              then array(
                select ((n.code operator(extensions.<~>) r.code)::bigint << 48) | n.vid
                from private.recall_vectors n
                where n.model_id = r.model_id and n.source = 1 and n.user_id = v_user
                order by 1 limit r.cap) end as keys
            from (
              select s.answering_id as model_id, s.answering_margin as margin, s.answering_name as model,
                extensions.binary_quantize(p_embedding)::bit(1536) as code,
                (case when abs(v_norm - 1) < 0.001 then p_embedding
                  else extensions.l2_normalize(p_embedding) end)::extensions.halfvec(1536) as half,
                least(greatest(coalesce(p_threshold, 0.7), -1), 1) as threshold,
                least(greatest(coalesce(p_count, 5), 1), 200) as wanted, greatest(400, 8 * least(p_count, 200)) as cap
              from private.embedding_state s where s.answering_id is not null limit 1) r
            offset 0) a
          offset 0) k
        offset 0) near
      cross join lateral (
        select n.source_id, n.e operator(extensions.<=>) near.half as distance
        from private.recall_vectors n where n.vid = any (near.vids)
        order by 2 limit near.wanted) w
      join public.behavior_patterns p on p.id = w.source_id
      where w.distance <= 1.001 - near.threshold
      offset 0) z
    where z.exact >= z.threshold
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
      'confidence', private.memory_number(m.metadata, 'confidence', 0.7, 1),
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

-- Metadata is its owner's to write, and a number of theirs must not stop what is counted for everybody.
create function private.memory_number(p_metadata jsonb, p_key text, p_default double precision, p_most numeric default 1000000000)
returns double precision
language plpgsql immutable set search_path = '' as $$
begin
  return case when pg_catalog.jsonb_typeof(p_metadata -> p_key) = 'number'
    then least(greatest((p_metadata ->> p_key)::numeric, 0), p_most)::double precision else p_default end;
end $$;
comment on function private.memory_number(jsonb, text, double precision, numeric) is
  'A number from 0 to p_most out of metadata, the nearest to the one that is there, or the default where there is none.';

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
        'confidence', private.memory_number(m.metadata, 'confidence', 0.7, 1),
        'use_count', private.memory_number(m.metadata, 'use_count', 0))
      from public.memories m
      cross join lateral (select private.memory_procedure(m.content) as body offset 0) b
      where m.id = any (v_ids) and m.user_id = v_user) r), '[]'::jsonb);
end $$;
comment on function private.recall_patterns(uuid, uuid, uuid[], uuid[]) is
  'Body of mira_recall_patterns. Definer: writes the private receipt; reads rows of the acting user only.';

select private.open_to_server('{
  recall_scan,recall_nearest,find_similar_patterns,recall_by_words,mira_recall_candidates,recall_candidates,
  memory_outcome,memory_number,mira_recall_patterns,recall_patterns}');
grant execute on function
  public.find_similar_patterns(extensions.vector, double precision, int, uuid),
  private.find_similar_patterns(extensions.vector, double precision, int, uuid)
  to authenticated;
