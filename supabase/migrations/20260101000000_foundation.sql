-- Foundation: what every other domain stands on.
--
-- Three schemas, three meanings. `public` holds what clients and the seeds name and is the only
-- schema the Data API exposes. `private` holds definer functions and server-only tables; nobody
-- reaches it through the API. `extensions` holds extensions.
--
-- Nothing is callable or readable by accident. The global default privileges are revoked here
-- (the form with IN SCHEMA does nothing in PostgreSQL), and every later object still revokes from
-- public, anon and authenticated by name before it grants, because older Supabase projects grant to
-- those roles by name and newer ones grant nothing: the end state must be the same on both.
--
-- Who is asking? `auth.uid()` is the person. `private.is_service()` is the server: it looks at the
-- database role in force outside any definer function, which a token's claims cannot forge.
-- `private.acting_user(p_user_id)` joins the two: a person is always themselves, the service may
-- name somebody.
--
-- Errors that a caller can act on are raised with SQLSTATE 'PT<http status>', a message that is a
-- stable snake_case code, and a detail that is a sentence. PostgREST and functions-shared/db both
-- turn that into the same HTTP answer.

create schema if not exists extensions;
create schema if not exists private;

create extension if not exists pgcrypto with schema extensions;
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists vector with schema extensions;

grant usage on schema extensions to anon, authenticated, service_role;
revoke all on schema private from public;
grant usage on schema private to authenticated, service_role;
comment on schema private is 'Definer functions and server-only tables. Never exposed by the Data API.';

alter default privileges revoke execute on functions from public;
-- what hosted projects do since 2026-10-30: nothing new in public is granted to the API's roles by itself
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
-- whatever extension comes later stays callable, as its authors expect
alter default privileges in schema extensions grant execute on functions to public;

-- the database role that sent the statement, also when read inside a definer function
-- (plpgsql, because a SQL function that sets its search_path is planned anew on every call)
create or replace function private.invoking_role() returns text
language plpgsql stable set search_path = '' as $$
begin
  return coalesce(nullif(pg_catalog.current_setting('role', true), 'none'), session_user::text);
end $$;
comment on function private.invoking_role() is
  'The database role in force outside any definer function: authenticated, anon, service_role, postgres.';

create or replace function private.is_service() returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return pg_catalog.pg_has_role(private.invoking_role(), 'service_role', 'usage');
end $$;
comment on function private.is_service() is
  'True when the server itself asks (service_role or an owner of it), whatever the token claims say.';

create or replace function private.acting_user(p_user_id uuid default null) returns uuid
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid;
begin
  -- private.is_service(), spelled out: this runs before everything else
  if pg_catalog.pg_has_role(
    coalesce(nullif(pg_catalog.current_setting('role', true), 'none'), session_user::text), 'service_role', 'usage') then
    return p_user_id;
  end if;
  v_user := auth.uid();
  if v_user is null then
    raise exception using errcode = 'PT401', message = 'not_signed_in',
      detail = 'This call needs a signed-in user.';
  end if;
  if p_user_id is not null and p_user_id <> v_user then
    raise exception using errcode = 'PT403', message = 'not_your_user',
      detail = 'A user may act only for themselves: leave the user id out or pass your own.';
  end if;
  return v_user;
end $$;
comment on function private.acting_user(uuid) is
  'Whom a call is about: a person is always themselves; the service may name a user, or none (null).';

create or replace function private.required_user(p_user_id uuid default null) returns uuid
language plpgsql stable set search_path = '' as $$
declare
  v_user uuid := private.acting_user(p_user_id);
begin
  if v_user is null then
    raise exception using errcode = 'PT422', message = 'user_id_required',
      detail = 'The service must name the user this call is about.';
  end if;
  return v_user;
end $$;
comment on function private.required_user(uuid) is
  'As private.acting_user, and never null.';

-- one body for every updated_at trigger; the seeds' second name for it stands in public
create or replace function private.set_updated_at() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function private.set_updated_at() is 'Trigger: stamps updated_at with the database clock.';

create or replace function public.update_updated_at_column() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := pg_catalog.now();
  return new;
end $$;
comment on function public.update_updated_at_column() is
  'Trigger named by seed 002: stamps updated_at with the database clock.';

-- lists are paged, and no page is without an end
create or replace function private.page_size(p_limit integer) returns integer
language sql immutable parallel safe set search_path = '' as $$
  select least(greatest(coalesce(p_limit, 100), 1), 500)
$$;
comment on function private.page_size(integer) is 'A page has 1 to 500 rows, 100 when nothing is asked.';

revoke all on function
  private.invoking_role(), private.is_service(), private.acting_user(uuid),
  private.required_user(uuid), private.set_updated_at(), public.update_updated_at_column(),
  private.page_size(integer)
  from public, anon, authenticated;
grant execute on function
  private.invoking_role(), private.is_service(), private.acting_user(uuid), private.required_user(uuid),
  private.page_size(integer)
  to authenticated, service_role;

-- Migrations end with one of these. Every function is closed by name, whatever the project's default
-- privileges gave; those that people may call too are granted after.
create or replace function private.close_functions(p_names text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.proname = any (p_names)
  loop
    execute format('revoke all on function %s from public, anon, authenticated', v_function);
  end loop;
end $$;
comment on function private.close_functions(text[]) is
  'For migrations: nobody but the owner, and the service where granted, calls the functions of these names.';

create or replace function private.open_to_server(p_names text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  perform private.close_functions(p_names);
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.proname = any (p_names)
  loop
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end $$;
comment on function private.open_to_server(text[]) is
  'For migrations: the service calls the functions of these names, and nobody else.';
revoke all on function private.close_functions(text[]), private.open_to_server(text[]) from public, anon, authenticated;
