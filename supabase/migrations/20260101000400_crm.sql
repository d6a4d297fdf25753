-- CRM: the people who might become customers.
--
-- A lead belongs to the house, not to an account. Whoever it is assigned to works on it, through the
-- table; administrators (private.admins) work on all of them, through the functions of the next
-- migration. Deleting a member's account takes their name off the lead and leaves the lead.
--
-- Why two doors? An index gives rows in order for one desk, or for all of them, and a policy is one
-- condition for both kinds of reader: "mine, or I am an administrator" would read every lead for
-- everybody. So the policy says the one desk, and the other door is a function.
--
-- Visitors come in by one narrow door, `capture_lead`: it writes only what a visitor may say, never
-- tells whether somebody is known already, and is limited per visitor and overall by the database's
-- own clock. Anonymous visitors have no right on any table.

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

create index if not exists leads_assigned_to_created_at_idx on public.leads (assigned_to, created_at desc, id desc);
-- For those who list the whole house, and say so by this condition. Without it the planner would walk
-- everybody's leads, newest first, to find the few of one desk, or to learn that there are none.
create index if not exists leads_status_created_at_idx on public.leads (status, created_at desc, id desc)
  where created_at > '-infinity';
create index if not exists leads_created_at_idx on public.leads (created_at desc, id desc)
  where created_at > '-infinity';
create index if not exists leads_email_idx on public.leads (lower(email));
create index if not exists leads_services_interested_idx on public.leads using gin (services_interested);
create index if not exists leads_metadata_idx on public.leads using gin (metadata jsonb_path_ops);

create or replace trigger leads_stamp_updated_at before update on public.leads
  for each row execute function private.set_updated_at();

alter table public.leads enable row level security;
revoke all on public.leads from public, anon, authenticated, service_role;
grant select on public.leads to authenticated;
grant update (name, email, phone, company, status, services_interested, budget_range, timeline, source, notes)
  on public.leads to authenticated;
grant select, insert, update, delete on public.leads to service_role;

create policy leads_select_desk on public.leads for select to authenticated
  using (assigned_to = (select auth.uid()));
create policy leads_update_desk on public.leads for update to authenticated
  using (assigned_to = (select auth.uid())) with check (assigned_to = (select auth.uid()));
comment on policy leads_select_desk on public.leads is
  'Whoever has the lead on their desk. Administrators read by get_leads_filtered.';

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
  private.count_lead_capture(text, integer),
  private.capture_lead(text, text, text, text, text[], text, text, text, text),
  public.capture_lead(text, text, text, text, text[], text, text, text, text)
  from public, anon, authenticated, service_role;
-- the one door for visitors: they may look up names in private, and execute this and nothing else
grant usage on schema private to anon;
grant execute on function
  private.capture_lead(text, text, text, text, text[], text, text, text, text),
  public.capture_lead(text, text, text, text, text[], text, text, text, text)
  to anon, authenticated, service_role;
