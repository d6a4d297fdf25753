begin;
select plan(8);

create function pg_temp.take(p_cost int default 1) returns int language sql as $$
  select public.mira_take_rate_limit('ann', 'track', 3, 60, p_cost)
$$;

select is(pg_temp.take(), 0, 'the first call of a burst is allowed');
select is(pg_temp.take(), 0, 'the second as well');
select is(pg_temp.take(), 0, 'and the third');
select ok(pg_temp.take() between 19 and 21, 'the fourth is told to wait one share of the window');
select is(public.mira_take_rate_limit('ben', 'track', 3, 60), 0, 'another person is not held up');
select is(public.mira_take_rate_limit('ann', 'find', 3, 60), 0, 'nor another action');
update private.rate_limits set arrives_at = arrives_at - interval '20 seconds' where subject = 'ann' and action = 'track';
select is(pg_temp.take(), 0, 'after that share one more is allowed');
select ok(pg_temp.take(3) between 59 and 61, 'a dear call waits for all its shares');

select * from finish();
rollback;
