import assert from "node:assert/strict";
import { chain, tool } from "./graphs.ts";
import { ada, fresh, run, said, service, stack } from "./model_stack.ts";

Deno.test("what the elements of a map say is in the record, once each", async () => {
  const body = await run(
    chain({
      type: "map",
      name: "acts",
      config: {
        items: "$.names",
        each: { type: "tool", config: { tool: "emit_action", arguments: { action: "{{item}}" } } },
      },
    }),
    { names: ["open", "close"] },
  );
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  const { data: messages } = await ada.client.from("agent_messages").select("content")
    .eq("workflow_execution_id", body.run_id).eq("message_type", "tool_call");
  assert.deepEqual(messages!.map(({ content }) => content).sort(), ["close", "open"]);
});

Deno.test("side effects carry the key of their step, the same over attempts", async () => {
  fresh();
  const body = await run(chain(
    tool("pay", "http_request", {
      url: `${service.origin}/api/flaky`,
      method: "POST",
      body: { cents: 5 },
    }, {
      retry: { max_attempts: 3, base_ms: 20, jitter: 0 },
    }),
  ));
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual([...service.keys()], [[`${body.run_id}:${body.steps.at(-1).seq}`, 2]]);
  assert.equal(body.steps.at(-1).attempt, 2);
  assert.deepEqual(JSON.parse(service.arrivals[0]!.body), { cents: 5 });
});

Deno.test("the operator's own tools: a SQL function, an edge function, and one that needs an account", async () => {
  fresh();
  const tools = [
    ["task_figures", "rpc:get_task_statistics", {}],
    ["write_log", "function:log-execution", {}],
    ["acme", "https://api.invalid/v1/items/{id}", { secret: { provider: "acme" } }],
    ["nonsense", "rpc:drop table x", {}],
  ] as const;
  for (const [name, path, options] of tools) {
    const { error } = await stack.service.from("mira_tool_definitions")
      .insert({ name, schema: { type: "object" }, function_path: path, options });
    assert.equal(error, null);
  }
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const figures = await run(chain(tool("ask", "task_figures")));
  assert.equal(figures.status, "completed", JSON.stringify(figures.error));

  const taskId = crypto.randomUUID();
  const line = { task_id: taskId, agent_type: "worker", level: "info", message: "from a run" };
  const written = await run(
    chain(tool("note", "write_log", { ...line, user_id: crypto.randomUUID() })),
  );
  assert.equal(written.status, "completed", JSON.stringify(written.error));
  const { data } = await ada.client.from("execution_logs").select("message").eq("task_id", taskId);
  assert.deepEqual(data, [{ message: "from a run" }], "it was written for the run's user");

  const unconnected = await run(chain(tool("use", "acme", { id: 1 })));
  assert.deepEqual([unconnected.status, unconnected.error.code], ["failed", "secret_not_found"]);
  const odd = await run(chain(tool("use", "nonsense")));
  assert.deepEqual([odd.status, odd.error.code], ["failed", "tool_not_supported"]);
});

Deno.test("what a run saves and does is in the record of its user, once", async () => {
  fresh();
  const body = await run(
    chain(
      tool("act", "emit_action", {
        action: "open_lead",
        module: "leads",
        event_type: "click",
        values: { id: "{{id}}" },
      }),
      tool("keep", "save_document", {
        document_type: "doc",
        title: "Offer {{id}}",
        url: "https://example.com/1",
      }),
    ),
    { id: 7 },
  );
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual(body.state.act, {
    emitted: true,
    action: "open_lead",
    module: "leads",
    event_type: "click",
    values: { id: 7 },
  });
  const { data: messages } = await ada.client.from("agent_messages").select("content, context_data")
    .eq("workflow_execution_id", body.run_id).eq("message_type", "tool_call");
  assert.deepEqual(messages!.map(({ content }) => content), ["open_lead"]);
  const { data: documents } = await ada.client.from("documents_generated").select(
    "id, title, task_id",
  )
    .eq("task_id", body.run_id);
  assert.deepEqual(documents, [{
    id: body.state.keep.document_id,
    title: "Offer 7",
    task_id: body.run_id,
  }]);
});

Deno.test("a run is read with its checkpoint, its tool calls and its task in one request", async () => {
  const body = await run(chain(tool("shape", "compose", { a: 1 })));
  const { data, error } = await ada.client.from("workflow_executions").select(
    "current_state, mira_workflow_state(status), tool_executions(tool_name), task_history(status)",
  ).eq("id", body.run_id).single();
  assert.equal(error, null, JSON.stringify(error));
  assert.equal(data!.current_state, "completed");
  assert.deepEqual([data!.mira_workflow_state].flat(), [{ status: "completed" }]);
  assert.deepEqual(data!.tool_executions, [{ tool_name: "compose" }]);
  assert.deepEqual(data!.task_history, [{ status: "completed" }]);
});

Deno.test("a run records what worked, and a later one recalls it by meaning", async () => {
  const taught = await run(chain(
    tool("learn", "record_pattern", {
      trigger: "send the monthly sales report to the team",
      actions: [{ tool: "export" }, { tool: "mail" }],
      final_outcome: "success",
    }),
    tool("note", "remember", { content: "The team likes the report before nine in the morning." }),
  ));
  assert.equal(taught.status, "completed", JSON.stringify(taught.error));
  const recalled = await run(chain(
    tool("find", "find_patterns", { query: "mail the sales report of this month", threshold: 0.3 }),
    tool("ask", "recall_memories", {
      query: "when does the team want the report?",
      threshold: 0.1,
    }),
  ));
  assert.equal(recalled.status, "completed", JSON.stringify(recalled.error));
  const [pattern] = recalled.state.find.patterns;
  assert.equal(pattern?.id, taught.state.learn.id);
  assert.deepEqual(pattern.actions, [{ tool: "export" }, { tool: "mail" }]);
  const memories = await ada.client.from("memories").select("id").eq(
    "id",
    taught.state.note.memory_id,
  );
  assert.equal(memories.data!.length, 1);
});

Deno.test("a step that is done again after a crash leaves its effects once", async () => {
  // nobody drives it yet
  const { data: started } = await stack.service.rpc("mira_start_run", {
    p_user_id: ada.id,
    p_workflow: chain(
      tool("learn", "record_pattern", {
        trigger: "close the books of the quarter",
        actions: [{ tool: "ledger" }],
        final_outcome: "success",
      }),
      tool("note", "remember", { content: "The books close on the third." }),
      tool("keep", "save_document", { document_type: "doc", title: "Books" }),
    ),
  });
  const id = started.run_id;
  // what the database holds when a worker dies after its effects and before its report
  const columns = "cursor, status, steps_used, next_seq, last_event, state_data, lease_epoch";
  await stack.sql(
    `create table private.crashed as select id, ${columns} from public.mira_workflow_state where id = $1`,
    [id],
  );
  for (let life = 1; life <= 3; life++) {
    await stack.sql(
      `delete from private.run_steps s using public.mira_workflow_state r
       where r.number = s.run and r.id = $1`,
      [id],
    );
    // the history knows no way back, so it is turned off for a moment
    await stack.sql("alter table public.task_history disable trigger user");
    await stack.sql("update public.task_history set status = 'pending' where id = $1", [id]);
    await stack.sql("alter table public.task_history enable trigger user");
    await stack.sql(
      `update public.mira_workflow_state s set (${columns}, due_at, leased_at, finished_at, output) =
        (select ${columns}, now(), null::timestamptz, null::timestamptz, null::jsonb from private.crashed)
       where id = $1`,
      [id],
    );
    const worked = await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} });
    assert.equal((await worked.json()).steps, 3);
    const again = await (await stack.fetch(`/functions/v1/run-workflow/${id}`, { as: ada })).json();
    assert.equal(again.status, "completed", JSON.stringify(again.error));
    assert.equal(again.state.learn.merged, false, `life ${life}`);
  }
  const { data: patterns } = await ada.client.from("behavior_patterns")
    .select("use_count, success_count").eq("trigger", "close the books of the quarter");
  assert.deepEqual(patterns, [{ use_count: 1, success_count: 1 }]);
  const { data: notes } = await ada.client.from("memories").select("id")
    .eq("content", "The books close on the third.");
  const { data: documents } = await ada.client.from("documents_generated").select("id")
    .eq("task_id", id);
  assert.deepEqual([notes!.length, documents!.length], [1, 1]);
});

Deno.test("an answer that no state could hold fails its step by name, at once", async () => {
  const cases: [string, RegExp][] = [
    ["[".repeat(5000) + "]".repeat(5000), /levels deep/],
    ["[".repeat(100_000) + "]".repeat(100_000), /levels deep/],
    ['{"n": 1e400}', /too large/],
  ];
  for (const [text, words] of cases) {
    fresh();
    said.json = text;
    const body = await run(
      chain(tool("get", "http_request", { url: `${service.origin}/api/odd`, method: "GET" })),
      {},
      { wait_ms: 20_000 },
    );
    assert.deepEqual([body.status, body.error?.code], ["failed", "response_invalid"]);
    assert.match(body.error.message, words);
    assert.equal(service.arrivals.length, 1, "asking again would change nothing");
  }
  const nested = chain(tool("a", "compose", { v: ["{{v}}"] }, { output_key: "." }));
  const again = { nodes: nested.nodes, edges: [...nested.edges, { source: "a", target: "a" }] };
  const body = await run(again, { v: 1 }, { wait_ms: 20_000 });
  assert.deepEqual([body.status, body.error?.code], ["failed", "result_invalid"]);
});
