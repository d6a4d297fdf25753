begin;
select plan(4);

select isnt_empty('select * from private.scheduled_jobs', 'there is a schedule');
select is_empty($$select name from private.scheduled_jobs
  where schedule !~ '^([0-9]+ seconds|[0-9*/,-]+( [0-9*/,-]+){4})$'$$, 'in a form that pg_cron and the embedded stack both read');
select throws_ok($$insert into private.scheduled_jobs (name, schedule, path, command) values ('x', '* * * * *', '/x', 'select 1')$$,
  '23514', null, 'a job calls a route or runs SQL, not both');
select lives_ok('select * from private.install_schedule()', 'installing is harmless where pg_cron is missing, and may be repeated');

select * from finish();
rollback;
