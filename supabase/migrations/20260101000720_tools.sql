-- Workflow, tools: what a graph may call.

create table public.mira_tool_definitions (
  id uuid primary key default gen_random_uuid(),
  name text not null unique check (name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'),
  description text,
  schema jsonb not null check (jsonb_typeof(schema) = 'object')
    constraint mira_tool_definitions_schema_is_applicable check (private.schema_fault(schema) is null),
  function_path text not null check (function_path ~ '^(internal:|function:|rpc:|https://)'),
  is_enabled boolean not null default true,
  is_read_only boolean not null default false,
  options jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index mira_tool_definitions_created_at_idx on public.mira_tool_definitions (created_at desc) where is_enabled;
comment on table public.mira_tool_definitions is
  'The tools a graph may name. Operator-owned: a tool is a capability of the server, so people read the enabled ones and write none.';
comment on column public.mira_tool_definitions.schema is 'JSON Schema of the arguments.';
comment on column public.mira_tool_definitions.function_path is
  'The handler: internal:<name>, function:<slug>, rpc:<sql function> or an https:// address on the allow-list.';
comment on column public.mira_tool_definitions.is_read_only is
  'Calling it changes nothing outside the run. Every other tool has side effects, which a run''s or a workflow''s grant may withhold.';
comment on column public.mira_tool_definitions.options is
  'How the handler is called: which vault secret goes where, time-out, method. Never a secret itself.';

create trigger mira_tool_definitions_updated_at before update on public.mira_tool_definitions
  for each row execute function private.set_updated_at();

alter table public.mira_tool_definitions enable row level security;
revoke all on public.mira_tool_definitions from public, anon, authenticated;
grant select on public.mira_tool_definitions to authenticated;
grant select, insert, update, delete on public.mira_tool_definitions to service_role;
create policy mira_tool_definitions_select_enabled on public.mira_tool_definitions for select to authenticated
  using (is_enabled);

-- Every installation has these; their handlers are in functions-shared/runner/tools. An operator adds rows of
-- their own, or switches one off with is_enabled.
insert into public.mira_tool_definitions (name, description, schema, function_path, is_read_only) values
  ('compose', 'Gives back its arguments: shapes the state without a model.',
   '{"type":"object"}', 'internal:compose', true),
  ('emit_action', 'Records that an action of a habit was carried out, for the app to act on.',
   '{"type":"object","required":["action"],"additionalProperties":false,"properties":{
      "action":{"type":"string","minLength":1,"maxLength":500},
      "event_type":{"type":"string","maxLength":50},
      "module":{"type":"string","maxLength":100},
      "page":{"type":"string","maxLength":500},
      "target":{"type":["string","null"],"maxLength":500},
      "values":{"type":"object"},
      "parameters":{"type":"object"}}}', 'internal:emit_action', false),
  ('log', 'Writes a line into the execution log of the run.',
   '{"type":"object","required":["message"],"additionalProperties":false,"properties":{
      "message":{"type":"string","minLength":1,"maxLength":4000},
      "level":{"enum":["info","success","warning","error"]},
      "metadata":{"type":"object"}}}', 'internal:log', true),
  ('find_patterns', 'Recalls what worked before in similar situations.',
   '{"type":"object","required":["query"],"additionalProperties":false,"properties":{
      "query":{"type":"string","minLength":1,"maxLength":4000},
      "limit":{"type":"integer","minimum":1,"maximum":50},
      "threshold":{"type":"number","minimum":0,"maximum":1},
      "context":{"type":"object"}}}', 'internal:find_patterns', true),
  ('record_pattern', 'Remembers what was done in a situation and how it ended.',
   '{"type":"object","required":["trigger","actions","final_outcome"],"additionalProperties":false,"properties":{
      "trigger":{"type":"string","minLength":1,"maxLength":4000},
      "context":{"type":"object"},
      "actions":{"type":"array","maxItems":500},
      "final_outcome":{"enum":["success","partial","failed"]}}}', 'internal:record_pattern', false),
  ('remember', 'Keeps a note that can be recalled by meaning.',
   '{"type":"object","required":["content"],"additionalProperties":false,"properties":{
      "content":{"type":"string","minLength":1,"maxLength":8000},
      "type":{"type":"string","pattern":"^[a-z][a-z0-9_]{0,62}$"},
      "metadata":{"type":"object"}}}', 'internal:remember', false),
  ('recall_memories', 'Finds notes by meaning.',
   '{"type":"object","required":["query"],"additionalProperties":false,"properties":{
      "query":{"type":"string","minLength":1,"maxLength":4000},
      "limit":{"type":"integer","minimum":1,"maximum":50},
      "threshold":{"type":"number","minimum":0,"maximum":1}}}', 'internal:recall_memories', true),
  ('save_document', 'Keeps a document that the run produced.',
   '{"type":"object","required":["document_type","title"],"additionalProperties":false,"properties":{
      "document_type":{"type":"string","minLength":1,"maxLength":50,
        "description":"doc, sheet, slide, form, email, calendar_event, file or other"},
      "title":{"type":"string","minLength":1,"maxLength":500},
      "url":{"type":"string","maxLength":2000},
      "service":{"type":"string","maxLength":100},
      "external_id":{"type":"string","maxLength":200},
      "metadata":{"type":"object"}}}', 'internal:save_document', false),
  ('http_request', 'Calls a web service that the operator allows (MIRA_HTTP_ALLOW).',
   '{"type":"object","required":["url"],"additionalProperties":false,"properties":{
      "url":{"type":"string","maxLength":2000},
      "method":{"enum":["GET","POST","PUT","PATCH","DELETE"]},
      "headers":{"type":"object","additionalProperties":{"type":"string"}},
      "body":{}}}', 'internal:http_request', false)
on conflict (name) do nothing;
