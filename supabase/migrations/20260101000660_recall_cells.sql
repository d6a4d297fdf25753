-- Recall, the cells: a large user's vectors by neighbourhood, so that a search reads a share of them.
--
-- An inverted file (Sivic and Zisserman 2003; k-means by Lloyd 1982, on the unit sphere as Dhillon and
-- Modha 2001) that never stands in anybody's way: a row is stored, changed and re-embedded into cell 0,
-- which every search reads, and a job files it into the cell of the nearest centroid later. The cell is
-- a column of the search index, so the cells of one user lie side by side in it. How far a search reads
-- beyond the nearest cell is not a setting: it is measured on the user's own rows when the cells are
-- made, and where that would be most of them, as where vectors form no neighbourhoods, there are none.
-- A distance and not a number of cells, because most requests lie well inside one neighbourhood and a few
-- between many: for the same recall that reads a fifth of the rows. While cells are made anew,
-- and for users with few rows, a search reads everything.

create table private.recall_cell_sets (
  user_id uuid not null references auth.users (id) on delete cascade,
  model_id smallint not null references private.embedding_models (id) on delete cascade,
  first_cell smallint not null,
  row_count int not null,
  reach real,
  is_filed boolean not null default false,
  primary key (user_id, model_id)
);
comment on table private.recall_cell_sets is 'Whose vectors are kept by cells, a row per user and model.';
comment on column private.recall_cell_sets.first_cell is
  'Lowest cell of this set. Rows in lower ones come from an older set, or (0) are new: they are still to be filed.';
comment on column private.recall_cell_sets.row_count is
  'Rows of the user when the set was made; twice or half as many make it anew.';
comment on column private.recall_cell_sets.reach is
  'A search for up to ten reads the four nearest cells and those whose similarity to the request is within this of the nearest one''s; null where cells do not pay.';
comment on column private.recall_cell_sets.is_filed is
  'Cells pay, and no row lies in one of an older set any more: searches read these.';
create index recall_cell_sets_model_id_idx on private.recall_cell_sets (model_id);

create table private.recall_cells (
  user_id uuid not null,
  model_id smallint not null,
  cell smallint not null,
  centroid extensions.halfvec(1536) not null,
  primary key (user_id, model_id, cell),
  foreign key (user_id, model_id) references private.recall_cell_sets (user_id, model_id) on delete cascade
) with (toast_tuple_target = 8160);
comment on table private.recall_cells is 'The cells of a set by their centroids: the mean direction of what lies there.';

-- the cells a search reads: the nearest four, since a theme may have been cut in two where no sample looked, those
-- within reach of the request, and cell 0; null means everything
create function private.recall_probes(p_user_id uuid, p_model_id smallint, p_half extensions.halfvec, p_count int)
returns smallint[]
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan as $$
declare
  v_reach real;
begin
  if p_count > 10 then
    return null; -- the reach was measured for ten
  end if;
  select s.reach into v_reach from private.recall_cell_sets s
  where s.user_id = p_user_id and s.model_id = p_model_id and s.is_filed;
  if not found then
    return null;
  end if;
  return (
    with cells as materialized (
      select c.cell, c.centroid operator(extensions.<#>) p_half as distance
      from private.recall_cells c where c.user_id = p_user_id and c.model_id = p_model_id)
    select array_agg(c.cell) || 0::smallint from cells c
    where c.distance <= greatest((select min(o.distance) from cells o) + v_reach,
      (select o.distance from cells o order by o.distance offset 3 limit 1)));
end $$;
comment on function private.recall_probes(uuid, smallint, extensions.halfvec, int) is
  'Cells that a search for p_count rows reads; null for all. Definer: the cells are private. Callers have checked the user.';

create function private.build_recall_cells(p_user_id uuid, p_model_id smallint, p_row_count int) returns void
language plpgsql volatile security definer set search_path = '' as $$
declare
  -- many and small: reading a centroid costs as much as reading five rows of a cell
  v_cells int := least(512, round(1.5 * sqrt(p_row_count)));
  v_first int := 1 + greatest(0,
    (select max(v.cell) from private.recall_vectors v where v.model_id = p_model_id and v.source = 1 and v.user_id = p_user_id),
    (select max(v.cell) from private.recall_vectors v where v.model_id = p_model_id and v.source = 2 and v.user_id = p_user_id));
  -- in the order of a hash: at random, and the same every time; the first 200 are for measuring
  v_sample bigint[] := array(
    select v.vid from private.recall_vectors v
    where v.model_id = p_model_id and v.source in (1, 2) and v.user_id = p_user_id
    order by hashint8(v.vid), v.vid limit 200 + 64 * v_cells);
  v_asked bigint[] := v_sample[ : 200];
  v_centroids extensions.halfvec[];
  v_reach real;
begin
  if v_first + v_cells > 32767 then
    -- numbers rise with every set and end some day
    update private.recall_vectors v set cell = 0
    where v.model_id = p_model_id and v.source in (1, 2) and v.user_id = p_user_id;
    v_first := 1;
  end if;
  v_sample := v_sample[201 : ];
  v_centroids := array(select v.e from private.recall_vectors v where v.vid = any (v_sample[ : v_cells]));
  for round in 1..6 loop
    -- a member is found by code, a tenth of the work, and counted with its whole vector
    with centroids as materialized (
      select extensions.binary_quantize(c.e)::bit(1536) as code, c.number
      from unnest(v_centroids) with ordinality c (e, number)),
    members as (
      select v.e, (
        select min((c.code operator(extensions.<~>) v.code)::int * 1024 + c.number) & 1023 from centroids c) as number
      from private.recall_vectors v where v.vid = any (v_sample))
    select array_agg(m.centroid) into v_centroids from (
      select extensions.l2_normalize(extensions.avg(n.e)) as centroid from members n group by n.number) m;
  end loop;

  -- How much farther than the nearest cell is the one where a true neighbour lies, the ten nearest of two
  -- hundred rows? The truth is by code and then by vector, over everything. One in a thousand may be
  -- missed, and a quarter is added for what the sample does not show.
  with centroids as materialized (select c.e from unnest(v_centroids) c (e)),
  asked as materialized (
    select q.vid, q.code, q.e, (select min(c.e operator(extensions.<#>) q.e) from centroids c) as nearest
    from private.recall_vectors q where q.vid = any (v_asked)),
  measured as (
    select 1.25 * percentile_disc(0.999) within group (order by near.farther) + 0.01 as reach
    from asked q
    cross join lateral (
      select (select h.e operator(extensions.<#>) q.e from centroids h
        order by h.e operator(extensions.<#>) n.e limit 1) - q.nearest as farther
      from private.recall_vectors n
      where n.vid <> q.vid and n.vid = any (array(
        select o.vid from private.recall_vectors o
        where o.model_id = p_model_id and o.source in (1, 2) and o.user_id = p_user_id
        order by o.code operator(extensions.<~>) q.code limit 200))
      order by n.e operator(extensions.<#>) q.e limit 10) near)
  select m.reach into v_reach from measured m
  where (
    select avg((c.e operator(extensions.<#>) q.e <= q.nearest + m.reach)::int) from asked q cross join centroids c) < 0.25;

  delete from private.recall_cells c where c.user_id = p_user_id and c.model_id = p_model_id;
  insert into private.recall_cell_sets (user_id, model_id, first_cell, row_count, reach)
  values (p_user_id, p_model_id, v_first, p_row_count, v_reach)
  on conflict (user_id, model_id) do update set
    first_cell = excluded.first_cell, row_count = excluded.row_count, reach = excluded.reach, is_filed = false;
  if v_reach is not null then
    insert into private.recall_cells (user_id, model_id, cell, centroid)
    select p_user_id, p_model_id, v_first + c.number - 1, c.e from unnest(v_centroids) with ordinality c (e, number);
  end if;
end $$;
comment on function private.build_recall_cells(uuid, smallint, int) is
  'Makes a user''s cells (anew): k-means on a sample, and how far to read, measured on the user''s own rows.';

create function private.file_recall_rows(p_user_id uuid, p_model_id smallint, p_limit int) returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_first smallint := (select s.first_cell from private.recall_cell_sets s
    where s.user_id = p_user_id and s.model_id = p_model_id and s.reach is not null);
  -- in the order of a hash, so that a batch leaves no page of an index full of what it replaces
  v_due bigint[] := array(
    select v.vid from private.recall_vectors v
    where v.model_id = p_model_id and v.source in (1, 2) and v.user_id = p_user_id and v.cell < v_first
    order by hashint8(v.vid) limit p_limit);
  v_filed int;
begin
  with centroids as materialized (
    select c.cell, c.centroid from private.recall_cells c where c.user_id = p_user_id and c.model_id = p_model_id),
  -- locked, so that no row is filed by a vector it no longer has; what somebody is changing comes next time
  due as materialized (
    select v.vid, v.e from private.recall_vectors v
    where v.vid = any (v_due) and v.user_id = p_user_id and v.cell < v_first for update skip locked)
  update private.recall_vectors v
  set cell = (select c.cell from centroids c order by c.centroid operator(extensions.<#>) d.e limit 1)
  from due d where v.vid = d.vid;
  get diagnostics v_filed = row_count;
  update private.recall_cell_sets s set is_filed = true
  where s.user_id = p_user_id and s.model_id = p_model_id and s.reach is not null and not s.is_filed
    and not exists (select from private.recall_vectors v
      where v.model_id = p_model_id and v.source in (1, 2) and v.user_id = p_user_id
        and v.cell between 1 and v_first - 1);
  return v_filed;
end $$;
comment on function private.file_recall_rows(uuid, smallint, int) is
  'Puts up to p_limit rows of a user that are in no cell of their set into the nearest one; returns how many.';

create function private.tend_recall_cells(p_limit int, p_least int) returns int
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_limit int := least(greatest(coalesce(p_limit, 1000), 1), 100000);
  v_least int := greatest(coalesce(p_least, 2000), 500);
  v_model smallint := (select s.answering_id from private.embedding_state s);
  v_start uuid := gen_random_uuid();
  v_user uuid;
  v_is_round boolean;
  v_is_due boolean;
  v_set private.recall_cell_sets;
  v_rows int;
  v_worked int := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('private.tend_recall_cells', 0)) then
    return 0;
  end if;
  delete from private.recall_cell_sets s where s.model_id <> v_model; -- of a model that no longer answers
  for v_source in 1..2 loop
    -- once around the users from anywhere, or a part of the way: nothing has to be remembered
    v_user := v_start;
    v_is_round := false;
    for step in 1..1000 loop
      v_user := (select v.user_id from private.recall_vectors v
        where v.model_id = v_model and v.source = v_source and v.user_id > v_user
        order by v.user_id limit 1);
      if v_user is null then
        exit when v_is_round;
        v_is_round := true;
        v_user := '00000000-0000-0000-0000-000000000000';
        continue;
      end if;
      exit when v_is_round and v_user > v_start;

      select s.* into v_set from private.recall_cell_sets s where s.user_id = v_user and s.model_id = v_model;
      select count(*) into v_rows from (
        select from private.recall_vectors v
        where v.model_id = v_model and v.source in (1, 2) and v.user_id = v_user
        limit coalesce(2 * v_set.row_count, v_least)) r;
      if v_rows < v_least then
        -- few rows are read as a whole, wherever they lie
        delete from private.recall_cell_sets s where s.user_id = v_user and s.model_id = v_model;
        continue;
      end if;
      v_is_due := v_set.user_id is null or v_rows >= 2 * v_set.row_count or v_rows <= v_set.row_count / 2;
      if v_is_due then
        select count(*) into v_rows from private.recall_vectors v
        where v.model_id = v_model and v.source in (1, 2) and v.user_id = v_user;
        perform private.build_recall_cells(v_user, v_model, v_rows);
        v_worked := v_worked + v_rows;
      elsif v_set.reach is not null then
        v_is_due := not v_set.is_filed or (
          select count(*) from private.recall_vectors v
          where v.model_id = v_model and v.source in (1, 2) and v.user_id = v_user and v.cell = 0
        ) >= greatest(v_least / 8, v_rows / 50);
      end if;
      if v_is_due then
        v_worked := v_worked + private.file_recall_rows(v_user, v_model, v_limit);
      end if;
      if v_worked >= v_limit then
        return v_worked;
      end if;
    end loop;
  end loop;
  return v_worked;
end $$;
comment on function private.tend_recall_cells(int, int) is
  'Body of mira_tend_recall_cells. Definer: private tables.';

create function public.mira_tend_recall_cells(p_limit int default 1000, p_least int default 2000) returns int
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return private.tend_recall_cells(p_limit, p_least);
end $$;
comment on function public.mira_tend_recall_cells(int, int) is
  'Server only, for cron: makes cells for users of p_least rows or more, anew where their rows have doubled or halved, and files what has come in, about p_limit rows a call: few, because each leaves a hole in a page that a later insert fills. Returns how many rows it worked on, 0 when nothing is due.';

create function private.recall_astray(p_user_id uuid) returns table (vid bigint)
language plpgsql stable security definer set search_path = '' as $$
begin
  return query
    select v.vid from private.recall_cell_sets s
    join private.recall_vectors v on v.model_id = s.model_id and v.source in (1, 2) and v.user_id = s.user_id
    where (p_user_id is null or s.user_id = p_user_id) and s.is_filed and v.cell <> 0
      and not exists (select from private.recall_cells c
        where c.user_id = s.user_id and c.model_id = s.model_id and c.cell = v.cell);
end $$;
comment on function private.recall_astray(uuid) is
  'Index entries in a cell that their user''s set does not have, so that no search reads it: there should be none.';

alter table private.recall_cell_sets enable row level security;
alter table private.recall_cells enable row level security;
revoke all on private.recall_cell_sets, private.recall_cells from public, anon, authenticated;
create policy recall_cell_sets_all_server on private.recall_cell_sets for all to service_role using (true) with check (true);
create policy recall_cells_all_server on private.recall_cells for all to service_role using (true) with check (true);

select private.open_to_server('{
  recall_probes,build_recall_cells,file_recall_rows,tend_recall_cells,recall_astray,mira_tend_recall_cells}');
