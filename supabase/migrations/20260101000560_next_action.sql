-- What comes next: what a live session asks for, and counts of what everybody does after what.
--
-- A person's own next action is predicted from the sessions the learner keeps (`learner_sessions`),
-- with the trust in each expert that learning left (`learner_state.next_model`); nothing else is kept
-- of a person. Everybody's counts always say the same as all sessions that are `counted`: a round
-- adds what it adds and takes away what it replaces, in the transaction and under the lease that
-- takes everything else of the round.
--
-- Everybody's counts hold no person: an action shows only where at least five people other than the
-- asking one did it in that context (k-anonymity, as for struggles).

create table private.next_population (
  context uuid not null,
  action text not null check (octet_length(action) <= 1000),
  users int not null,
  n bigint not null,
  primary key (context, action)
) with (fillfactor = 70);
-- what is shown, most people first; a count that changes touches no index
create index next_population_users_idx on private.next_population (context, users desc) where users >= 5;
comment on table private.next_population is
  'How often each action followed each context, and for how many people. Read only where five or more share it.';
comment on column private.next_population.context is
  'Hash of the actions before: none, the last, the last two; ^ is the beginning of a session.';

alter table private.next_population enable row level security;
revoke all on private.next_population from public, anon, authenticated;
grant select, insert, update, delete on private.next_population to service_role;
create policy next_population_all_service on private.next_population
  for all to service_role using (true) with check (true);

-- contexts -----------------------------------------------------------------------------------------

create function private.next_context(p_before text) returns uuid
language sql immutable parallel safe set search_path = '' as $$ select md5(p_before)::uuid $$;
comment on function private.next_context(text) is 'The key of a context: the actions before, oldest first, with tabs between.';

-- `^` stands for the beginning of a session, so that its first actions can be foreseen too
create function private.next_contexts(p_actions jsonb) returns table (before text, action text)
language sql immutable set search_path = '' as $$
  select c.before, t.action
  from (
    select x.action, coalesce(lag(x.action) over w, '^') as a,
      case when x.at > 1 then coalesce(lag(x.action, 2) over w, '^') end as b
    from jsonb_array_elements_text(p_actions) with ordinality x (action, at)
    window w as (order by x.at)) t
  cross join lateral (values (''), (t.a), (t.b || E'\t' || t.a)) as c (before)
  where octet_length(t.action) <= 1000 and c.before is not null
$$;
comment on function private.next_contexts(jsonb) is
  'Every action of a session, once for each context it followed: any, the last action, the last two.';

-- counting -----------------------------------------------------------------------------------------

create function private.count_next(p_user_id uuid, p_removed jsonb, p_added jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_nobodys jsonb;
begin
  with change as materialized (
    select c.before, c.action, sum(s.sign)::int as n
    from (
      select a.value as actions, 1 as sign from jsonb_array_elements(p_added) a
      union all
      select r.value, -1 from jsonb_array_elements(p_removed) r) s
    cross join lateral private.next_contexts(s.actions) c
    group by c.before, c.action
    having sum(s.sign) <> 0
  ), present as (
    select c.before, c.action, count(*)::int as n
    from private.learner_sessions s
    cross join lateral private.next_contexts(s.digest -> 'tokens') c
    where s.user_id = p_user_id and s.counted
      and (c.before, c.action) in (select x.before, x.action from change x)
    group by c.before, c.action
  ), moved as (
    select private.next_context(c.before) as context, c.action, c.n,
      (coalesce(p.n, 0) > 0)::int - (coalesce(p.n, 0) - c.n > 0)::int as users
    from change c left join present p using (before, action)
  ), put as (
    insert into private.next_population as p (context, action, users, n)
    select m.context, m.action, m.users, m.n from moved m
    order by m.context, m.action  -- one order of locks for all learners
    on conflict (context, action) do update set users = p.users + excluded.users, n = p.n + excluded.n
    returning p.context, p.action, p.users)
  select jsonb_agg(jsonb_build_object('context', p.context, 'action', p.action)) into v_nobodys
  from put p where p.users <= 0;
  delete from private.next_population p
  using jsonb_to_recordset(v_nobodys) as g (context uuid, action text)
  where p.context = g.context and p.action = g.action and p.users <= 0;
end $$;
comment on function private.count_next(uuid, jsonb, jsonb) is
  'Takes sessions (arrays of actions) of a person out of everybody''s counts, and adds others. The person''s counted sessions are already those after the change.';

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
  v_one text := coalesce(v_actions[v_n], '^');
  v_two text := case when v_n > 0 then coalesce(v_actions[v_n - 1], '^') || E'\t' || v_one end;
  v_all jsonb;
begin
  -- only what five or more others did
  with own as materialized (
    select distinct c.before, c.action
    from private.learner_sessions s
    cross join lateral private.next_contexts(s.digest -> 'tokens') c
    where s.user_id = p_user_id and s.counted and c.before in ('', v_one, v_two)
  )
  select jsonb_object_agg(k.name, f.followers) into v_all
  from (values ('any', ''), ('one', v_one), ('two', v_two)) as k (name, before)
  cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_array(x.action, x.n)), '[]') as followers
    from (
      select p.action, p.n from private.next_population p
      where p.context = private.next_context(k.before) and p.users >= 5
        and (p.users > 5 or (k.before, p.action) not in (select o.before, o.action from own o))
      order by p.users desc, p.action
      limit v_most) x) f;
  return json_build_object(
    'actions', to_json(v_actions),
    'sessions', coalesce((
      select json_agg(h.actions order by h.started_at, h.session_id)
      from (
        select s.digest -> 'tokens' as actions, s.started_at, s.session_id
        from private.learner_sessions s
        where s.user_id = p_user_id
          -- as far as it was learned, the live session says about itself only what is asked anyway
          and (s.session_id <> p_session_id or s.started_at < (
            select max(l.started_at) from private.learner_sessions l
            where l.user_id = p_user_id and l.session_id = p_session_id))
        order by s.started_at desc, s.session_id desc
        limit 200) h), '[]'),
    'model', (select s.next_model from private.learner_state s where s.user_id = p_user_id),
    'all', v_all,
    'habits', coalesce((
      select json_agg(json_build_object('id', t.id, 'confidence', t.confidence, 'sequence', t.metadata -> 'sequence')
        order by t.confidence desc, t.id)
      from public.mira_learned_patterns t
      where t.user_id = p_user_id and t.pattern_type = 'workflow_habit' and t.status in ('active', 'pinned')), '[]'));
end $$;
comment on function private.read_next(uuid, uuid) is
  'What predicting the next action of a live session needs: its actions, the person''s newest sessions, trust in the experts, what others do here, habits. Others'' part shows only what five or more did.';

create function public.mira_read_next(p_user_id uuid, p_session_id uuid) returns json
language sql stable set search_path = '' as $$ select private.read_next(p_user_id, p_session_id) $$;
comment on function public.mira_read_next(uuid, uuid) is 'Server only. As private.read_next.';

select private.open_to_server('{
  next_context,next_contexts,count_next,normal_page,action_name,live_actions,
  read_next,mira_read_next}');
