-- Engine, the leases: kept while work goes on, given back when it cannot.

create function private.renew_leases(p_leases jsonb, p_lease interval) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_issued record;
  r public.mira_workflow_state;
  x jsonb;
  v_lost jsonb := '[]';
  v_tasks jsonb := '[]';
  v_more jsonb;
  v_old text;
begin
  -- children were made after their parents; a run comes before its items
  for x in select value from jsonb_array_elements(p_leases) order by value ->> 'run_id' desc, value ? 'items' loop
    if x ? 'items' then
      update private.run_items i set due_at = now() + p_lease
      from jsonb_to_recordset(x -> 'items') as t(idx int, attempt int)
      where i.run_id = (x ->> 'run_id')::uuid and i.seq = (x ->> 'seq')::int and i.idx = t.idx
        and i.idx = any (array(select (held ->> 'idx')::int from jsonb_array_elements(x -> 'items') held))
        and i.attempt = t.attempt and i.is_open;
      if not found then
        v_lost := v_lost || (x -> 'run_id');
      end if;
      continue;
    end if;
    select * into r from public.mira_workflow_state where id = (x ->> 'run_id')::uuid for update;
    if not found or r.lease_epoch <> (x ->> 'epoch')::int or r.leased_at is null then
      v_lost := v_lost || (x -> 'run_id');
      continue;
    end if;
    v_old := r.status;
    r := private.with_cursor(r);
    r := private.wake(r);
    v_more := '[]';
    if r.status not in ('failed', 'completed') then
      r.due_at := now() + p_lease;
      v_issued := private.issue(r, p_lease);
      r := v_issued.r;
      v_more := v_issued.tasks;
    else
      v_lost := v_lost || (x -> 'run_id');
    end if;
    r := private.save(r, v_old, p_lease);
    v_tasks := v_tasks || v_more || private.tasks_around(r, p_lease);
  end loop;
  return jsonb_build_object('lost', v_lost, 'tasks', v_tasks);
end $$;
comment on function private.renew_leases(jsonb, interval) is
  'Extends leases of work in progress, names the runs that are no longer the caller''s, returns steps whose time has come.';

create function private.release_runs(p_leases jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  x jsonb;
  v_count int := 0;
  v_one int;
begin
  for x in select value from jsonb_array_elements(p_leases) order by value ->> 'run_id' loop
    if x ? 'items' then
      update private.run_items i set due_at = now(), attempt = i.attempt - 1
      from jsonb_to_recordset(x -> 'items') as t(idx int, attempt int)
      where i.run_id = (x ->> 'run_id')::uuid and i.seq = (x ->> 'seq')::int and i.idx = t.idx
        and i.idx = any (array(select (held ->> 'idx')::int from jsonb_array_elements(x -> 'items') held))
        and i.attempt = t.attempt and i.is_open;
    else
      update public.mira_workflow_state s set due_at = now(), leased_at = null, lease_epoch = lease_epoch + 1,
        cursor = private.cursor_of(s), straight_node = null
      where s.id = (x ->> 'run_id')::uuid and s.lease_epoch = (x ->> 'epoch')::int
        and s.status in ('running', 'waiting');
    end if;
    get diagnostics v_one = row_count;
    v_count := v_count + v_one;
  end loop;
  return jsonb_build_object('released', v_count);
end $$;
comment on function private.release_runs(jsonb) is
  'Gives work back at once, so that the next worker need not wait for the lease to lapse.';

-- Nobody calls these but the server.
select private.close_functions('{
  renew_leases,release_runs}');
grant execute on function private.renew_leases(jsonb, interval), private.release_runs(jsonb) to service_role;
