-- The record, text that is safe to keep: no secrets in it, by the name of a key and by the shape of a value,
-- and not longer than there is room.

-- keys whose name says that they hold a secret ------------------------------------------------------

create function private.secret_key_words() returns text[]
language sql immutable parallel safe set search_path = '' as $$
  select '{password,passwd,passphrase,passcode,secret,token,api_key,access_key,private_key,authorization,
    cookie,credential,credentials,_pass,_jwt,_cvv,_cvc,_ssn,_pin,_otp,_card_number,_iban}'::text[]
$$;
comment on function private.secret_key_words() is
  'What such a name ends with, in snake case; with _ in front only where a word begins (user_pin, not spin).';

-- The two below have no argument: a statement's plan holds their result, and calls cost nothing.

create function private.secret_key_pattern() returns text
language sql immutable parallel safe set search_path = '' as $$
  select '(' || pg_catalog.string_agg(case when w ^@ '_' then '[-_.]' else '' end
      || pg_catalog.replace(pg_catalog.ltrim(w, '_'), '_', '[-_.]?'), '|') || ')$'
  from pg_catalog.unnest(private.secret_key_words()) w
$$;
comment on function private.secret_key_pattern() is
  'Regular expression for such a name, lower case and with _ in front.';

create function private.secret_key_endings() returns text[]
language sql immutable parallel safe set search_path = '' as $$
  select pg_catalog.array_agg(distinct '%' || pg_catalog.split_part(w, '_', -1) || '":%')
  from pg_catalog.unnest(private.secret_key_words()) w
$$;
comment on function private.secret_key_endings() is
  'LIKE patterns: JSON text, lower case, that meets none of them has no such key. A quarter of what a regular expression costs.';

-- redaction ----------------------------------------------------------------------------------------

create function private.redact_text(p_text text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  return pg_catalog.regexp_replace(pg_catalog.regexp_replace(p_text,
    '\meyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*'
    || '|-----BEGIN [A-Z ]{1,40}-----[^-"]*(?:-----END [A-Z ]{1,40}-----)?'
    || '|\msk-[A-Za-z0-9_-]{16,}|\m[spr]k_(?:live|test)_[A-Za-z0-9]{10,}'
    || '|\msb_secret_[A-Za-z0-9_-]{6,}|\mgh[pousr]_[A-Za-z0-9]{20,}'
    || '|\mgithub_pat_[A-Za-z0-9_]{20,}|\mya29\.[A-Za-z0-9_-]{10,}|\m1//[A-Za-z0-9_-]{20,}'
    || '|\mAIza[A-Za-z0-9_-]{30,}|\mA[KS]IA[A-Z0-9]{16}\M|\mxox[abposr]-[A-Za-z0-9-]{10,}'
    || '|\m(?:[Bb]earer|[Bb]asic)\s+[A-Za-z0-9._~+/=-]{12,}', '[redacted]', 'g'),
    '(\m[a-z][a-z0-9+.-]{1,20}://)[^\s/:@"]{1,200}:[^\s/@"]{1,200}@', '\1[redacted]@', 'g');
end $$;
comment on function private.redact_text(text) is
  'The text with everything shaped like a secret replaced (the shapes of functions-shared/observe/redact.ts).';

create function private.redact_keys(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  case pg_catalog.jsonb_typeof(p_value)
    when 'object' then
      return coalesce((select pg_catalog.jsonb_object_agg(e.key,
          case when '_' || pg_catalog.lower(pg_catalog.regexp_replace(e.key, '([a-z0-9])([A-Z])', '\1_\2', 'g'))
                ~ private.secret_key_pattern()
              and pg_catalog.jsonb_typeof(e.value) not in ('null', 'boolean')
            then '"[redacted]"'::jsonb else private.redact_keys(e.value) end)
        from pg_catalog.jsonb_each(p_value) e), '{}');
    when 'array' then
      return coalesce((select pg_catalog.jsonb_agg(private.redact_keys(e.value) order by e.ordinality)
        from pg_catalog.jsonb_array_elements(p_value) with ordinality e), '[]');
    else
      return p_value;
  end case;
end $$;
comment on function private.redact_keys(jsonb) is
  'JSON with the values of keys that hold a secret by their name (snake_case, kebab-case or camelCase) replaced.';

create function private.redact_json(p_value jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_text text;
begin
  if p_value is null or p_value = '{}' then
    return p_value;
  end if;
  v_text := private.redact_text(p_value::text);
  -- most values have no such key: one look at the text spares the walk
  if pg_catalog.lower(v_text collate "C") like any (private.secret_key_endings()) then
    return private.redact_keys(v_text::jsonb);
  end if;
  return v_text::jsonb;
end $$;
comment on function private.redact_json(jsonb) is 'JSON without secrets, by key name and by value shape.';

-- length -------------------------------------------------------------------------------------------

create function private.clip_text(p_text text, p_bytes integer) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
  v_bytes bytea;
  v_cut integer := p_bytes - 15;
begin
  if pg_catalog.octet_length(p_text) <= p_bytes then
    return p_text;
  end if;
  v_bytes := pg_catalog.convert_to(p_text, 'UTF8');
  -- a byte 10xxxxxx continues a character: cut before the character, not inside it
  while pg_catalog.get_byte(v_bytes, v_cut) & 192 = 128 loop
    v_cut := v_cut - 1;
  end loop;
  return pg_catalog.convert_from(pg_catalog.substring(v_bytes, 1, v_cut), 'UTF8') || ' …[truncated]';
end $$;
comment on function private.clip_text(text, integer) is
  'The text, cut to p_bytes of UTF-8 between characters and marked when it is longer.';

create function private.clip_json(p_value jsonb, p_bytes integer) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
begin
  return case
    when p_value is null or p_value = 'null' then '{}'
    when pg_catalog.octet_length(p_value::text) > p_bytes then pg_catalog.jsonb_build_object(
      'truncated', true, 'bytes', pg_catalog.octet_length(p_value::text))
    when pg_catalog.jsonb_typeof(p_value) <> 'object' then pg_catalog.jsonb_build_object('value', p_value)
    else p_value end;
end $$;
comment on function private.clip_json(jsonb, integer) is
  'A JSON object; a larger one is replaced by {truncated, bytes}, another kind of value is wrapped.';

-- who may call what --------------------------------------------------------------------------------

select private.open_to_server('{
  secret_key_words,secret_key_pattern,secret_key_endings,redact_text,redact_keys,redact_json,clip_text,clip_json}');
grant execute on function
  private.secret_key_words(),
  private.secret_key_pattern(),
  private.secret_key_endings(),
  private.redact_text(text),
  private.redact_keys(jsonb),
  private.redact_json(jsonb),
  private.clip_text(text, integer),
  private.clip_json(jsonb, integer)
  to authenticated;
