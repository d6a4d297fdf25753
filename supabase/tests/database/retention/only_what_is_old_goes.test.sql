begin;
select plan(6);

insert into private.idempotency_keys (subject, route, key, fingerprint, claimed_until, created_at)
select 's', 'r', n::text, 'f', now(), now() - make_interval(hours => n) from generate_series(1, 100) as g (n);
insert into private.rate_limits values ('old', 'a', now() - interval '2 hours'), ('new', 'a', now());

create temporary table outcome on commit drop as select * from private.run_retention(p_batch => 10);
select is((select deleted from outcome where table_name = 'private.idempotency_keys'), 52::bigint, 'keys older than two days go, in batches');
select is((select count(*) from private.idempotency_keys), 48::bigint, 'and no others');
select results_eq('select subject from private.rate_limits', array['new'], 'a limit that nobody is near goes');

update private.retention_rules set keep = null where table_name = 'private.idempotency_keys';
select is_empty($$select from private.run_retention() where table_name = 'private.idempotency_keys'$$, 'a rule without an age keeps for ever');
insert into private.retention_rules (table_name, time_column, keep) values ('private.no_such_table', 'created_at', '1 day');
select lives_ok('select * from private.run_retention()', 'a table that is not there is passed over');
select is((select count(*) from private.idempotency_keys), 48::bigint, 'and nothing else went');

select * from finish();
rollback;
