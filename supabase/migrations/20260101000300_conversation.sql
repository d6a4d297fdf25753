-- Conversation: what was said, and what is worth keeping of it.
--
-- Two seeds kept chats their own way and both stay served. Seed 002 has `chat_sessions` with
-- `messages` in them, and saved `prompts`. Seed 003 has `conversations` named by a text
-- `conversation_id` that the application chooses, threaded `messages`, and `shared_memory` for the
-- agents. There is one `messages` table: a message belongs to a chat session, to a conversation, or
-- to both.
--
-- A `conversation_id` is a name within one person's rows, never a key to somebody else's: the key is
-- always (user_id, conversation_id), so two people may choose the same name and neither can tell. A
-- message or a memory may name a conversation that is not there yet; it is opened on the spot.
--
-- Owners write their own words. Counters and times that mean something are the server's.

create table if not exists public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title text check (char_length(title) <= 300),
  provider text check (char_length(provider) <= 64),
  model text check (char_length(model) <= 128),
  system_prompt text check (char_length(system_prompt) <= 32768),
  is_archived boolean not null default false,
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  last_message_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, id)
);
comment on table public.chat_sessions is 'Seed 002: a chat of one person, the parent of its messages.';
comment on column public.chat_sessions.last_message_at is 'When the newest message came in; written by the server.';
create index if not exists chat_sessions_user_id_created_at_idx
  on public.chat_sessions (user_id, created_at desc);
create index if not exists chat_sessions_user_id_last_message_at_idx
  on public.chat_sessions (user_id, last_message_at desc nulls last);

create table if not exists public.prompts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 300),
  description text check (char_length(description) <= 2000),
  content text not null check (char_length(content) between 1 and 65536),
  category text check (char_length(category) <= 64),
  tags text[] not null default '{}' check (cardinality(tags) <= 32),
  variables jsonb not null default '[]'
    check (jsonb_typeof(variables) = 'array' and pg_column_size(variables) <= 16384),
  is_favorite boolean not null default false,
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.prompts is 'Seed 002: saved prompt templates of one person.';
comment on column public.prompts.variables is 'The names the template expects, as a JSON array.';
create index if not exists prompts_user_id_created_at_idx on public.prompts (user_id, created_at desc);
create index if not exists prompts_user_id_category_idx on public.prompts (user_id, category);

create table if not exists public.conversations (
  id uuid primary key default gen_random_uuid(),
  conversation_id text not null default gen_random_uuid()::text
    check (char_length(conversation_id) between 1 and 200),
  user_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  session_id text check (char_length(session_id) <= 200),
  role text check (role in ('user', 'assistant', 'system')),
  content text check (char_length(content) <= 131072),
  status text not null default 'active'
    check (status in ('active', 'inactive', 'pending', 'completed', 'failed', 'cancelled')),
  channel text not null default 'web' check (channel in ('web', 'mobile', 'api')),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  last_message_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, conversation_id)
);
comment on table public.conversations is
  'Seed 003: one row per conversation of one person, the parent of its messages and its shared memory.';
comment on column public.conversations.conversation_id is
  'The application''s name for the conversation, unique among its owner''s. A run''s thread_id is this name.';
comment on column public.conversations.session_id is 'The visit or chat session it took place in, as the application names it.';
comment on column public.conversations.role is 'Who opened the conversation. Every further turn is a row of messages.';
comment on column public.conversations.content is 'The opening words, when the application keeps them here.';
comment on column public.conversations.last_message_at is 'When the newest message came in; written by the server.';
create index if not exists conversations_user_id_created_at_idx
  on public.conversations (user_id, created_at desc);
create index if not exists conversations_user_id_session_id_idx
  on public.conversations (user_id, session_id) where session_id is not null;
create index if not exists conversations_metadata_idx
  on public.conversations using gin (metadata jsonb_path_ops);

create table if not exists public.messages (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  session_id uuid,
  conversation_id text check (char_length(conversation_id) between 1 and 200),
  parent_message_id uuid,
  sender_type text not null check (sender_type in ('user', 'assistant', 'system', 'agent')),
  sender_id text check (char_length(sender_id) <= 200),
  role text not null check (role in ('user', 'assistant', 'system', 'tool')),
  content text not null check (char_length(content) <= 131072),
  message_type text not null default 'text' check (message_type in ('text', 'image', 'file', 'system')),
  status text not null default 'sent' check (status in ('sent', 'delivered', 'read', 'failed')),
  model text check (char_length(model) <= 128),
  tokens_used integer check (tokens_used >= 0),
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 32768),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, id),
  constraint messages_have_a_parent_check check (session_id is not null or conversation_id is not null),
  -- composite, so that a message can only hang in its owner's own sessions and threads
  foreign key (user_id, session_id) references public.chat_sessions (user_id, id) on delete cascade,
  foreign key (user_id, conversation_id)
    references public.conversations (user_id, conversation_id) on update cascade on delete cascade,
  foreign key (user_id, parent_message_id)
    references public.messages (user_id, id) on delete set null (parent_message_id)
);
comment on table public.messages is
  'Every message, of seed 002 (by session_id) and of seed 003 (by conversation_id, threaded).';
comment on column public.messages.sender_type is 'Seed 003''s word for who speaks; filled from role when left out.';
comment on column public.messages.role is 'The chat model''s word for who speaks; filled from sender_type when left out.';
comment on column public.messages.parent_message_id is 'The message this one answers.';
create index if not exists messages_user_id_created_at_idx on public.messages (user_id, created_at desc);
create index if not exists messages_user_id_session_id_created_at_idx
  on public.messages (user_id, session_id, created_at) where session_id is not null;
create index if not exists messages_user_id_conversation_id_created_at_idx
  on public.messages (user_id, conversation_id, created_at) where conversation_id is not null;
create index if not exists messages_user_id_parent_message_id_idx
  on public.messages (user_id, parent_message_id) where parent_message_id is not null;
create index if not exists messages_metadata_idx on public.messages using gin (metadata jsonb_path_ops);

create table if not exists public.shared_memory (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  conversation_id text check (char_length(conversation_id) between 1 and 200),
  memory_key text not null check (char_length(memory_key) between 1 and 200),
  memory_value jsonb not null default 'null' check (pg_column_size(memory_value) <= 65536),
  scope text not null default 'session' check (scope in ('workflow', 'session', 'global', 'agent')),
  access_count integer not null default 0 check (access_count >= 0),
  last_accessed_at timestamptz,
  metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 16384),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique nulls not distinct (user_id, conversation_id, memory_key, scope),
  foreign key (user_id, conversation_id)
    references public.conversations (user_id, conversation_id) on update cascade on delete cascade
);
comment on table public.shared_memory is
  'Seed 003: what the agents of one person keep and share, by conversation, key and scope.';
comment on column public.shared_memory.conversation_id is
  'The conversation it belongs to; null keeps it for all conversations of its owner.';
comment on column public.shared_memory.scope is
  'How far it reaches: an agent, a workflow, a session, or global, which means all of its owner''s and nobody else''s.';
comment on column public.shared_memory.access_count is 'How often get_shared_memory returned it; written by the server.';
create index if not exists shared_memory_user_id_created_at_idx
  on public.shared_memory (user_id, created_at desc);

create or replace trigger chat_sessions_stamp_updated_at before update on public.chat_sessions
  for each row execute function private.set_updated_at();
create or replace trigger prompts_stamp_updated_at before update on public.prompts
  for each row execute function private.set_updated_at();
create or replace trigger conversations_stamp_updated_at before update on public.conversations
  for each row execute function private.set_updated_at();
create or replace trigger messages_stamp_updated_at before update on public.messages
  for each row execute function private.set_updated_at();
create or replace trigger shared_memory_stamp_updated_at before update on public.shared_memory
  for each row execute function private.set_updated_at();

-- Runs with the writer's own rights: the conversation it opens passes the writer's own policies.
create or replace function private.open_named_conversation() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.conversation_id is not null then
    insert into public.conversations (user_id, conversation_id) values (new.user_id, new.conversation_id)
    on conflict (user_id, conversation_id) do nothing;
  end if;
  return new;
end $$;
comment on function private.open_named_conversation() is
  'Trigger: opens the conversation that a new row names, when its owner has none of that name.';

create or replace function private.complete_sender() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.sender_type is null then
    new.role := coalesce(new.role, 'user');
    new.sender_type := case new.role when 'tool' then 'agent' else new.role end;
  elsif new.role is null then
    new.role := case new.sender_type when 'agent' then 'assistant' else new.sender_type end;
  end if;
  return new;
end $$;
comment on function private.complete_sender() is
  'Trigger: a message says who speaks in seed 002''s word (role), seed 003''s (sender_type) or both.';

-- Definer: last_message_at is the server's, its owner cannot write it.
create or replace function private.note_last_message() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  update public.chat_sessions s set last_message_at = n.at
  from (select user_id, session_id, max(created_at) as at from new_messages
        where session_id is not null group by user_id, session_id) n
  where s.user_id = n.user_id and s.id = n.session_id;
  update public.conversations c set last_message_at = n.at
  from (select user_id, conversation_id, max(created_at) as at from new_messages
        where conversation_id is not null group by user_id, conversation_id) n
  where c.user_id = n.user_id and c.conversation_id = n.conversation_id;
  return null;
end $$;
comment on function private.note_last_message() is
  'Trigger: tells sessions and conversations when their newest message came in.';

revoke all on function
  private.open_named_conversation(), private.complete_sender(), private.note_last_message()
  from public, anon, authenticated, service_role;

create or replace trigger messages_complete_sender before insert on public.messages
  for each row execute function private.complete_sender();
create or replace trigger messages_open_conversation before insert on public.messages
  for each row execute function private.open_named_conversation();
create or replace trigger messages_note_last after insert on public.messages
  referencing new table as new_messages
  for each statement execute function private.note_last_message();
create or replace trigger shared_memory_open_conversation before insert on public.shared_memory
  for each row execute function private.open_named_conversation();

alter table public.chat_sessions enable row level security;
alter table public.prompts enable row level security;
alter table public.conversations enable row level security;
alter table public.messages enable row level security;
alter table public.shared_memory enable row level security;

revoke all on public.chat_sessions, public.prompts, public.conversations, public.messages,
  public.shared_memory from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.chat_sessions, public.prompts, public.conversations,
  public.messages, public.shared_memory to service_role;
grant select, delete on public.chat_sessions, public.prompts, public.conversations,
  public.messages, public.shared_memory to authenticated;

grant insert (id, user_id, title, provider, model, system_prompt, is_archived, metadata),
  update (id, user_id, title, provider, model, system_prompt, is_archived, metadata)
  on public.chat_sessions to authenticated;
grant insert (id, user_id, title, description, content, category, tags, variables, is_favorite, metadata),
  update (id, user_id, title, description, content, category, tags, variables, is_favorite, metadata)
  on public.prompts to authenticated;
grant insert (id, conversation_id, user_id, session_id, role, content, status, channel, metadata),
  update (id, conversation_id, user_id, session_id, role, content, status, channel, metadata)
  on public.conversations to authenticated;
grant insert (id, user_id, session_id, conversation_id, parent_message_id, sender_type, sender_id, role,
    content, message_type, status, model, tokens_used, metadata),
  update (id, user_id, session_id, conversation_id, parent_message_id, sender_type, sender_id, role,
    content, message_type, status, model, tokens_used, metadata)
  on public.messages to authenticated;
grant insert (id, user_id, conversation_id, memory_key, memory_value, scope, metadata),
  update (id, user_id, conversation_id, memory_key, memory_value, scope, metadata)
  on public.shared_memory to authenticated;

create policy chat_sessions_select_own on public.chat_sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy chat_sessions_insert_own on public.chat_sessions for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy chat_sessions_update_own on public.chat_sessions for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy chat_sessions_delete_own on public.chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()));

create policy prompts_select_own on public.prompts for select to authenticated
  using (user_id = (select auth.uid()));
create policy prompts_insert_own on public.prompts for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy prompts_update_own on public.prompts for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy prompts_delete_own on public.prompts for delete to authenticated
  using (user_id = (select auth.uid()));

create policy conversations_select_own on public.conversations for select to authenticated
  using (user_id = (select auth.uid()));
create policy conversations_insert_own on public.conversations for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy conversations_update_own on public.conversations for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy conversations_delete_own on public.conversations for delete to authenticated
  using (user_id = (select auth.uid()));

create policy messages_select_own on public.messages for select to authenticated
  using (user_id = (select auth.uid()));
create policy messages_insert_own on public.messages for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy messages_update_own on public.messages for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy messages_delete_own on public.messages for delete to authenticated
  using (user_id = (select auth.uid()));

create policy shared_memory_select_own on public.shared_memory for select to authenticated
  using (user_id = (select auth.uid()));
create policy shared_memory_insert_own on public.shared_memory for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy shared_memory_update_own on public.shared_memory for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy shared_memory_delete_own on public.shared_memory for delete to authenticated
  using (user_id = (select auth.uid()));

-- Reading through this door counts; definer, because the counter is the server's.
create or replace function private.get_shared_memory(
  p_user_id uuid, p_conversation_id text, p_memory_key text, p_scope text
) returns jsonb
language sql security definer set search_path = '' as $$
  update public.shared_memory
  set access_count = access_count + 1, last_accessed_at = pg_catalog.now()
  where user_id = private.required_user(p_user_id)
    and conversation_id is not distinct from p_conversation_id
    and memory_key = p_memory_key and scope = p_scope
  returning memory_value
$$;
comment on function private.get_shared_memory(uuid, text, text, text) is
  'Body of public.get_shared_memory. Definer, because the access counter is the server''s.';

create or replace function public.get_shared_memory(
  p_conversation_id text, p_memory_key text, p_scope text default 'session', p_user_id uuid default null
) returns jsonb
language sql set search_path = '' as $$
  select private.get_shared_memory(p_user_id, p_conversation_id, p_memory_key, p_scope)
$$;
comment on function public.get_shared_memory(text, text, text, uuid) is
  'The caller''s remembered value, or null; counts the access. The service names the user.';

revoke all on function
  private.get_shared_memory(uuid, text, text, text), public.get_shared_memory(text, text, text, uuid)
  from public, anon, authenticated, service_role;
grant execute on function
  private.get_shared_memory(uuid, text, text, text), public.get_shared_memory(text, text, text, uuid)
  to authenticated, service_role;

create or replace view public.conversation_volume with (security_invoker = true) as
  select
    (c.created_at at time zone 'utc')::date as day,
    c.channel,
    count(*) as conversations,
    count(*) filter (where c.status = 'completed') as completed,
    count(*) filter (where c.status = 'failed') as failed,
    coalesce(sum(m.messages), 0)::bigint as messages
  from public.conversations c
  left join lateral (
    select count(*) as messages from public.messages m
    where m.user_id = c.user_id and m.conversation_id = c.conversation_id
  ) m on true
  group by 1, 2;
comment on view public.conversation_volume is
  'Analytics: conversations and their messages by UTC day of opening and channel, among the rows the reader may see.';
revoke all on public.conversation_volume from public, anon, authenticated, service_role;
grant select on public.conversation_volume to authenticated, service_role;
