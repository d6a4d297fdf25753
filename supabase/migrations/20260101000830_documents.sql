-- documents_generated: what tasks left behind, with links to it.

create table public.documents_generated (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null references auth.users (id) on delete cascade,
  task_id uuid,
  document_type text not null check (document_type in
    ('doc', 'sheet', 'slide', 'form', 'email', 'calendar_event', 'file', 'other')),
  title text not null check (octet_length(title) between 1 and 1024),
  url text check (url ~ '^(https?://|mailto:)' and octet_length(url) <= 4096),
  service text check (length(service) between 1 and 64),
  external_id text check (length(external_id) between 1 and 512),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  primary key (user_id, id),
  foreign key (user_id, task_id) references public.task_history (user_id, id)
    on delete set null (task_id)
);
comment on table public.documents_generated is
  'Documents, sheets, emails and calendar events that tasks made, with links to them.';
comment on column public.documents_generated.url is 'Where to open it: https, http or mailto only.';
comment on column public.documents_generated.service is 'The service that holds it, e.g. google_docs, gmail.';
comment on column public.documents_generated.external_id is
  'Its id in that service; one row per (owner, type, external id).';

create index documents_generated_user_id_task_id_idx on public.documents_generated (user_id, task_id);
create index documents_generated_user_id_created_at_idx
  on public.documents_generated (user_id, created_at, id);
create index documents_generated_user_id_type_created_at_idx
  on public.documents_generated (user_id, document_type, created_at, id);
create unique index documents_generated_external_idx
  on public.documents_generated (user_id, document_type, external_id) where external_id is not null;

alter table public.documents_generated enable row level security;
revoke all on public.documents_generated from public, anon, authenticated;
grant select, delete on public.documents_generated to authenticated;
grant select, insert, update, delete on public.documents_generated to service_role;
create policy documents_generated_select_own on public.documents_generated
  for select to authenticated using (user_id = (select auth.uid()));
create policy documents_generated_delete_own on public.documents_generated
  for delete to authenticated using (user_id = (select auth.uid()));

-- writing and reading ------------------------------------------------------------------------------

create function private.document_type(p_type text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_type text := case pg_catalog.regexp_replace(pg_catalog.lower(p_type), '^(google|workspace)[-_ ]?', '')
    when 'doc' then 'doc' when 'docs' then 'doc' when 'document' then 'doc'
    when 'sheet' then 'sheet' when 'sheets' then 'sheet' when 'spreadsheet' then 'sheet'
    when 'slide' then 'slide' when 'slides' then 'slide' when 'presentation' then 'slide'
    when 'form' then 'form' when 'forms' then 'form'
    when 'email' then 'email' when 'gmail' then 'email' when 'mail' then 'email'
    when 'calendar_event' then 'calendar_event' when 'calendar' then 'calendar_event'
    when 'event' then 'calendar_event'
    when 'file' then 'file' when 'drive' then 'file'
    when 'other' then 'other' end;
begin
  if v_type is null then
    raise exception using errcode = 'PT422', message = 'invalid_document_type',
      hint = '/document_type',
      detail = 'document_type is doc, sheet, slide, form, email, calendar_event, file or other.';
  end if;
  return v_type;
end $$;
comment on function private.document_type(text) is
  'The stored name of a document type; google_doc, spreadsheet, calendar and their like are understood.';

create function private.insert_documents(p_user_id uuid, p_documents jsonb, p_task_id uuid)
returns setof public.documents_generated
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  if pg_catalog.jsonb_typeof(p_documents) is distinct from 'array'
    or pg_catalog.jsonb_array_length(p_documents) not between 1 and 200 then
    raise exception using errcode = 'PT422', message = 'invalid_documents', hint = '/documents',
      detail = 'documents is an array of 1 to 200 documents.';
  end if;
  if exists (select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where coalesce(d.value ->> 'title', '') = '') then
    raise exception using errcode = 'PT422', message = 'invalid_title', hint = '/title',
      detail = 'A document has a title.';
  end if;
  if exists (select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where d.value ->> 'url' !~ '^(https?://|mailto:)') then
    raise exception using errcode = 'PT422', message = 'invalid_url', hint = '/url',
      detail = 'A document''s url starts with https://, http:// or mailto:.';
  end if;
  if exists (
    select 1 from pg_catalog.jsonb_array_elements(p_documents) d
    where coalesce((d.value ->> 'task_id')::uuid, p_task_id) is not null and not exists (
      select 1 from public.task_history t where t.user_id = v_user
        and t.id = coalesce((d.value ->> 'task_id')::uuid, p_task_id))) then
    raise exception using errcode = 'PT404', message = 'task_not_found', hint = '/task_id',
      detail = 'There is no such task.';
  end if;
  return query
    with given as materialized (
      select d.ordinality as n, coalesce((d.value ->> 'id')::uuid, pg_catalog.gen_random_uuid()) as id,
        coalesce((d.value ->> 'task_id')::uuid, p_task_id) as task_id,
        private.document_type(d.value ->> 'document_type') as document_type,
        d.value ->> 'external_id' as external_id, d.value as document
      from pg_catalog.jsonb_array_elements(p_documents) with ordinality d
    ), landed as (
      insert into public.documents_generated as t (id, user_id, task_id, document_type, title, url,
        service, external_id, metadata)
      select g.id, v_user, g.task_id, g.document_type,
        private.clip_text(private.redact_text(g.document ->> 'title'), 1024),
        private.redact_text(g.document ->> 'url'), g.document ->> 'service', g.external_id,
        private.clip_json(private.redact_json(g.document -> 'metadata'), 8192)
      from given g order by g.n
      on conflict do nothing
      returning t as row
    )
    select (r.row).* from (
      select distinct on (g.n) g.n, coalesce(l.row, o) as row
      from given g
      left join landed l on (l.row).id = g.id
        or ((l.row).document_type = g.document_type and (l.row).external_id = g.external_id)
      left join public.documents_generated o on o.user_id = v_user
        and (o.id = g.id or (o.document_type = g.document_type and o.external_id = g.external_id))
      order by g.n, o.id = g.id desc
    ) r
    order by r.n;
end $$;
comment on function private.insert_documents(uuid, jsonb, uuid) is
  'Stores a batch of documents in one statement, each id and each external id once, and returns their rows. '
  'Definer: the record is not a table that people write.';

create function public.batch_insert_generated_documents(
  p_documents jsonb, p_task_id uuid default null, p_user_id uuid default null
) returns setof public.documents_generated
language sql set search_path = '' as $$
  select * from private.insert_documents(p_user_id, p_documents, p_task_id)
$$;
comment on function public.batch_insert_generated_documents(jsonb, uuid, uuid) is
  'Adds 1 to 200 documents {document_type, title, url?, service?, external_id?, metadata?, task_id?, id?} in one statement and returns one row for each, in order; repeats return the row that exists.';

create function public.insert_generated_document(
  p_document_type text, p_title text, p_url text default null, p_task_id uuid default null,
  p_service text default null, p_external_id text default null, p_metadata jsonb default '{}',
  p_id uuid default null, p_user_id uuid default null
) returns uuid
language sql set search_path = '' as $$
  select d.id from private.insert_documents(p_user_id, pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_object('document_type', p_document_type, 'title', p_title, 'url', p_url,
      'service', p_service, 'external_id', p_external_id, 'metadata', p_metadata, 'id', p_id)),
    p_task_id) d limit 1
$$;
comment on function public.insert_generated_document(text, text, text, uuid, text, text, jsonb, uuid, uuid) is
  'Records one document and returns its id; the same p_id or external id again returns the first.';

create function public.get_documents_by_task(
  p_task_id uuid, p_before timestamptz default null, p_before_id uuid default null,
  p_limit integer default 100, p_user_id uuid default null
) returns setof public.documents_generated
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.documents_generated c
    where c.user_id = v_user and c.id = p_before_id), p_before);
begin
  return query select d.* from public.documents_generated d
    where d.user_id = v_user and d.task_id = p_task_id
      and (v_before is null or (d.created_at, d.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
    order by d.created_at desc, d.id desc limit private.page_size(p_limit);
end $$;
comment on function public.get_documents_by_task(uuid, timestamptz, uuid, integer, uuid) is
  'Documents of a task, newest first; the next page starts before the last row''s (created_at, id).';

create function public.get_documents_by_type(
  p_document_type text, p_from timestamptz default null, p_to timestamptz default null,
  p_before timestamptz default null, p_before_id uuid default null, p_limit integer default 100,
  p_user_id uuid default null
) returns setof public.documents_generated
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
  v_type text := private.document_type(p_document_type);
  -- by the row itself where it still stands: a client may hold its time with less precision
  v_before timestamptz := coalesce((select c.created_at from public.documents_generated c
    where c.user_id = v_user and c.id = p_before_id), p_before);
begin
  return query select d.* from public.documents_generated d
    where d.user_id = v_user and d.document_type = v_type
      and d.created_at >= coalesce(p_from, '-infinity') and d.created_at < coalesce(p_to, 'infinity')
      and (v_before is null or (d.created_at, d.id)
        < (v_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000')))
    order by d.created_at desc, d.id desc limit private.page_size(p_limit);
end $$;
comment on function public.get_documents_by_type(text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid) is
  'Documents of one type, newest first; the next page starts before the last row''s (created_at, id).';

create function public.get_document_statistics(
  p_from timestamptz default now() - interval '30 days', p_to timestamptz default now(),
  p_period text default 'all', p_user_id uuid default null
) returns table (period_start timestamptz, document_type text, total bigint, tasks bigint,
  last_at timestamptz)
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.required_user(p_user_id);
begin
  perform private.check_period(p_period, p_from, p_to);
  return query
    select private.period_of(d.created_at, p_period, p_from), d.document_type, count(*),
      count(distinct d.task_id), max(d.created_at)
    from public.documents_generated d
    where d.user_id = v_user and d.created_at >= p_from and d.created_at < p_to
    group by 1, 2 order by 1 desc, 3 desc limit 1000;
end $$;
comment on function public.get_document_statistics(timestamptz, timestamptz, text, uuid) is
  'Documents and their tasks per period (hour, day, week, month, all) and type; at most 366 days.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  document_type,insert_documents,batch_insert_generated_documents,insert_generated_document,
  get_documents_by_task,get_documents_by_type,get_document_statistics}');
grant execute on function
  private.insert_documents(uuid, jsonb, uuid),
  private.document_type(text),
  public.batch_insert_generated_documents(jsonb, uuid, uuid),
  public.insert_generated_document(text, text, text, uuid, text, text, jsonb, uuid, uuid),
  public.get_documents_by_task(uuid, timestamptz, uuid, integer, uuid),
  public.get_documents_by_type(text, timestamptz, timestamptz, timestamptz, uuid, integer, uuid),
  public.get_document_statistics(timestamptz, timestamptz, text, uuid)
  to authenticated;
