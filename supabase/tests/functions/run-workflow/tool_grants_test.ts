import assert from "node:assert/strict";
import { startLlmServer } from "../../support/llm_server.ts";
import { startStack } from "../../support/stack.ts";
import { chain, llm, readEvents, stored, tool } from "./graphs.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

const model = startLlmServer();
const stack = await startStack({ env: { MIRA_LLM_URL: model.url, MIRA_LLM_MODEL: "test-model" } });
const ada = await stack.newUser();
Deno.test.afterAll(async () => {
  await stack.close();
  await model.close();
});

async function call(path: string, json?: unknown): Promise<Json> {
  const response = await stack.fetch(`/functions/v1/run-workflow${path}`, {
    as: ada,
    ...(json === undefined ? {} : { json }),
  });
  const body = await response.json();
  return { http: response.status, ...body };
}
const run = (workflow: unknown, tools?: unknown, more: Record<string, unknown> = {}) =>
  call("", { workflow, ...(tools === undefined ? {} : { tools }), ...more });

async function actionsOf(id: string): Promise<string[]> {
  const { data } = await ada.client.from("agent_messages").select("content")
    .eq("workflow_execution_id", id).eq("message_type", "tool_call");
  return data!.map(({ content }) => content).sort();
}

const act = (name: string) => tool(name, "emit_action", { action: name });
const two = chain(
  tool("shape", "compose", { a: 1 }),
  act("open"),
  tool("keep", "save_document", { document_type: "doc", title: "T" }),
);

Deno.test("without a grant a run may call what its graph names", async () => {
  const body = await run(two);
  assert.equal(body.status, "completed", JSON.stringify(body.error));
});

Deno.test("a tool with side effects that is not granted is refused, one that only reads is not", async () => {
  const none = await run(two, {});
  assert.deepEqual([none.status, none.error.code, none.error.node], [
    "failed",
    "tool_not_granted",
    "open",
  ]);
  assert.deepEqual(none.state.shape, { a: 1 });
  assert.deepEqual(await actionsOf(none.run_id), []);
  const one = await run(two, { allow: ["emit_action"] });
  assert.deepEqual([one.error.code, one.error.node], ["tool_not_granted", "keep"]);
  assert.deepEqual(await actionsOf(one.run_id), ["open"]);
  const both = await run(two, { allow: ["emit_action", "save_document"] });
  assert.equal(both.status, "completed", JSON.stringify(both.error));
});

Deno.test("a workflow's grant and a caller's must agree: neither widens the other's", async () => {
  const strict = { ...two, limits: { tools: { allow: ["emit_action"] } } };
  const wide = { allow: ["emit_action", "save_document"] };
  assert.equal((await run(strict)).error.node, "keep");
  assert.equal((await run(strict, wide)).error.node, "keep");
  const asking = { ...two, limits: { tools: { ...wide, otherwise: "confirm" } } };
  assert.equal((await run(asking, { allow: ["save_document"] })).error.node, "open");
  assert.equal((await run(asking, wide)).status, "completed");
});

Deno.test("a grant that says nothing, or names no tool, is told", async () => {
  const odd = await run(two, { allow: "emit_action" });
  assert.deepEqual([odd.http, odd.code, odd.errors[0].pointer], [
    422,
    "invalid_input",
    "/tools/allow",
  ]);
  const unknown = await run({ ...two, limits: { tools: { allow: ["emit_acton"] } } });
  assert.deepEqual([unknown.http, unknown.code, unknown.errors[0].code], [
    422,
    "workflow_invalid",
    "unknown_tool",
  ]);
  const shape = await run({ ...two, limits: { tools: { otherwise: "maybe" } } });
  assert.equal(shape.errors[0].code, "bad_limits");
  const { error } = await stack.service.rpc("mira_start_run", {
    p_user_id: ada.id,
    p_workflow: two,
    p_options: { tools: ["emit_action"] },
  });
  assert.equal(error!.message, "tools_invalid");
});

Deno.test("a run that asks waits for a person, and calls after a yes", async () => {
  const asked = await run(two, { allow: ["save_document"], otherwise: "confirm" });
  assert.equal(asked.status, "waiting", JSON.stringify(asked.error));
  const [waiting] = asked.waiting;
  assert.deepEqual([waiting.kind, waiting.node, waiting.prompt, waiting.schema], [
    "human",
    "open",
    'Allow the tool "emit_action"?',
    { type: "boolean" },
  ]);
  assert.deepEqual(waiting.confirm, { tool: "emit_action", arguments: { action: "open" } });
  assert.deepEqual(await actionsOf(asked.run_id), []);
  const odd = await call(`/${asked.run_id}/resume`, { value: "yes" });
  assert.deepEqual([odd.http, odd.code], [422, "answer_invalid"]);
  const done = await call(`/${asked.run_id}/resume`, { value: true });
  assert.equal(done.status, "completed", JSON.stringify(done.error));
  assert.deepEqual(await actionsOf(asked.run_id), ["open"]);
  const events = await stack.fetch(`/functions/v1/run-workflow/${asked.run_id}`, {
    as: ada,
    headers: { accept: "text/event-stream" },
  });
  const said = readEvents(await events.text()).find(({ event }) => event === "waiting")!;
  assert.deepEqual([said.data.prompt, said.data.confirm.tool], [waiting.prompt, "emit_action"]);
});

Deno.test("after a no the step has failed, and may have an edge for that", async () => {
  const refusing = await run(chain(act("open")), { otherwise: "confirm" });
  const refused = await call(`/${refusing.run_id}/resume`, { value: false });
  assert.deepEqual([refused.status, refused.error.code], ["failed", "tool_refused"]);
  assert.deepEqual(await actionsOf(refusing.run_id), []);
  const rescued = chain(act("open"));
  const asked = await run({
    ...rescued,
    nodes: [...rescued.nodes, tool("instead", "compose", { b: 2 })],
    edges: [
      ...rescued.edges,
      { source: "open", target: "instead", condition_label: "error" },
      { source: "instead", target: "done" },
    ],
  }, { otherwise: "confirm" });
  const done = await call(`/${asked.run_id}/resume`, { value: false });
  assert.deepEqual([done.status, done.state.instead], ["completed", { b: 2 }]);
});

Deno.test("a model is offered what is granted, and a person is asked about the rest in its place", async () => {
  const helper = llm("help", { prompt: "Do it.", tools: ["emit_action", "remember", "compose"] });
  model.reset();
  model.say(
    { toolCalls: [{ name: "emit_action", arguments: { action: "wire" } }] },
    { text: "could not" },
  );
  const strict = await run(chain(helper), { allow: ["remember"] });
  assert.equal(strict.state.help, "could not", JSON.stringify(strict.error));
  assert.deepEqual(model.requests[0]!.body.tools!.map((one) => one.function.name), [
    "remember",
    "compose",
  ]);
  assert.deepEqual(await actionsOf(strict.run_id), []);

  for (const yes of [true, false]) {
    model.reset();
    model.say({
      toolCalls: [
        { name: "emit_action", arguments: { action: "wire" } },
        { name: "compose", arguments: { a: 1 } },
        { name: "remember", arguments: { content: `said ${yes}` } },
      ],
    }, { text: "done" });
    const asked = await run(chain(helper), { otherwise: "confirm" });
    assert.deepEqual(asked.waiting[0].confirm.tool, "emit_action", JSON.stringify(asked));
    const again = await call(`/${asked.run_id}/resume`, { value: yes });
    assert.deepEqual(again.waiting[0].confirm, {
      tool: "remember",
      arguments: { content: `said ${yes}` },
    });
    const done = await call(`/${asked.run_id}/resume`, { value: yes });
    assert.deepEqual([done.status, done.state.help], ["completed", "done"], JSON.stringify(done));
    assert.equal(model.requests.length, 2, "the first answer was not asked for again");
    assert.deepEqual(await actionsOf(asked.run_id), yes ? ["wire"] : []);
    const results = model.requests[1]!.body.messages.filter(({ role }) => role === "tool")
      .map(({ content }) => JSON.parse(content!).data.error ?? "ok");
    assert.deepEqual(results, yes ? ["ok", "ok", "ok"] : ["tool_refused", "ok", "tool_refused"]);
  }
});

Deno.test("children, forks and second tries have the grant of their run", async () => {
  const workflow_id = await stored(ada, chain(tool("open", "emit_action", { action: "inside" })));
  const parent = chain({ type: "subworkflow", name: "sub", config: { workflow_id } });
  assert.equal((await run(parent)).status, "completed");
  const strict = await run(parent, {});
  assert.deepEqual([strict.status, strict.error.code], ["failed", "child_failed"]);
  assert.match(strict.error.message, /not granted/);

  const mapped = chain({
    type: "map",
    name: "all",
    config: {
      items: "$.n",
      each: { type: "tool", config: { tool: "emit_action", arguments: { action: "{{item}}" } } },
    },
  });
  const many = await run(mapped, { otherwise: "confirm" }, { input: { n: ["a", "b"] } });
  assert.deepEqual([many.status, many.error.code], ["failed", "tool_not_granted"]);
  assert.match(many.error.message, /inside a map/);
  assert.deepEqual(await actionsOf(many.run_id), []);

  const failed = await run(chain(act("open")), {});
  await stack.service.rpc("mira_redrive_runs", { p_user_id: ada.id, p_run_ids: [failed.run_id] });
  await (await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} })).body
    ?.cancel();
  assert.equal((await call(`/${failed.run_id}`)).error.code, "tool_not_granted");
  const forked = await call(`/${failed.run_id}/fork`, { step_id: 1 });
  assert.deepEqual([forked.status, forked.error.code], ["failed", "tool_not_granted"]);
});
