-- CRM: the people who might become customers.
--
-- A lead belongs to the house, not to an account. Whoever it is assigned to works on it;
-- administrators (private.admins) see every lead and assign them. Deleting a member's account takes
-- their name off the lead and leaves the lead.
--
-- Visitors come in by one narrow door, `capture_lead`: it writes only what a visitor may say, never
-- tells whether somebody is known already, and is limited per visitor and overall by the database's
-- own clock. Anonymous visitors have no right on any table.
--
-- Which leads a caller sees is a list of desks: one's own, or for an administrator all of them and
-- the desk of the unassigned. Said that way the policy is an index condition; "mine, or I am an
-- administrator" would read every lead for everybody.

do $$ begin
  create type public.lead_status as enum
    ('new', 'contacted', 'qualified', 'proposal', 'negotiation', 'won', 'lost');
exception when duplicate_object then null;
end $$;
comment on type public.lead_status is 'Where a lead stands, in the order of the pipeline.';

create table if not exists public.leads (
  id uuid primary key default gen_random_uuid(),
  name text check (char_length(name) between 1 and 200),
  email text check (email ~ '^[^@\s]+@[^@\s]+\.[^@\s]+$' and char_length(email) <= 320),
  phone text check (phone ~ '^[0-9+(). /x-]{3,40}$'),
  company text check (char_length(company) <= 200),
  status public.lead_status not null default 'new',
  lead_score integer not null default 0 check (lead_score between 0 and 100),
  services_interested text[] not null default '{}' check (cardinality(services_interested) <= 32),
  budget_range text check (char_length(budget_range) <= 100),
  timeline text check (char_length(timeline) <= 100),
  source text check (char_length(source) <= 100),
  notes text check (char_length(notes) <= 8192),
  assigned_to uuid references public.profiles (id) on delete set null,
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint leads_can_be_reached_check check (coalesce(name, email, phone) is not null)
);
comment on table public.leads is 'Seed 003: people who might become customers, and how far they have come.';
comment on column public.leads.lead_score is 'How promising, 0 to 100; written by the server.';
comment on column public.leads.assigned_to is 'Whose desk it is on; null while nobody has it. Changed by assign_lead.';
comment on column public.leads.source is 'Where the lead came from, such as a campaign or a page.';

create index if not exists leads_assigned_to_idx on public.leads (assigned_to);
-- Nothing is indexed by time alone: the planner would walk everybody's leads, newest first, to find
-- the few of one person, or to learn that there are none.
create index if not exists leads_desk_created_at_idx on public.leads
  ((coalesce(assigned_to, '00000000-0000-0000-0000-000000000000'::uuid)), created_at desc);
create index if not exists leads_status_lead_score_idx on public.leads (status, lead_score desc);
create index if not exists leads_email_idx on public.leads (lower(email));
create index if not exists leads_services_interested_idx on public.leads using gin (services_interested);
create index if not exists leads_metadata_idx on public.leads using gin (metadata jsonb_path_ops);

create or replace trigger leads_stamp_updated_at before update on public.leads
  for each row execute function private.set_updated_at();

-- Definer: an administrator's list is read from all leads. One probe of the index per desk.
create or replace function private.visible_lead_desks() returns uuid[]
language plpgsql stable security definer set search_path = '' as $$
declare
  v_desks uuid[];
begin
  if not private.is_admin() then
    return array[auth.uid()];
  end if;
  with recursive desk (id) as (
    (select assigned_to from public.leads where assigned_to is not null order by assigned_to limit 1)
    union all
    select (select l.assigned_to from public.leads l where l.assigned_to > d.id order by l.assigned_to limit 1)
    from desk d where d.id is not null
  )
  select array_agg(id) filter (where id is not null) into v_desks from desk;
  return '00000000-0000-0000-0000-000000000000'::uuid || coalesce(v_desks, '{}');
end $$;
comment on function private.visible_lead_desks() is
  'Whose leads the caller may see: their own; an administrator''s: everybody''s, and the nil uuid for unassigned ones. '
  'Definer: the list is read from all leads.';

alter table public.leads enable row level security;
revoke all on public.leads from public, anon, authenticated, service_role;
grant select, delete on public.leads to authenticated;
grant insert (id, name, email, phone, company, status, services_interested, budget_range, timeline, source,
    notes, assigned_to),
  update (name, email, phone, company, status, services_interested, budget_range, timeline, source, notes)
  on public.leads to authenticated;
grant select, insert, update, delete on public.leads to service_role;

create policy leads_select_desk on public.leads for select to authenticated
  using (coalesce(assigned_to, '00000000-0000-0000-0000-000000000000'::uuid)
    = any ((select private.visible_lead_desks())::uuid[]));
create policy leads_insert_admin on public.leads for insert to authenticated
  with check ((select private.is_admin()));
create policy leads_update_desk on public.leads for update to authenticated
  using (coalesce(assigned_to, '00000000-0000-0000-0000-000000000000'::uuid)
    = any ((select private.visible_lead_desks())::uuid[]))
  with check (coalesce(assigned_to, '00000000-0000-0000-0000-000000000000'::uuid)
    = any ((select private.visible_lead_desks())::uuid[]));
create policy leads_delete_admin on public.leads for delete to authenticated
  using ((select private.is_admin()));
comment on policy leads_select_desk on public.leads is
  'Whoever has the lead on their desk, and administrators.';

-- Definer: assigned_to is not a column clients may update.
create or replace function private.assign_lead(p_lead_id uuid, p_assigned_to uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
  if not (private.is_service() or private.is_admin()) then
    raise exception using errcode = 'PT403', message = 'admin_required',
      detail = 'Only an administrator assigns leads.';
  end if;
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

create or replace function public.assign_lead(p_lead_id uuid, p_assigned_to uuid) returns void
language sql set search_path = '' as $$
  select private.assign_lead(p_lead_id, p_assigned_to)
$$;
comment on function public.assign_lead(uuid, uuid) is
  'Administrators and the service: puts a lead on somebody''s desk, or on nobody''s (null).';

create table if not exists private.lead_capture_limits (
  is_only_row boolean primary key default true check (is_only_row),
  per_visitor integer not null default 5 check (per_visitor > 0),
  overall integer not null default 300 check (overall > 0),
  pepper bytea not null default extensions.gen_random_bytes(32)
);
comment on table private.lead_capture_limits is
  'How many leads one visitor, and all visitors together, may leave in an hour. One row.';
comment on column private.lead_capture_limits.pepper is
  'Keys the hash under which a visitor''s address is counted, so that no address is stored.';
insert into private.lead_capture_limits default values on conflict do nothing;

create table if not exists private.lead_captures (
  counted text not null,
  hour_started_at timestamptz not null,
  captures integer not null,
  primary key (counted, hour_started_at)
);
comment on table private.lead_captures is 'Leads left in each hour: by hashed visitor, and overall.';
create index if not exists lead_captures_hour_started_at_idx on private.lead_captures (hour_started_at);

alter table private.lead_capture_limits enable row level security;
alter table private.lead_captures enable row level security;
revoke all on private.lead_capture_limits, private.lead_captures from public, anon, authenticated, service_role;
grant select, insert, update, delete on private.lead_capture_limits, private.lead_captures to service_role;
create policy lead_capture_limits_all_service on private.lead_capture_limits to service_role
  using (true) with check (true);
create policy lead_captures_all_service on private.lead_captures to service_role
  using (true) with check (true);

create or replace function private.count_lead_capture(p_counted text, p_limit integer) returns void
language plpgsql set search_path = '' as $$
declare
  v_hour timestamptz := date_trunc('hour', clock_timestamp());
  v_captures integer;
begin
  insert into private.lead_captures as c (counted, hour_started_at, captures) values (p_counted, v_hour, 1)
  on conflict (counted, hour_started_at) do update set captures = c.captures + 1
  returning captures into v_captures;
  if v_captures > p_limit then
    raise exception using errcode = 'PT429', message = 'too_many_requests',
      detail = format('Please try again in %s seconds.',
        ceil(extract(epoch from v_hour + interval '1 hour' - clock_timestamp())));
  end if;
  if v_captures = 1 then
    delete from private.lead_captures where hour_started_at < v_hour - interval '1 day';
  end if;
end $$;
comment on function private.count_lead_capture(text, integer) is
  'Counts one capture in the current hour; raises 429 beyond the limit.';

-- Definer: a visitor has no right on any table, and must not be able to read what others left.
create or replace function private.capture_lead(
  p_name text, p_email text, p_phone text, p_company text, p_services_interested text[],
  p_budget_range text, p_timeline text, p_message text, p_source text
) returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_limits private.lead_capture_limits;
  v_headers json := nullif(current_setting('request.headers', true), '')::json;
  v_visitor text := coalesce(v_headers ->> 'cf-connecting-ip', v_headers ->> 'x-real-ip',
    split_part(v_headers ->> 'x-forwarded-for', ',', 1));
begin
  select * into strict v_limits from private.lead_capture_limits;
  if v_visitor <> '' then
    perform private.count_lead_capture(
      encode(extensions.hmac(convert_to(v_visitor, 'utf8'), v_limits.pepper, 'sha256'), 'hex'), v_limits.per_visitor);
  end if;
  perform private.count_lead_capture('everybody', v_limits.overall);
  insert into public.leads (name, email, phone, company, services_interested, budget_range, timeline, notes, source)
  values (nullif(btrim(p_name), ''), nullif(lower(btrim(p_email)), ''), nullif(btrim(p_phone), ''),
    nullif(btrim(p_company), ''), coalesce(p_services_interested, '{}'), p_budget_range, p_timeline, p_message,
    coalesce(p_source, 'web'));
exception when check_violation then
  raise exception using errcode = 'PT422', message = 'invalid_lead',
    detail = 'Give a name, an e-mail address or a phone number, each in its usual form and length.';
end $$;
comment on function private.capture_lead(text, text, text, text, text[], text, text, text, text) is
  'Body of public.capture_lead. Definer, because visitors have no right on any table.';

create or replace function public.capture_lead(
  p_name text default null, p_email text default null, p_phone text default null, p_company text default null,
  p_services_interested text[] default '{}', p_budget_range text default null, p_timeline text default null,
  p_message text default null, p_source text default 'web'
) returns void
language sql set search_path = '' as $$
  select private.capture_lead(p_name, p_email, p_phone, p_company, p_services_interested, p_budget_range,
    p_timeline, p_message, p_source)
$$;
comment on function public.capture_lead(text, text, text, text, text[], text, text, text, text) is
  'Anybody, signed in or not: leaves a lead. Says nothing about who is known; limited by the hour.';

revoke all on function
  private.visible_lead_desks(), private.assign_lead(uuid, uuid), public.assign_lead(uuid, uuid),
  private.count_lead_capture(text, integer),
  private.capture_lead(text, text, text, text, text[], text, text, text, text),
  public.capture_lead(text, text, text, text, text[], text, text, text, text)
  from public, anon, authenticated, service_role;
grant execute on function
  private.visible_lead_desks(), private.assign_lead(uuid, uuid), public.assign_lead(uuid, uuid)
  to authenticated, service_role;
-- the one door for visitors: they may look up names in private, and execute this and nothing else
grant usage on schema private to anon;
grant execute on function
  private.capture_lead(text, text, text, text, text[], text, text, text, text),
  public.capture_lead(text, text, text, text, text[], text, text, text, text)
  to anon, authenticated, service_role;

create or replace view public.lead_pipeline with (security_invoker = true) as
  select
    s.status,
    count(l.id) as leads,
    count(l.id) filter (where l.assigned_to is null) as unassigned,
    round(avg(l.lead_score), 1) as average_score,
    min(l.created_at) as oldest_at,
    max(l.updated_at) as last_changed_at
  from unnest(enum_range(null::public.lead_status)) as s (status)
  left join public.leads l on l.status = s.status
  group by s.status
  order by s.status;
comment on view public.lead_pipeline is
  'Analytics: how many leads stand where, among those the reader may see. Every status has a row.';
revoke all on public.lead_pipeline from public, anon, authenticated, service_role;
grant select on public.lead_pipeline to authenticated, service_role;
