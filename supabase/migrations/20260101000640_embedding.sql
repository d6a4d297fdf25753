-- Embedding: every text is paid for once, and a change of model is worked off while the old one answers.

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
        perform private.answer_with_model(v_model, v_state.answering_id);
        v_state.target_id := null;
        v_state.is_sweeping := true;
      end if;
    end if;
  end if;

  v_state.leased_until := case when v_items is not null and p_lease_seconds is not null
    then clock_timestamp() + make_interval(secs => least(p_lease_seconds, 600)) end;
  update private.embedding_state s set target_id = v_state.target_id,
    cursor_source = v_state.cursor_source, cursor_id = v_state.cursor_id, is_sweeping = v_state.is_sweeping,
    leased_until = v_state.leased_until;

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
      on conflict (source_id, model_id, source) do update set
        code = excluded.code, e = excluded.e, cell = 0;
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

select private.open_to_server('{
  store_embedding,mira_cached_embeddings,cached_embeddings,mira_cache_embeddings,cache_embeddings,embedding_work,
  embedding_gave_up,sweep_embeddings,put_embeddings,mira_embedding_work,mira_put_embeddings,mira_answering_model}');
