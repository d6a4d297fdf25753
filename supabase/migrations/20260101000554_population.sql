-- Learning, what is usual: counts over everybody, kept exact by each user's change and cleaned of who leaves.

create table private.learner_population (
  unit text primary key check (length(unit) <= 700),
  users int not null default 0,
  n int not null default 0,
  k int not null default 0,
  f int not null default 0
) with (fillfactor = 70);
comment on table private.learner_population is
  'Counts over all users, by unit: what is usual. Kept exact by adding each user''s change.';
comment on column private.learner_population.n is 'Sessions that reached the page, clicked the target, used the control.';
comment on column private.learner_population.k is 'Sessions with the struggle, a click run, the value.';
comment on column private.learner_population.f is 'Sessions in which trouble followed the click run.';

alter table private.learner_population enable row level security;
revoke all on private.learner_population from public, anon, authenticated;
grant select, insert, update, delete on private.learner_population to service_role;
create policy learner_population_all_service on private.learner_population for all to service_role
  using (true) with check (true);

create function private.change_population(p_before jsonb, p_after jsonb) returns void
language sql set search_path = '' as $$
  insert into private.learner_population as p (unit, users, n, k, f)
  select c.key, sum(c.sign), sum(c.sign * (c.value ->> 0)::int), sum(c.sign * (c.value ->> 1)::int),
    sum(c.sign * (c.value ->> 2)::int)
  from (
    select a.key, a.value, 1 as sign from jsonb_each(p_after) a
    union all
    select b.key, b.value, -1 from jsonb_each(p_before) b
  ) c
  group by c.key
  having sum(c.sign) <> 0 or sum(c.sign * (c.value ->> 0)::int) <> 0
    or sum(c.sign * (c.value ->> 1)::int) <> 0 or sum(c.sign * (c.value ->> 2)::int) <> 0
  order by c.key  -- one order of locks for all learners
  on conflict (unit) do update
    set users = p.users + excluded.users, n = p.n + excluded.n, k = p.k + excluded.k, f = p.f + excluded.f
$$;
comment on function private.change_population(jsonb, jsonb) is
  'Replaces one user''s part in everybody''s counts: {unit: [n, k, f]} before and after.';

create function private.leave_population() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_uncounted jsonb;
begin
  perform private.change_population(old.contribution, '{}');
  with gone as (
    update private.learner_sessions s set counted = false
    where s.user_id = old.user_id and s.counted
    returning s.digest)
  select coalesce(jsonb_agg(g.digest -> 'tokens'), '[]') into v_uncounted from gone g;
  perform private.count_next(old.user_id, v_uncounted, '[]');
  return old;
end $$;
comment on function private.leave_population() is
  'Trigger: a user who is deleted takes their part out of everybody''s counts. Definer: deletions come from auth.';
-- before: the sessions, which go with the state, are still there to be taken out
create trigger learner_state_leave_population before delete on private.learner_state
  for each row execute function private.leave_population();

create function private.read_population(p_user_id uuid, p_units text[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(p.unit, jsonb_build_array(
    p.users - (o.own is not null)::int,
    p.n - coalesce((o.own ->> 0)::int, 0),
    p.k - coalesce((o.own ->> 1)::int, 0),
    p.f - coalesce((o.own ->> 2)::int, 0))), '{}')
  from private.learner_population p
  left join private.learner_state s on s.user_id = p_user_id
  cross join lateral (select s.contribution -> p.unit as own) o
  where p.unit = any (p_units)
$$;
comment on function private.read_population(uuid, text[]) is
  'Counts of everybody but the user: {unit: [users, n, k, f]}.';

create function public.mira_read_population(p_user_id uuid, p_units text[]) returns jsonb
language sql stable set search_path = '' as $$ select private.read_population(p_user_id, p_units) $$;
comment on function public.mira_read_population(uuid, text[]) is 'Server only. As private.read_population.';

select private.open_to_server('{change_population,leave_population,read_population,mira_read_population}');
