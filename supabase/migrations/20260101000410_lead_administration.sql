-- Lead administration: the whole house's leads, for those who run it.
--
-- Administrators and the service read, write and assign every lead through these functions; row
-- security shows them their own desk only (the essay of the migration before says why). Each function
-- asks first who is calling. The list is bounded and paged by the last row's (created_at, id), and is
-- planned for the filters that were given: every one of them is answered by an index.

create function private.require_admin() returns void
language plpgsql stable set search_path = '' as $$
begin
  if not (private.is_service() or private.is_admin()) then
    raise exception using errcode = 'PT403', message = 'admin_required',
      detail = 'Only an administrator may do this.';
  end if;
end $$;
comment on function private.require_admin() is
  'Raises 403 admin_required unless an administrator or the service is calling.';

-- finding ----------------------------------------------------------------------------------------

create function private.words_of(p_text text) returns tsvector
language plpgsql immutable parallel safe cost 500 set search_path = '' as $$
begin
  -- an address is found by its parts, which the parser would keep together
  return pg_catalog.to_tsvector('pg_catalog.simple', pg_catalog.translate(p_text, '@._+-/', '      '));
end $$;
comment on function private.words_of(text) is 'The words of a text as they are written, parts of addresses each for itself.';

create function private.lead_words(p_name text, p_email text, p_phone text, p_company text, p_notes text)
returns tsvector
language plpgsql immutable parallel safe cost 500 set search_path = '' as $$
begin
  return private.words_of(coalesce(p_name, '') || ' ' || coalesce(p_email, '') || ' ' || coalesce(p_phone, '')
    || ' ' || coalesce(p_company, '') || ' ' || coalesce(p_notes, ''));
end $$;
comment on function private.lead_words(text, text, text, text, text) is 'What a lead is found by.';

create index leads_words_idx on public.leads using gin (private.lead_words(name, email, phone, company, notes));

create function private.word_query(p_text text) returns tsquery
language sql immutable parallel safe set search_path = '' as $$
  select string_agg(
    '''' || replace(replace(w.lexeme, '\', '\\'), '''', '''''') || ''':*', ' & ')::tsquery
  from unnest(private.words_of(p_text)) w
$$;
comment on function private.word_query(text) is
  'Every word of the text, each as the beginning of a word; null when there is none.';

-- Definer: row security shows an administrator's own desk. Planned on each call, because which index
-- serves depends on which filters are given.
create function private.get_leads_filtered(
  p_status public.lead_status, p_assigned_to uuid, p_is_unassigned boolean, p_service text, p_search text,
  p_from timestamptz, p_to timestamptz, p_before timestamptz, p_before_id uuid, p_limit integer
) returns setof public.leads
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
  v_words tsquery := case when p_search <> '' then coalesce(private.word_query(p_search), '') end;
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.leads c where c.id = p_before_id), p_before);
  v_is_rare boolean := false;
begin
  perform private.require_admin();
  -- statistics know frequent words only: taken for frequent, a rare one would be sought through all leads
  if v_words is not null or p_service is not null then
    v_is_rare := (select count(*) <= 10000 from (
      select from public.leads l
      where (p_service is null or l.services_interested @> array[p_service])
        and (v_words is null or private.lead_words(l.name, l.email, l.phone, l.company, l.notes) @@ v_words)
      limit 10001) found);
  end if;
  return query select l.* from public.leads l
    where l.created_at > '-infinity' -- all of them: see the indexes
      and l.created_at >= coalesce(p_from, '-infinity') and l.created_at < coalesce(p_to, 'infinity')
      and (v_before is null or (l.created_at, l.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
      and (p_status is null or l.status = p_status)
      and (p_assigned_to is null or l.assigned_to = p_assigned_to)
      and (p_is_unassigned is not true or l.assigned_to is null)
      and (p_service is null or l.services_interested @> array[p_service])
      and (v_words is null or private.lead_words(l.name, l.email, l.phone, l.company, l.notes) @@ v_words)
    -- the sum is the same time, and no index has it in order: a few leads are found first and then sorted
    order by case when v_is_rare then l.created_at + interval '0' else l.created_at end desc, l.id desc
    limit private.page_size(p_limit);
end $$;
comment on function private.get_leads_filtered(public.lead_status, uuid, boolean, text, text, timestamptz, timestamptz, timestamptz, uuid, integer) is
  'Body of public.get_leads_filtered. Definer, because row security shows an administrator only their own desk.';

create function public.get_leads_filtered(
  p_status public.lead_status default null, p_assigned_to uuid default null,
  p_is_unassigned boolean default false, p_service text default null, p_search text default null,
  p_from timestamptz default null, p_to timestamptz default null,
  p_before timestamptz default null, p_before_id uuid default null, p_limit integer default 50
) returns setof public.leads
language sql stable set search_path = '' as $$
  select * from private.get_leads_filtered(p_status, p_assigned_to, p_is_unassigned, p_service, p_search,
    p_from, p_to, p_before, p_before_id, p_limit)
$$;
comment on function public.get_leads_filtered(public.lead_status, uuid, boolean, text, text, timestamptz, timestamptz, timestamptz, uuid, integer) is
  'Administrators and the service: leads newest first by status, desk (or nobody''s), service, beginnings of words in name, address, company and notes, and time; the next page starts before the last row''s (created_at, id).';

-- writing ----------------------------------------------------------------------------------------

create function private.changed_lead(p_lead public.leads, p_changes jsonb) returns public.leads
language plpgsql stable set search_path = '' as $$
declare
  v_unknown text := (select min(k.key) from pg_catalog.jsonb_object_keys(
      case pg_catalog.jsonb_typeof(p_changes) when 'object' then p_changes else '{"": null}' end) k (key)
    where k.key not in ('name', 'email', 'phone', 'company', 'status', 'services_interested',
      'budget_range', 'timeline', 'source', 'notes'));
begin
  if v_unknown is not null then
    raise exception using errcode = 'PT422', message = 'invalid_lead', hint = '/' || v_unknown,
      detail = 'A lead is given as an object of name, email, phone, company, status, services_interested, budget_range, timeline, source and notes.';
  end if;
  return pg_catalog.jsonb_populate_record(p_lead, p_changes);
exception when invalid_text_representation then
  raise exception using errcode = 'PT422', message = 'invalid_lead',
    detail = 'The status is one of lead_status, services_interested is a list of texts.';
end $$;
comment on function private.changed_lead(public.leads, jsonb) is
  'The lead with what the object names put in its place; other keys than people may write are refused.';

-- Definer: clients hold no INSERT on the table.
create function private.insert_lead(p_lead jsonb) returns public.leads
language plpgsql security definer set search_path = '' as $$
declare
  v_lead public.leads;
begin
  perform private.require_admin();
  v_lead.status := 'new';
  v_lead.services_interested := '{}';
  v_lead := private.changed_lead(v_lead, p_lead);
  insert into public.leads
    (name, email, phone, company, status, services_interested, budget_range, timeline, source, notes)
  select v_lead.name, v_lead.email, v_lead.phone, v_lead.company, v_lead.status, v_lead.services_interested,
    v_lead.budget_range, v_lead.timeline, v_lead.source, v_lead.notes
  returning * into v_lead;
  return v_lead;
exception when check_violation or not_null_violation then
  raise exception using errcode = 'PT422', message = 'invalid_lead',
    detail = 'Give a name, an e-mail address or a phone number, each in its usual form and length.';
end $$;
comment on function private.insert_lead(jsonb) is
  'Body of public.insert_lead. Definer, because clients hold no INSERT on leads.';

create function public.insert_lead(p_lead jsonb) returns public.leads
language sql set search_path = '' as $$
  select private.insert_lead(p_lead)
$$;
comment on function public.insert_lead(jsonb) is
  'Administrators and the service: makes a lead on nobody''s desk from {name?, email?, phone?, company?, status?, services_interested?, budget_range?, timeline?, source?, notes?}, of which one must reach the person.';

-- Definer: row security shows an administrator's own desk.
create function private.update_lead(p_lead_id uuid, p_changes jsonb) returns public.leads
language plpgsql security definer set search_path = '' as $$
declare
  v_lead public.leads;
begin
  perform private.require_admin();
  select * into v_lead from public.leads where id = p_lead_id for update;
  if not found then
    raise exception using errcode = 'PT404', message = 'lead_not_found', detail = 'There is no such lead.';
  end if;
  v_lead := private.changed_lead(v_lead, p_changes);
  update public.leads set name = v_lead.name, email = v_lead.email, phone = v_lead.phone,
    company = v_lead.company, status = v_lead.status, services_interested = v_lead.services_interested,
    budget_range = v_lead.budget_range, timeline = v_lead.timeline, source = v_lead.source, notes = v_lead.notes
  where id = p_lead_id
  returning * into v_lead;
  return v_lead;
exception when check_violation or not_null_violation then
  raise exception using errcode = 'PT422', message = 'invalid_lead',
    detail = 'Give a name, an e-mail address or a phone number, each in its usual form and length.';
end $$;
comment on function private.update_lead(uuid, jsonb) is
  'Body of public.update_lead. Definer, because row security shows an administrator only their own desk.';

create function public.update_lead(p_lead_id uuid, p_changes jsonb) returns public.leads
language sql set search_path = '' as $$
  select private.update_lead(p_lead_id, p_changes)
$$;
comment on function public.update_lead(uuid, jsonb) is
  'Administrators and the service: changes what p_changes names (null empties), as in insert_lead, and leaves the rest. Whoever has the lead on their desk updates the table.';

-- Definer: clients hold no DELETE on the table.
create function private.delete_lead(p_lead_id uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform private.require_admin();
  delete from public.leads where id = p_lead_id;
  if not found then
    raise exception using errcode = 'PT404', message = 'lead_not_found', detail = 'There is no such lead.';
  end if;
end $$;
comment on function private.delete_lead(uuid) is
  'Body of public.delete_lead. Definer, because clients hold no DELETE on leads.';

create function public.delete_lead(p_lead_id uuid) returns void
language sql set search_path = '' as $$
  select private.delete_lead(p_lead_id)
$$;
comment on function public.delete_lead(uuid) is 'Administrators and the service: deletes a lead.';

-- Definer: assigned_to is not a column clients may update.
create function private.assign_lead(p_lead_id uuid, p_assigned_to uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  perform private.require_admin();
  if p_assigned_to is not null and not exists (select 1 from public.profiles where id = p_assigned_to) then
    raise exception using errcode = 'PT422', message = 'assignee_not_found',
      detail = 'There is no profile with that id.';
  end if;
  update public.leads set assigned_to = p_assigned_to where id = p_lead_id;
  if not found then
    raise exception using errcode = 'PT404', message = 'lead_not_found', detail = 'There is no such lead.';
  end if;
end $$;
comment on function private.assign_lead(uuid, uuid) is
  'Body of public.assign_lead. Definer, because clients cannot write assigned_to.';

create function public.assign_lead(p_lead_id uuid, p_assigned_to uuid) returns void
language sql set search_path = '' as $$
  select private.assign_lead(p_lead_id, p_assigned_to)
$$;
comment on function public.assign_lead(uuid, uuid) is
  'Administrators and the service: puts a lead on somebody''s desk, or on nobody''s (null).';

-- counting ---------------------------------------------------------------------------------------

-- Definer: an administrator counts all leads, of which row security shows them one desk.
create function private.count_leads() returns table (
  status public.lead_status, leads bigint, unassigned bigint, average_score numeric,
  oldest_at timestamptz, last_changed_at timestamptz
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan as $$
declare
  v_counts_all boolean := private.is_service() or private.is_admin();
  v_desk uuid := auth.uid();
begin
  return query
    select l.status, count(*), count(*) filter (where l.assigned_to is null), round(avg(l.lead_score), 1),
      min(l.created_at), max(l.updated_at)
    from public.leads l where v_counts_all or l.assigned_to = v_desk
    group by l.status;
end $$;
comment on function private.count_leads() is
  'Leads by status: all for an administrator and the service, the caller''s desk for everybody else. '
  'Definer, because row security shows an administrator only their own desk.';

create view public.lead_pipeline with (security_invoker = true) as
  select s.status, coalesce(c.leads, 0) as leads, coalesce(c.unassigned, 0) as unassigned,
    c.average_score, c.oldest_at, c.last_changed_at
  from unnest(enum_range(null::public.lead_status)) as s (status)
  left join private.count_leads() c on c.status = s.status
  order by s.status;
comment on view public.lead_pipeline is
  'Analytics: how many leads stand where, on the reader''s desk; for an administrator in the whole house. Every status has a row.';
revoke all on public.lead_pipeline from public, anon, authenticated, service_role;
grant select on public.lead_pipeline to authenticated, service_role;

select private.open_to_server(array['require_admin', 'words_of', 'lead_words', 'word_query', 'get_leads_filtered', 'changed_lead',
  'insert_lead', 'update_lead', 'delete_lead', 'assign_lead', 'count_leads']);
grant execute on function
  -- whoever changes a lead writes its index
  private.words_of(text), private.lead_words(text, text, text, text, text),
  private.get_leads_filtered(public.lead_status, uuid, boolean, text, text, timestamptz, timestamptz, timestamptz, uuid, integer),
  public.get_leads_filtered(public.lead_status, uuid, boolean, text, text, timestamptz, timestamptz, timestamptz, uuid, integer),
  private.insert_lead(jsonb), public.insert_lead(jsonb),
  private.update_lead(uuid, jsonb), public.update_lead(uuid, jsonb),
  private.delete_lead(uuid), public.delete_lead(uuid),
  private.assign_lead(uuid, uuid), public.assign_lead(uuid, uuid),
  private.count_leads()
  to authenticated;
