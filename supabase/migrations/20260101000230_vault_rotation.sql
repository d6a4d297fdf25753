-- Vault, rotation: data keys are wrapped anew by another root key; no credential is touched.

create function public.mira_count_data_keys()
returns table (root_key_id text, data_keys bigint) language sql stable set search_path = '' as $$
  select d.root_key_id, count(*) from private.vault_data_keys d group by d.root_key_id order by d.root_key_id
$$;
comment on function public.mira_count_data_keys() is 'How many data keys each root key still wraps. Server only.';

create function public.mira_list_stale_data_keys(
  p_active_root_key_id text, p_after uuid default null, p_limit integer default 1000)
returns table (id uuid, user_id uuid, wrapped_key text) language sql stable set search_path = '' as $$
  select d.id, d.user_id, d.wrapped_key from private.vault_data_keys d
  where d.root_key_id <> p_active_root_key_id and (p_after is null or d.id > p_after)
  order by d.id limit least(greatest(coalesce(p_limit, 1000), 1), 5000)
$$;
comment on function public.mira_list_stale_data_keys(text, uuid, integer) is
  'The next data keys that another root key than the active one wraps, by id. Server only.';

create function public.mira_rewrap_data_keys(p_keys jsonb)
returns integer language plpgsql volatile set search_path = '' as $$
declare
  v_count integer;
begin
  update private.vault_data_keys d set wrapped_key = k.new_key, rewrapped_at = pg_catalog.now()
    from pg_catalog.jsonb_to_recordset(p_keys) as k (id uuid, old_key text, new_key text)
    where d.id = k.id and d.wrapped_key = k.old_key;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
comment on function public.mira_rewrap_data_keys(jsonb) is
  'Swaps wrapped keys [{id, old_key, new_key}] where the old one still stands; returns how many. Server only.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{mira_count_data_keys,mira_list_stale_data_keys,mira_rewrap_data_keys}');
