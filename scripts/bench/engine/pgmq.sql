-- The part of pgmq 1.5 that pgflow 0.8 calls, with pgmq's tables, indexes and statements, so that
-- pgflow can be measured where the extension is not installed; and realtime.send as one plain insert.

create schema pgmq;
create type pgmq.message_record as
  (msg_id bigint, read_ct int, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb);
create table pgmq.meta (queue_name text primary key, created_at timestamptz not null default now());

create function pgmq.format_table_name(queue_name text, prefix text) returns text language sql as $$
  select lower(prefix || '_' || queue_name) $$;
create function pgmq.list_queues() returns table (queue_name text) language sql as $$
  select m.queue_name from pgmq.meta m $$;

create function pgmq.create(queue_name text) returns void language plpgsql as $$
begin
  execute format('create table pgmq.%I (msg_id bigint primary key generated always as identity,
    read_ct int not null default 0, enqueued_at timestamptz not null default now(), vt timestamptz not null,
    message jsonb, headers jsonb)', pgmq.format_table_name(queue_name, 'q'));
  execute format('create table pgmq.%I (msg_id bigint primary key, read_ct int not null default 0,
    enqueued_at timestamptz not null default now(), archived_at timestamptz not null default now(),
    vt timestamptz not null, message jsonb, headers jsonb)', pgmq.format_table_name(queue_name, 'a'));
  execute format('create index on pgmq.%I (vt)', pgmq.format_table_name(queue_name, 'q'));
  execute format('create index on pgmq.%I (archived_at)', pgmq.format_table_name(queue_name, 'a'));
  insert into pgmq.meta (queue_name) values (queue_name) on conflict do nothing;
end $$;

create function pgmq.send(queue_name text, msg jsonb, delay int default 0) returns setof bigint language plpgsql as $$
begin
  return query execute format(
    'insert into pgmq.%I (vt, message) values (clock_timestamp() + make_interval(secs => $2), $1) returning msg_id',
    pgmq.format_table_name(queue_name, 'q')) using msg, delay;
end $$;

create function pgmq.send_batch(queue_name text, msgs jsonb[], delay int default 0) returns setof bigint language plpgsql as $$
begin
  return query execute format(
    'insert into pgmq.%I (vt, message) select clock_timestamp() + make_interval(secs => $2), unnest($1) returning msg_id',
    pgmq.format_table_name(queue_name, 'q')) using msgs, delay;
end $$;

create function pgmq.archive(queue_name text, msg_ids bigint[]) returns setof bigint language plpgsql as $$
begin
  return query execute format('with archived as (delete from pgmq.%I where msg_id = any($1)
      returning msg_id, vt, read_ct, enqueued_at, message, headers)
    insert into pgmq.%I (msg_id, vt, read_ct, enqueued_at, message, headers) select * from archived returning msg_id',
    pgmq.format_table_name(queue_name, 'q'), pgmq.format_table_name(queue_name, 'a')) using msg_ids;
end $$;
create function pgmq.archive(queue_name text, msg_id bigint) returns boolean language sql as $$
  select exists (select from pgmq.archive(queue_name, array[msg_id])) $$;

create function pgmq.set_vt(queue_name text, msg_id bigint, vt int) returns setof pgmq.message_record language plpgsql as $$
begin
  return query execute format('update pgmq.%I set vt = clock_timestamp() + make_interval(secs => $2) where msg_id = $1
    returning msg_id, read_ct, enqueued_at, vt, message, headers', pgmq.format_table_name(queue_name, 'q')) using msg_id, vt;
end $$;

create function pgmq.read(queue_name text, vt int, qty int) returns setof pgmq.message_record language plpgsql as $$
begin
  return query execute format('with cte as (select msg_id from pgmq.%1$I where vt <= clock_timestamp()
      order by msg_id limit $1 for update skip locked)
    update pgmq.%1$I m set vt = clock_timestamp() + make_interval(secs => $2), read_ct = read_ct + 1
    from cte where m.msg_id = cte.msg_id
    returning m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, m.headers',
    pgmq.format_table_name(queue_name, 'q')) using qty, vt;
end $$;

create function pgmq.read_with_poll(queue_name text, vt int, qty int, max_poll_seconds int default 5,
  poll_interval_ms int default 100) returns setof pgmq.message_record language plpgsql as $$
declare
  v_until timestamptz := clock_timestamp() + make_interval(secs => max_poll_seconds);
begin
  loop
    return query select * from pgmq.read(queue_name, vt, qty);
    exit when found or clock_timestamp() > v_until;
    perform pg_sleep(poll_interval_ms / 1000.0);
  end loop;
end $$;

create schema if not exists realtime;
create table realtime.messages (id bigint generated always as identity primary key, topic text, event text,
  payload jsonb, private boolean, inserted_at timestamptz default now());
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
language sql as $$
  insert into realtime.messages (payload, event, topic, private) values (payload, event, topic, private) $$;
