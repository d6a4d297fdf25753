begin;
select plan(24);

insert into auth.users (id) values ('b0000000-0000-4000-8000-00000000000b'), ('b0000000-0000-4000-8000-00000000000c');
create function pg_temp.noise(k int) returns extensions.vector language sql immutable as $$
  select array_agg(((hashint8extended((k::bigint << 20) + i, 7) % 2001) / 1000.0)::real order by i)::extensions.vector from generate_series(1, 1536) i $$;
-- forty themes and what somebody wrote about them; a user without themes beside
create temp table themes as select t, pg_temp.noise(t) as v from generate_series(1, 40) t;
create temp table sounds as
  select n, pg_temp.noise(1000 + n) * array_fill(0.45, array[1536])::extensions.vector as v from generate_series(1, 64) n;
create function pg_temp.about(k int) returns extensions.vector language sql as $$
  select extensions.l2_normalize(
    t.v + (select s.v from sounds s where s.n = 1 + k % 64) + (select s.v from sounds s where s.n = 1 + k / 64 % 64))
  from themes t where t.t = 1 + k % 40 $$;
create function pg_temp.put(u text, k_from int, k_to int) returns void language sql as $$
  insert into public.behavior_patterns (user_id, trigger, final_outcome, trigger_embedding, embedding_model)
  select ('b0000000-0000-4000-8000-00000000000' || u)::uuid, u || k, 'success', pg_temp.about(k), 'tap' from generate_series(k_from, k_to) k $$;
create function pg_temp.cells() returns bigint language sql as $$
  select count(distinct cell) from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-00000000000b' and cell <> 0 $$;
create function pg_temp.unfiled() returns bigint language sql as $$
  select count(*) from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-00000000000b' and cell = 0 $$;
create function pg_temp.found(k int) returns setof text language sql as $$
  select trigger from public.find_similar_patterns(pg_temp.about(k), 0.999, 5, 'b0000000-0000-4000-8000-00000000000b') $$;
create function pg_temp.wrong() returns setof text language sql as $$
  select fact from public.mira_check_recall('b0000000-0000-4000-8000-00000000000b', 25) where not is_good $$;
-- how many index entries a search reads, of all the user has
create function pg_temp.share_read() returns numeric language sql as $$
  select avg((p.cells is null or v.cell = any (p.cells))::int)
  from (select private.recall_probes(q.user_id, q.model_id, q.e, 5) as cells
    from private.recall_vectors q where q.user_id = 'b0000000-0000-4000-8000-00000000000b' order by q.vid limit 20) p
  cross join private.recall_vectors v where v.user_id = 'b0000000-0000-4000-8000-00000000000b' $$;

select pg_temp.put('b', 1, 499), pg_temp.put('c', 1, 60);
select is(public.mira_tend_recall_cells(5000, 500), 0, 'few rows are left as they are');
select pg_temp.put('b', 500, 700);
select is(pg_temp.share_read(), 1::numeric, 'and read as a whole');
select ok(public.mira_tend_recall_cells(5000, 500) > 0, 'a large user''s rows are put into cells');
select ok(pg_temp.cells() > 20 and pg_temp.unfiled() = 0, 'all of them, by neighbourhood');
select is((select max(cell) from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-00000000000c'), 0::smallint,
  'nobody else''s');
select ok(pg_temp.share_read() < 0.25, 'a search reads less than a quarter of them');
select is(public.mira_tend_recall_cells(5000, 500), 0, 'then nothing is due');
select is_empty('select pg_temp.wrong()', 'and what is found is what an exact scan finds');
select results_eq('select pg_temp.found(123)', $$values ('b123')$$, 'a row is found in its cell');
select is_empty($$select trigger from public.find_similar_patterns(pg_temp.about(123), 0, 10, 'b0000000-0000-4000-8000-00000000000b') where trigger like 'c%'$$,
  'the rows of others are not');
select is((select count(*) from public.find_similar_patterns(pg_temp.about(123), -1, 200, 'b0000000-0000-4000-8000-00000000000b')), 200::bigint,
  'who wants more than ten is given them from every cell');

select pg_temp.put('b', 701, 720);
select is(pg_temp.unfiled(), 20::bigint, 'a new row waits to be filed');
select results_eq('select pg_temp.found(711)', $$values ('b711')$$, 'and is found at once');
update public.behavior_patterns set trigger_embedding = pg_temp.about(5000) where trigger = 'b123';
select results_eq('select pg_temp.found(5000)', $$values ('b123')$$, 'so is one whose meaning moved to another neighbourhood');
update public.behavior_patterns set context = '{"branch": "main"}' where trigger = 'b124';
select is(pg_temp.unfiled(), 21::bigint, 'one whose context changed keeps its cell');
delete from public.behavior_patterns where trigger = 'b125';
select is_empty('select pg_temp.found(125)', 'and a deleted one leaves it');

update private.recall_vectors v set cell = 9999 from public.behavior_patterns p where p.id = v.source_id and p.trigger = 'b126';
select results_eq('select pg_temp.wrong()', $$values ('entries_astray')$$, 'the self-check sees an entry that no search would read');
select is_empty($$select fact from public.mira_check_recall('b0000000-0000-4000-8000-00000000000b', 25, true) where not is_good$$, 'and mends it');

select pg_temp.put('b', 721, 1450);
select public.mira_tend_recall_cells(300, 500);
select is((select is_filed from private.recall_cell_sets where user_id = 'b0000000-0000-4000-8000-00000000000b'), false,
  'twice the rows are given new cells, a batch at a time');
select is(pg_temp.share_read(), 1::numeric, 'and read as a whole meanwhile');
select public.mira_tend_recall_cells(300, 500) from generate_series(1, 6);
select ok(pg_temp.share_read() < 0.25 and not exists (select pg_temp.wrong()), 'until the last old cell is empty');
delete from public.behavior_patterns where user_id = 'b0000000-0000-4000-8000-00000000000b' and length(trigger) = 5;
delete from public.behavior_patterns where user_id = 'b0000000-0000-4000-8000-00000000000b' and trigger > 'b4';
select public.mira_tend_recall_cells(5000, 500);
select is_empty($$select from private.recall_cell_sets where user_id = 'b0000000-0000-4000-8000-00000000000b'$$, 'who has few rows again has no cells');

select is((select cell > 0 and cell < 9999 from private.recall_vectors where user_id = 'b0000000-0000-4000-8000-00000000000b' limit 1), true,
  'their rows stay where they lie');
update private.recall_vectors set cell = 32767 where user_id = 'b0000000-0000-4000-8000-00000000000b';
select pg_temp.put('b', 2001, 2500);
select public.mira_tend_recall_cells(5000, 500);
select results_eq(
  $$select min(v.cell) >= min(s.first_cell) and min(s.first_cell) = 1 and max(v.cell) < 600 from private.recall_vectors v
    join private.recall_cell_sets s using (user_id) where user_id = 'b0000000-0000-4000-8000-00000000000b'$$, $$values (true)$$,
  'and the numbers of cells begin anew where they end');

select * from finish();
rollback;
