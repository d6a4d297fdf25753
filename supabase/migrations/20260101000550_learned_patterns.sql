-- Learning: what was noticed about a person, with evidence, and how it stays true.
--
-- The statistics are computed outside (functions-shared/behaviour, pure and deterministic). The
-- database does what only a database can: it says who has something new, hands out a user to one
-- learner at a time, keeps a digest per session so that old events are never read again, and takes
-- the whole result of a round in one transaction: watermark, digests, patterns and the user's part
-- in everybody's counts move together or not at all. A learner that dies leaves nothing half done;
-- a learner that comes back late finds its fence gone and is refused.
--
-- A learned pattern is never overwritten by another one and never deleted by the learner: what no
-- longer holds is retired (`valid_to`), what replaces it points back (`supersedes_id`). What a person
-- dismissed stays dismissed, what they pinned stays.
--
-- Nothing new costs nothing: `private.learner_queue` holds exactly the users with unlearned events,
-- filled by a trigger on their heads, under the same per-user lock that ingestion takes.

create table public.mira_learned_patterns (
  id uuid primary key default gen_random_uuid(),
  pattern_type text not null check (pattern_type in ('struggle', 'preference', 'workflow_habit')),
  user_id uuid not null references auth.users (id) on delete cascade,
  module text,
  confidence double precision not null default 0.0 check (confidence between 0 and 1),
  frequency int not null default 1 check (frequency >= 0),
  last_detected_at timestamptz not null default now(),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  status text not null default 'active' check (status in ('active', 'pinned', 'dismissed', 'retired')),
  pattern_key text not null check (length(pattern_key) between 1 and 400),
  variant text not null default '',
  evidence uuid[] not null default '{}',
  algorithm text not null default '',
  valid_from timestamptz not null default now(),
  valid_to timestamptz,
  supersedes_id uuid references public.mira_learned_patterns (id) on delete set null,
  observed_confidence double precision not null default 0 check (observed_confidence between 0 and 1),
  run_count int not null default 0 check (run_count >= 0),
  run_successes double precision not null default 0 check (run_successes between 0 and run_count),
  workflow_id uuid,
  behavior_pattern_id uuid,
  constraint mira_learned_patterns_retired_has_an_end_check check ((status = 'retired') = (valid_to is not null))
);
comment on table public.mira_learned_patterns is
  'What was noticed about a person: struggles, preferences, workflow habits, with statistics and evidence. Written by learn-patterns.';
comment on column public.mira_learned_patterns.confidence is
  'Wilson lower bound of the share that shows it; for a promoted habit also moved by how its runs end.';
comment on column public.mira_learned_patterns.frequency is 'Sessions that show it, within the window of the newest 200.';
comment on column public.mira_learned_patterns.last_detected_at is 'When the newest evidence happened.';
comment on column public.mira_learned_patterns.metadata is
  'What it says in detail, by type: kind, page, target; control, value, share; sequence, steps, optional; and the counts k, n behind it.';
comment on column public.mira_learned_patterns.status is
  'active; pinned and dismissed are the person''s word and the learner keeps to it; retired: no longer holds.';
comment on column public.mira_learned_patterns.pattern_key is 'What it is about: unique among the current patterns of a user and type.';
comment on column public.mira_learned_patterns.variant is 'What it says about its key; a change supersedes the row.';
comment on column public.mira_learned_patterns.evidence is 'event_id of at most five events that show it, newest first.';
comment on column public.mira_learned_patterns.algorithm is 'Version of the learner that last said so.';
comment on column public.mira_learned_patterns.valid_to is 'When it stopped holding; null while it does.';
comment on column public.mira_learned_patterns.supersedes_id is 'The retired pattern this one took the place of.';
comment on column public.mira_learned_patterns.observed_confidence is 'Confidence from behaviour alone.';
comment on column public.mira_learned_patterns.run_successes is 'Runs of the promoted workflow that ended well; a partly good one counts a half.';
comment on column public.mira_learned_patterns.workflow_id is 'The draft workflow a habit was promoted to.';
comment on column public.mira_learned_patterns.behavior_pattern_id is 'The behaviour pattern a habit was promoted to.';

create unique index mira_learned_patterns_current_idx
  on public.mira_learned_patterns (user_id, pattern_type, pattern_key) where valid_to is null;
create index idx_mira_patterns_user on public.mira_learned_patterns (user_id, last_detected_at desc);
create index mira_learned_patterns_supersedes_id_idx
  on public.mira_learned_patterns (supersedes_id) where supersedes_id is not null;
create index mira_learned_patterns_workflow_id_idx
  on public.mira_learned_patterns (workflow_id) where workflow_id is not null;
create index mira_learned_patterns_struggles_idx
  on public.mira_learned_patterns (module) where pattern_type = 'struggle' and status in ('active', 'pinned');
create trigger mira_learned_patterns_updated_at before update on public.mira_learned_patterns
  for each row execute function private.set_updated_at();

alter table public.mira_learned_patterns enable row level security;
revoke all on public.mira_learned_patterns from public, anon, authenticated;
grant select on public.mira_learned_patterns to authenticated;
grant select, insert, update, delete on public.mira_learned_patterns to service_role;
create policy mira_learned_patterns_select_own on public.mira_learned_patterns
  for select to authenticated using (user_id = (select auth.uid()));
comment on policy mira_learned_patterns_select_own on public.mira_learned_patterns is
  'Users can view their own patterns.';

-- what people and operators ask -------------------------------------------------------------------

create function private.rank_struggles(p_module text, p_limit int)
returns table (module text, kind text, page text, target text, users bigint, sessions bigint, confidence double precision)
language sql stable set search_path = '' as $$
  select t.module, t.metadata ->> 'kind', t.metadata ->> 'page', t.metadata ->> 'target',
    count(distinct t.user_id), sum(t.frequency), avg(t.confidence)
  from public.mira_learned_patterns t
  where t.pattern_type = 'struggle' and t.status in ('active', 'pinned')
    and (p_module is null or t.module = p_module)
  group by grouping sets (
    (t.module), (t.module, t.metadata ->> 'kind', t.metadata ->> 'page', t.metadata ->> 'target'))
  having count(distinct t.user_id) >= 5
  order by count(distinct t.user_id) desc, sum(t.frequency) desc, 1, 2 nulls first, 3, 4
  limit least(greatest(coalesce(p_limit, 50), 1), 500)
$$;
comment on function private.rank_struggles(text, int) is
  'Where people struggle, by module and by place; a group of fewer than 5 people is not shown (k-anonymity).';

create function private.choose_pattern_status(p_pattern_id uuid, p_status text) returns public.mira_learned_patterns
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := private.acting_user();
  v_row public.mira_learned_patterns;
begin
  if p_status is null or p_status not in ('active', 'pinned', 'dismissed') then
    raise exception using errcode = 'PT422', message = 'status_invalid', hint = '/status',
      detail = 'A person may make a pattern active, pinned or dismissed.';
  end if;
  update public.mira_learned_patterns t set status = p_status
  where t.id = p_pattern_id and t.valid_to is null and (t.user_id = v_user or private.is_service())
  returning t.* into v_row;
  if v_row.id is null then
    raise exception using errcode = 'PT404', message = 'pattern_not_found', detail = 'No current pattern of yours has this id.';
  end if;
  return v_row;
end $$;
comment on function private.choose_pattern_status(uuid, text) is
  'Body of choose_pattern_status. Definer: clients hold no UPDATE on patterns; the owner is checked here.';

-- faces --------------------------------------------------------------------------------------------

create function public.mira_rank_struggles(p_module text default null, p_limit int default 50)
returns table (module text, kind text, page text, target text, users bigint, sessions bigint, confidence double precision)
language sql stable set search_path = '' as $$ select * from private.rank_struggles(p_module, p_limit) $$;
comment on function public.mira_rank_struggles(text, int) is 'Server only. As private.rank_struggles.';

create function public.choose_pattern_status(p_pattern_id uuid, p_status text) returns public.mira_learned_patterns
language sql set search_path = '' as $$ select private.choose_pattern_status(p_pattern_id, p_status) $$;
comment on function public.choose_pattern_status(uuid, text) is
  'Your word on one of your patterns: active, pinned (keep it) or dismissed (do not say it again).';

select private.open_to_server('{rank_struggles,choose_pattern_status,mira_rank_struggles}');
grant execute on function public.choose_pattern_status(uuid, text), private.choose_pattern_status(uuid, text)
  to authenticated;
