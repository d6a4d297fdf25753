begin;
\ir setup.psql
select plan(9);

-- twelve steps that each put out half a megabyte under the same key
insert into run select 'long', (x ->> 'run_id')::uuid, x from pg_temp.start(pg_temp.graph(
  '{"start":["start"],"a":["tool",{"tool":"echo"}],"r":["router",{"conditions":[{"label":"again","when":"$.a.n < 12"}],"default":"stop"}],"end":["end"]}',
  'start>a a>r r>a:again r>end:stop')) x;
do $$ begin
  for i in 1..12 loop
    perform pg_temp.done(id, 2 * i - 1, jsonb_build_object('n', i, 'page', (select string_agg(md5(i::text || j), '') from generate_series(1, 16384) j))) from run;
  end loop;
end $$;
create temp table seen as select public.mira_read_run(null, id) as view from run;
select is((select view ->> 'status' from seen), 'completed', 'a run may put out more than anybody can hold at once');
select is((select jsonb_array_length(view -> 'steps') from seen), 24, 'all its steps are shown');
select ok((select octet_length((view -> 'steps')::text) < 4500000 from seen), 'in what can be held');
select is((select view #>> '{steps,22,output,n}' from seen), '12', 'the newest with what they put out');
select is((select view #>> '{steps,0,output}' from seen), null, 'the oldest without');
select ok((select (view #>> '{steps,0,output_bytes}')::int > 524288 from seen), 'but with its size');

create temp table page (n int, body jsonb);
do $$ declare v_after int := 0; v_page jsonb; begin
  for i in 1..50 loop
    v_page := public.mira_run_events(null, (select id from run), v_after, 200);
    insert into page values (i, v_page);
    exit when (v_page ->> 'finished')::boolean;
    v_after := (v_page #>> '{events,-1,id}')::int;
  end loop;
end $$;
select ok((select count(*) > 1 and max(octet_length((body -> 'events')::text)) < 5500000 from page), 'who follows it gets pages that fit');
select is((select jsonb_agg(e -> 'id' order by n, (e ->> 'id')::int) from page, jsonb_array_elements(body -> 'events') e),
  (select jsonb_agg(i) from generate_series(1, 26) i), 'with every event once, in order');
select is((select count(*)::int from page, jsonb_array_elements(body -> 'events') e where e #> '{data,output,page}' is not null and e ->> 'event' = 'step'), 12,
  'and whole');

select * from finish();
rollback;
