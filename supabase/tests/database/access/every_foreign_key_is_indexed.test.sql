begin;
select plan(1);

select is_empty($$
  select k.conrelid::regclass::text, k.conname from pg_constraint k
  where k.contype = 'f' and k.connamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (
      select from pg_index i
      where i.indrelid = k.conrelid and i.indisvalid
        and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
$$, 'every foreign key has an index that begins with its columns: deleting a parent never scans a table');

select * from finish();
rollback;
