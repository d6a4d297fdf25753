begin;
select plan(11);

create function pg_temp.claim(p_fingerprint text default 'f') returns text language sql as $$
  select public.mira_claim_idempotency_key('ann', 'POST /x', 'k', p_fingerprint) ->> 'state'
$$;

select is(pg_temp.claim(), 'new', 'the first request gets the key');
select is(pg_temp.claim(), 'in_flight', 'its twin has to wait');
select is(pg_temp.claim('g'), 'mismatch', 'another body may not use the key');
select is(public.mira_claim_idempotency_key('ben', 'POST /x', 'k', 'f') ->> 'state', 'new', 'another person may');
select is(public.mira_claim_idempotency_key('ann', 'POST /y', 'k', 'f') ->> 'state', 'new', 'and another route');

update private.idempotency_keys set claimed_until = now() - interval '1 second';
select is(pg_temp.claim('g'), 'mismatch', 'a claim that lapsed is not taken over by another body');
select is(pg_temp.claim(), 'new', 'but by the retry of the same request');

select public.mira_settle_idempotency_key('ann', 'POST /x', 'k', 201, '{"id":1}', 'application/json');
select is(public.mira_claim_idempotency_key('ann', 'POST /x', 'k', 'f'),
  '{"state":"replay","status":201,"body":"{\"id\":1}","content_type":"application/json"}'::jsonb,
  'the stored answer is replayed');
update private.idempotency_keys set claimed_until = now() - interval '1 second';
select is(pg_temp.claim(), 'replay', 'also long after the claim');

select public.mira_settle_idempotency_key('ann', 'POST /y', 'k', null, null, null);
select is(public.mira_claim_idempotency_key('ann', 'POST /y', 'k', 'f') ->> 'state', 'new', 'a request that failed leaves the key free');
select public.mira_settle_idempotency_key('ann', 'POST /x', 'k', null, null, null);
select is(pg_temp.claim(), 'replay', 'an answer once stored is not released');

select * from finish();
rollback;
