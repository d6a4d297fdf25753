-- Built-in tools. Every installation has these; their handlers are in functions-shared/runner/tools. An operator
-- adds rows of their own, or switches one off with is_enabled.

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
      "document_type":{"type":"string","minLength":1,"maxLength":50},
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
