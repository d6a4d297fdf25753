-- Identity: who a person is to the application.
--
-- Supabase Auth owns the account (`auth.users`). `profiles` is its public face: one row per account,
-- made by a trigger at sign-up and gone with the account. Everything that seed 003 ties to a person
-- (conversations, assigned leads, started runs) points at `profiles`; everything else points at
-- `auth.users`; both roads end in the same deletion. `user_profiles`, the name seed 002 uses, is a
-- view of the same rows with the reader's own rights, so that the two names can never disagree.
--
-- A person writes what describes them and nothing that gives rights. The e-mail address follows the
-- account. Administrators are listed in `private.admins`, which no client can reach: a role kept in
-- a row its owner may update would be a promotion waiting to happen.

create table if not exists public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  email text,
  full_name text check (char_length(full_name) <= 200),
  display_name text check (char_length(display_name) <= 120),
  avatar_url text check (avatar_url ~ '^https://' and char_length(avatar_url) <= 2048),
  bio text check (char_length(bio) <= 2000),
  locale text check (locale ~ '^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$' and char_length(locale) <= 35),
  timezone text check (char_length(timezone) <= 64),
  preferences jsonb not null default '{}'
    check (jsonb_typeof(preferences) = 'object' and pg_column_size(preferences) <= 16384),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.profiles is
  'One row per account: how a person presents themselves and what they prefer. Made by trigger at sign-up.';
comment on column public.profiles.id is 'The account: auth.users.id.';
comment on column public.profiles.email is 'Follows auth.users.email; written by the server only.';
comment on column public.profiles.locale is 'A BCP 47 language tag such as pt-BR.';
comment on column public.profiles.timezone is 'An IANA zone such as Europe/Lisbon.';
comment on column public.profiles.preferences is 'What the person chose in the application: a JSON object of at most 16 KiB.';

create or replace trigger profiles_stamp_updated_at before update on public.profiles
  for each row execute function private.set_updated_at();

alter table public.profiles enable row level security;
revoke all on public.profiles from public, anon, authenticated, service_role;
grant select on public.profiles to authenticated;
grant insert (id, full_name, display_name, avatar_url, bio, locale, timezone, preferences),
  update (id, full_name, display_name, avatar_url, bio, locale, timezone, preferences)
  on public.profiles to authenticated;
-- no delete: a profile goes with its account
grant select, insert, update on public.profiles to service_role;

create policy profiles_select_own on public.profiles for select to authenticated
  using (id = (select auth.uid()));
create policy profiles_insert_own on public.profiles for insert to authenticated
  with check (id = (select auth.uid()));
create policy profiles_update_own on public.profiles for update to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));
comment on policy profiles_insert_own on public.profiles is
  'The row exists since sign-up; this lets an upsert through, never a second row.';

create or replace view public.user_profiles with (security_invoker = true) as
  select id, id as user_id, email, full_name, display_name, avatar_url, bio, locale, timezone,
    preferences, created_at, updated_at
  from public.profiles;
comment on view public.user_profiles is
  'Seed 002''s name for profiles: the same rows, with the reader''s own rights; it can be updated.';
revoke all on public.user_profiles from public, anon, authenticated, service_role;
grant select on public.user_profiles to authenticated, service_role;
grant update (full_name, display_name, avatar_url, bio, locale, timezone, preferences)
  on public.user_profiles to authenticated, service_role;

-- sign-up must never fail because of a strange name or picture: what does not fit is left out
create or replace function private.follow_account() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_meta jsonb := coalesce(new.raw_user_meta_data, '{}');
  v_picture text := coalesce(v_meta ->> 'avatar_url', v_meta ->> 'picture');
begin
  if tg_op = 'UPDATE' then
    update public.profiles set email = new.email where id = new.id and email is distinct from new.email;
    return null;
  end if;
  insert into public.profiles (id, email, full_name, avatar_url)
  values (
    new.id,
    new.email,
    nullif(left(btrim(coalesce(v_meta ->> 'full_name', v_meta ->> 'name')), 200), ''),
    case when v_picture ~ '^https://' and char_length(v_picture) <= 2048 then v_picture end
  )
  on conflict (id) do nothing;
  return null;
end $$;
comment on function private.follow_account() is
  'Trigger on auth.users: makes the profile at sign-up and keeps its e-mail address in step. '
  'Definer, because the role that writes accounts has no rights on profiles.';
revoke all on function private.follow_account() from public, anon, authenticated;

create or replace trigger mira_account_created after insert on auth.users
  for each row execute function private.follow_account();
create or replace trigger mira_account_renamed after update of email on auth.users
  for each row execute function private.follow_account();

-- accounts that were there before this migration
insert into public.profiles (id, email) select id, email from auth.users on conflict (id) do nothing;

create table if not exists private.admins (
  user_id uuid primary key references auth.users (id) on delete cascade,
  reason text check (char_length(reason) <= 500),
  granted_at timestamptz not null default now()
);
comment on table private.admins is
  'Who may see and assign every lead. Written by the server only.';
alter table private.admins enable row level security;
revoke all on private.admins from public, anon, authenticated, service_role;
grant select, insert, update, delete on private.admins to service_role;
create policy admins_all_service on private.admins to service_role using (true) with check (true);

create or replace function private.is_admin() returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (select 1 from private.admins where user_id = (select auth.uid()))
$$;
comment on function private.is_admin() is
  'True when the caller is an administrator. Definer, because clients cannot read private.admins.';

create or replace function public.is_admin() returns boolean
language sql stable set search_path = '' as $$
  select private.is_admin()
$$;
comment on function public.is_admin() is 'True when the signed-in caller is an administrator.';

create or replace function public.mira_grant_admin(p_user_id uuid, p_reason text default null)
returns void language sql set search_path = '' as $$
  insert into private.admins (user_id, reason) values (p_user_id, p_reason)
  on conflict (user_id) do update set reason = excluded.reason
$$;
comment on function public.mira_grant_admin(uuid, text) is 'Server only: makes an account an administrator.';

create or replace function public.mira_revoke_admin(p_user_id uuid)
returns void language sql set search_path = '' as $$
  delete from private.admins where user_id = p_user_id
$$;
comment on function public.mira_revoke_admin(uuid) is 'Server only: takes the right back.';

revoke all on function
  private.is_admin(), public.is_admin(), public.mira_grant_admin(uuid, text), public.mira_revoke_admin(uuid)
  from public, anon, authenticated, service_role;
grant execute on function private.is_admin(), public.is_admin() to authenticated, service_role;
grant execute on function public.mira_grant_admin(uuid, text), public.mira_revoke_admin(uuid) to service_role;
