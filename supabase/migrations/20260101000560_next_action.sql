-- What comes next: counters of which action followed which, per person and over everybody.
--
-- They are what predicting needs and nothing else is read for it: a live session asks for a handful
-- of rows by key. They always say the same as the sessions the learner keeps (`learner_sessions`
-- that are `counted`): a round adds what it adds and takes away what it replaces, in the transaction
-- and under the lease that takes everything else of the round.
--
-- Everybody's counters hold no person: an action shows only where at least five people other than
-- the asking one did it in that context (k-anonymity, as for struggles).

create table private.next_actions (
  user_id uuid not null references auth.users (id) on delete cascade,
  level smallint not null check (level between 0 and 3),
  context uuid not null,
  action text not null check (octet_length(action) <= 1000),
  n int not null check (n >= 0),
  primary key (user_id, context, action)
) with (fillfactor = 80);
comment on table private.next_actions is 'How often each action followed each context, per person.';
comment on column private.next_actions.level is
  '0: anywhere; 1, 2, 3: after the last one, two, three actions.';
comment on column private.next_actions.context is 'Hash of the level and the actions of the context.';

create table private.next_population (
  context uuid not null,
  action text not null,
  users int not null,
  n bigint not null,
  primary key (context, action)
) with (fillfactor = 70);
-- what is shown, most people first; a count that changes touches no index
create index next_population_users_idx on private.next_population (context, users desc) where users >= 5;
comment on table private.next_population is
  'The same over everybody, levels 0 to 2. Read only where five or more people share it.';

do $$
declare
  v_table text;
begin
  foreach v_table in array '{next_actions,next_population}'::text[] loop
    execute format('alter table private.%I enable row level security', v_table);
    execute format('revoke all on private.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on private.%I to service_role', v_table);
    execute format('create policy %I on private.%I for all to service_role using (true) with check (true)',
      v_table || '_all_service', v_table);
  end loop;
end $$;

-- contexts -----------------------------------------------------------------------------------------

create function private.next_context(p_level int, p_actions text[]) returns uuid
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  return md5(p_level || E'\t' || array_to_string(p_actions, E'\t'))::uuid;
end $$;
comment on function private.next_context(int, text[]) is 'The key of a context: its level and its actions, oldest first.';

-- `^` stands for the beginning of a session, so that its first actions can be foreseen too
create function private.next_contexts(p_tokens jsonb) returns table (level int, context uuid, action text)
language sql immutable set search_path = '' as $$
  select c.level, c.context, t.action
  from (
    select x.action, coalesce(lag(x.action, 1) over w, '^') as a,
      case when x.at > 1 then coalesce(lag(x.action, 2) over w, '^') else '' end as b,
      case when x.at > 2 then coalesce(lag(x.action, 3) over w, '^') else '' end as c
    from jsonb_array_elements_text(p_tokens) with ordinality x (action, at)
    window w as (order by x.at)) t
  cross join lateral (values
    (0, private.next_context(0, '{}')), (1, private.next_context(1, array[t.a])), (2, private.next_context(2, array[t.b, t.a])),
    (3, private.next_context(3, array[t.c, t.b, t.a]))) as c (level, context)
  where octet_length(t.action) <= 1000
$$;
comment on function private.next_contexts(jsonb) is 'Every action of a session, once for each context it followed.';

-- counting -----------------------------------------------------------------------------------------

create function private.count_next(p_user_id uuid, p_removed jsonb, p_added jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  with change as (
    select c.level, c.context, c.action, sum(s.sign)::int as n
    from (
      select a.value as tokens, 1 as sign from jsonb_array_elements(p_added) a
      union all
      select r.value, -1 from jsonb_array_elements(p_removed) r) s
    cross join lateral private.next_contexts(s.tokens) c
    group by c.level, c.context, c.action
    having sum(s.sign) <> 0
  ), planned as materialized (
    select c.level, c.context, c.action, coalesce(a.n, 0) as before, coalesce(a.n, 0) + c.n as after
    from change c
    left join private.next_actions a
      on a.user_id = p_user_id and a.context = c.context and a.action = c.action
  ), put as (
    insert into private.next_actions (user_id, level, context, action, n)
    select p_user_id, p.level, p.context, p.action, p.after from planned p
    on conflict (user_id, context, action) do update set n = excluded.n
  )
  insert into private.next_population as p (context, action, users, n)
  select c.context, c.action, (c.after > 0)::int - (c.before > 0)::int, c.after - c.before
  from planned c
  where c.level <= 2
  order by c.context, c.action  -- one order of locks for all learners
  on conflict (context, action) do update set users = p.users + excluded.users, n = p.n + excluded.n;
  if jsonb_array_length(p_removed) > 0 then
    delete from private.next_actions a where a.user_id = p_user_id and a.n = 0;
  end if;
end $$;
comment on function private.count_next(uuid, jsonb, jsonb) is
  'Takes sessions (arrays of actions) out of a person''s counters and everybody''s, and adds others.';

create function private.uncount_next() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  with change as (
    select o.context, o.action, sum((o.n > 0)::int)::int as users, sum(o.n) as n
    from gone o where o.level <= 2 group by o.context, o.action
  ), locked as materialized (
    select p.context, p.action, p.users - c.users as users, p.n - c.n as n
    from private.next_population p join change c using (context, action)
    order by p.context, p.action
    for update of p
  ), fewer as (
    update private.next_population p set users = l.users, n = l.n
    from locked l where p.context = l.context and p.action = l.action and l.users > 0
  )
  delete from private.next_population p
  using locked l where p.context = l.context and p.action = l.action and l.users <= 0;
  return null;
end $$;
comment on function private.uncount_next() is
  'Trigger: counters that go, with an account or because nothing is left to count, leave everybody''s too. Definer: deletions come from auth.';
create trigger next_actions_uncount after delete on private.next_actions
  referencing old table as gone for each statement execute function private.uncount_next();

-- what a live session asks ------------------------------------------------------------------------

create function private.normal_page(p_page text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_uuid constant text := '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
begin
  return (
    select regexp_replace(string_agg(case
        when s.part ~ '^[0-9]+$' or s.part ~ '^(?=.*[0-9])(?:[0-9a-f]{12,}|[0-9A-Za-z_-]{20,})$' then ':id'
        else regexp_replace(s.part, v_uuid, ':id', 'gi') end,
      '/' order by s.n), '(.)/+$', '\1')
    from unnest(string_to_array(regexp_replace(p_page, '[?#].*$', ''), '/')) with ordinality s (part, n));
end $$;
comment on function private.normal_page(text) is 'A path without query, fragment and ids, as functions-shared/behaviour/normalise.ts has it.';

create function private.action_name(p_type text, p_module text, p_page text, p_target text, p_form text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_uuid constant text := '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
  v_target text := coalesce(p_target, p_form);
begin
  if p_type in ('page_leave', 'error') then
    return null;
  end if;
  if v_target ~* '[0-9]{5}|[0-9a-f]{8}-' then
    v_target := regexp_replace(regexp_replace(v_target, v_uuid, ':id', 'gi'), '[0-9]{5,}', ':id', 'g');
  end if;
  return p_type || ':' || p_module || ':' || private.normal_page(p_page) || coalesce('#' || nullif(v_target, ''), '');
end $$;
comment on function private.action_name(text, text, text, text, text) is
  'The action an event stands for, or null: the learner''s token of it (functions-shared/behaviour/normalise.ts).';

create function private.live_actions(p_user_id uuid, p_session_id uuid) returns text[]
language plpgsql stable set search_path = '' as $$
begin
  return (with ordered as (
    select e.*, row_number() over (order by e.at, e.arrival,
      array_position('{input,click,form_submit,custom,error,page_leave,navigation}'::text[], e.event_type),
      e.event_id) as place
    from (
      select b.event_id, b.event_type, b.module, b.page, b.target, left(b.payload ->> 'form', 200) as form,
        (extract(epoch from b.occurred_at) * 1000)::bigint as at,
        case when b.occurred_at = b.received_at then b.ingest_seq else 0 end as arrival
      from public.mira_behavioral_events b
      where b.session_id = p_session_id and b.user_id = p_user_id
      order by b.occurred_at desc, b.ingest_seq desc
      limit 100) e
  ), paused as (
    select o.*, o.at - lag(o.at) over (order by o.place) > 1800000 as is_first from ordered o
  ), named as (
    select p.place, a.name, lag(a.name) over (order by p.place) as before
    from paused p
    cross join lateral (
      select private.action_name(p.event_type, p.module, p.page, p.target, p.form) as name) a
    where a.name is not null
      and p.place >= coalesce((select max(f.place) from paused f where f.is_first), 1)
  )
  select coalesce(array_agg(n.name order by n.place), '{}') from named n where n.name is distinct from n.before);
end $$;
comment on function private.live_actions(uuid, uuid) is
  'The newest actions of a session since its last pause of 30 minutes, repeats collapsed: as its digest will have them.';

create function private.read_next(p_user_id uuid, p_session_id uuid) returns json
language plpgsql stable set search_path = '' as $$
declare
  v_most constant int := 50;
  v_actions text[] := private.live_actions(p_user_id, p_session_id);
  v_n int := cardinality(v_actions);
  v_a text := coalesce(v_actions[v_n], '^');
  v_b text := case when v_n > 0 then coalesce(v_actions[v_n - 1], '^') else '' end;
  v_c text := case when v_n > 1 then coalesce(v_actions[v_n - 2], '^') else '' end;
  v_any uuid := private.next_context(0, '{}');
  v_one uuid := private.next_context(1, array[v_a]);
  v_two uuid := private.next_context(2, array[v_b, v_a]);
  v_three uuid := private.next_context(3, array[v_c, v_b, v_a]);
  -- as if the last action had not been
  v_resumed_one uuid := private.next_context(1, array[v_b]);
  v_resumed_two uuid := private.next_context(2, array[v_c, v_b]);
  v_own jsonb;
  v_all jsonb;
begin
  select coalesce(jsonb_object_agg(k.context, f.followers), '{}') into v_own
  from unnest(array[v_any, v_one, v_two, v_three, v_resumed_one, v_resumed_two]) as k (context)
  cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_array(x.action, x.n)), '[]') as followers
    from (
      select a.action, a.n from private.next_actions a
      where a.user_id = p_user_id and a.context = k.context and a.n > 0
      order by a.n desc, a.action
      limit v_most) x) f;
  -- only what five or more others did
  select coalesce(jsonb_object_agg(k.context, f.followers), '{}') into v_all
  from unnest(array[v_any, v_one, v_two]) as k (context)
  cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_array(x.action, x.n)), '[]') as followers
    from (
      select p.action, p.n from private.next_population p
      where p.context = k.context and p.users >= 5 and (p.users > 5 or not exists (
        select from private.next_actions a
        where a.user_id = p_user_id and a.context = p.context and a.action = p.action and a.n > 0))
      order by p.users desc
      limit v_most) x) f;
  return json_build_object(
    'actions', to_json(v_actions),
    'own', json_build_object('any', v_own -> v_any::text, 'one', v_own -> v_one::text,
      'two', v_own -> v_two::text, 'three', v_own -> v_three::text),
    'resumed', json_build_object('one', v_own -> v_resumed_one::text, 'two', v_own -> v_resumed_two::text),
    'all', json_build_object('any', v_all -> v_any::text, 'one', v_all -> v_one::text, 'two', v_all -> v_two::text),
    'habits', coalesce((
      select json_agg(json_build_object('id', t.id, 'confidence', t.confidence, 'sequence', t.metadata -> 'sequence')
        order by t.confidence desc, t.id)
      from public.mira_learned_patterns t
      where t.user_id = p_user_id and t.pattern_type = 'workflow_habit' and t.status in ('active', 'pinned')), '[]'));
end $$;
comment on function private.read_next(uuid, uuid) is
  'What predicting the next action of a live session needs: its actions, what followed them before, habits. Everybody''s part shows only what five or more others did.';

create function public.mira_read_next(p_user_id uuid, p_session_id uuid) returns json
language sql stable set search_path = '' as $$ select private.read_next(p_user_id, p_session_id) $$;
comment on function public.mira_read_next(uuid, uuid) is 'Server only. As private.read_next.';

do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure from pg_catalog.pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace) and p.proname = any ('{
      next_context,next_contexts,count_next,uncount_next,normal_page,action_name,live_actions,
      read_next,mira_read_next}'::text[])
  loop
    execute format('revoke all on function %s from public, anon, authenticated', v_function);
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end $$;
