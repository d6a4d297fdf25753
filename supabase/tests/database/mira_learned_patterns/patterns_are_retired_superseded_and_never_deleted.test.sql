begin;
grant execute on all functions in schema extensions to authenticated, service_role;
select plan(13);

insert into auth.users (id, email) values ('a0000000-0000-4000-8000-000000000001', 'ann@example.com');
set local role service_role;

create function pg_temp.pattern(p_type text, p_key text, p_variant text, p_frequency int, p_metadata jsonb default '{}')
returns jsonb language sql as $$
  select jsonb_build_object('pattern_type', p_type, 'key', p_key, 'variant', p_variant, 'module', 'crm',
    'confidence', 0.6, 'frequency', p_frequency, 'last_detected_at', 1772442000000,
    'evidence', jsonb_build_array('e0000000-0000-4000-8000-000000000001'), 'metadata', p_metadata || '{"algorithm": "t"}')
$$;
create function pg_temp.merge(variadic p_patterns jsonb[]) returns jsonb language sql as $$
  select private.merge_patterns('a0000000-0000-4000-8000-000000000001', to_jsonb(p_patterns))
$$;
create function pg_temp.now_holds() returns text language sql as $$
  select string_agg(concat_ws(' ', pattern_key, variant, frequency::text, status), ', ' order by pattern_key)
  from mira_learned_patterns where valid_to is null
$$;

select is(pg_temp.merge(pg_temp.pattern('preference', 'view', 'table', 5), pg_temp.pattern('struggle', 'rage', 'rage', 2)),
  '{"learned": {"struggle": 1, "preference": 1, "workflow_habit": 0}, "retired": 0}', 'new patterns are counted by type');
select is(pg_temp.merge(pg_temp.pattern('preference', 'view', 'table', 5), pg_temp.pattern('struggle', 'rage', 'rage', 2)),
  '{"learned": {"struggle": 0, "preference": 0, "workflow_habit": 0}, "retired": 0}', 'the same again changes nothing');
select is((select count(distinct xmin::text) from mira_learned_patterns), 1::bigint, 'and touches no row');
select is(pg_temp.merge(pg_temp.pattern('preference', 'view', 'table', 6)) ->> 'retired', '1', 'what is gone is retired');
select is(pg_temp.now_holds(), 'view table 6 active', 'what stays is brought up to date');
select pg_temp.merge(pg_temp.pattern('preference', 'view', 'cards', 7));
select is((select o.variant from mira_learned_patterns t join mira_learned_patterns o on o.id = t.supersedes_id
  where t.valid_to is null), 'table', 'another value supersedes the old one and points to it');
select pg_temp.merge(pg_temp.pattern('preference', 'view', 'cards', 7), pg_temp.pattern('struggle', 'rage', 'rage', 3));
select isnt((select supersedes_id from mira_learned_patterns where pattern_key = 'rage' and valid_to is null), null,
  'what comes back is a new row that remembers the old one');
select is((select count(*) from mira_learned_patterns), 4::bigint, 'nothing was deleted');

select private.choose_pattern_status(id, case pattern_key when 'view' then 'dismissed' else 'pinned' end)
from mira_learned_patterns where valid_to is null;
select pg_temp.merge(pg_temp.pattern('preference', 'view', 'cards', 9));
select is(pg_temp.now_holds(), 'rage rage 3 pinned, view cards 7 dismissed', 'a pin and a dismissal stand');

select pg_temp.merge(pg_temp.pattern('workflow_habit', 'h1', 'h1', 5, '{"sequence": ["a", "b", "c", "d"]}'));
select pg_temp.merge(pg_temp.pattern('workflow_habit', 'h2', 'h2', 6, '{"sequence": ["a", "b", "c", "d", "e"]}'));
select is((select o.pattern_key from mira_learned_patterns t join mira_learned_patterns o on o.id = t.supersedes_id
  where t.pattern_key = 'h2'), 'h1', 'a habit that grew a step supersedes what it was');
select private.choose_pattern_status(id, 'dismissed') from mira_learned_patterns where pattern_key = 'h2';
select pg_temp.merge(pg_temp.pattern('workflow_habit', 'h3', 'h3', 6, '{"sequence": ["b", "c", "d", "e"]}'),
  pg_temp.pattern('workflow_habit', 'h4', 'h4', 6, '{"sequence": ["x", "y", "z"]}'));
select is((select string_agg(pattern_key, ' ' order by pattern_key) from mira_learned_patterns
  where pattern_type = 'workflow_habit' and valid_to is null and status = 'active'), 'h4',
  'nearly the dismissed habit is not said again, another one is');
select throws_ok($$update mira_learned_patterns set status = 'retired' where pattern_key = 'h4'$$, '23514', null,
  'a retired pattern has an end');
select throws_ok($$insert into mira_learned_patterns (user_id, pattern_type, pattern_key)
  values ('a0000000-0000-4000-8000-000000000001', 'workflow_habit', 'h4')$$, '23505', null,
  'a key has one current pattern');

select * from finish();
rollback;
