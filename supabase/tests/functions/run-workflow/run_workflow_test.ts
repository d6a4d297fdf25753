/** What a run does: its steps, its trace, its children, its forks. */

import assert from "node:assert/strict";
import { asks, chain, payment, readEvents, routed, stored, tool } from "./graphs.ts";
import { ada, call, eve, type Json, stack } from "./run_stack.ts";

Deno.test("a run goes from start to end, takes the edge its state asks for, and leaves its trace", async () => {
  const { status, body } = await call("", { workflow: routed, input: { n: 7 } });
  assert.equal(status, 200);
  assert.equal(body.status, "completed");
  assert.deepEqual(body.output, { text: "n is 7" });
  assert.deepEqual(body.state.double, { value: 7, text: "n is 7" });
  assert.deepEqual(body.steps.map((step: Json) => step.node), ["double", "size", "shout"]);

  const small = await call("", { workflow: routed, input: { n: 1 } });
  assert.deepEqual(small.body.steps.map((step: Json) => step.node), ["double", "size"]);

  // the owner reads the trace through the Data API
  const logs = await ada.client.from("execution_logs").select("*").eq("task_id", body.run_id);
  assert.ok(logs.data!.some((line) => line.message === "n is 7" && line.level === "warning"));
  const ledger = await ada.client.from("workflow_executions").select("*").eq("id", body.run_id);
  assert.equal(ledger.data!.length, 1);
  const tools = await stack.sql(
    "select tool_name from public.tool_executions where run_id = $1",
    [body.run_id],
  );
  assert.ok(tools.some(({ tool_name }) => tool_name === "compose"));
});

Deno.test("a stored workflow runs once its owner has activated it", async () => {
  const { data: workflow } = await ada.client.from("mira_workflows").insert({
    name: "greet",
    user_id: ada.id,
  })
    .select().single();
  const node = (type: string, name: string, config = {}) => ({
    workflow_id: workflow.id,
    type,
    name,
    config,
  });
  const { data: nodes } = await ada.client.from("mira_workflow_nodes").insert([
    node("start", "begin"),
    node("tool", "hello", { tool: "compose", arguments: { text: "Hello {{name}}" } }),
    node("end", "done"),
  ]).select();
  const id = (name: string) => nodes!.find((one) => one.name === name).id;
  await ada.client.from("mira_workflow_edges").insert([
    { workflow_id: workflow.id, source_node_id: id("begin"), target_node_id: id("hello") },
    { workflow_id: workflow.id, source_node_id: id("hello"), target_node_id: id("done") },
  ]);
  const early = await call("", { workflow_id: workflow.id, input: { name: "Ada" } });
  assert.deepEqual([early.status, early.body.code], [409, "workflow_not_active"]);
  const { error } = await ada.client.from("mira_workflows").update({ is_active: true }).eq(
    "id",
    workflow.id,
  );
  assert.equal(error, null);
  const { body } = await call("", { workflow_id: workflow.id, input: { name: "Ada" } });
  assert.equal(body.state.hello.text, "Hello Ada");
  const diagram = await call(`/workflows/${workflow.id}/diagram`);
  assert.match(diagram.body, /^flowchart TD\n {2}n0\(\["begin"\]\)/);
  const others = await call("", { workflow_id: workflow.id, input: {} }, { as: eve });
  assert.deepEqual([others.status, others.body.code], [404, "workflow_not_found"]);
  assert.equal(
    (await call(`/workflows/${workflow.id}/diagram`, undefined, { as: eve })).status,
    404,
  );
});

Deno.test("a graph with mistakes is refused with one entry per mistake, pointing at the node", async () => {
  const broken = chain(
    tool("one", "no_such_tool"),
    tool("two", "compose", { x: "{{nowhere.at.all}}" }),
  );
  const workflow = { ...broken, input_schema: { type: "object", properties: { n: {} } } };
  const { status, body } = await call("", { workflow, input: { n: 1 } });
  assert.deepEqual([status, body.code], [422, "workflow_invalid"]);
  const found = body.errors.map((error: Json) => [error.pointer, error.code]);
  assert.deepEqual(found.sort(), [
    ["/workflow/nodes/1", "unknown_tool"],
    ["/workflow/nodes/2", "bad_template_path"],
  ]);
  const check = await call("/workflows/validate", { workflow });
  assert.equal(check.body.valid, false);
  const neither = await call("", { input: {} });
  assert.deepEqual([neither.status, neither.body.errors[0].pointer], [422, "/workflow_id"]);
});

Deno.test("a missing path fails the step and says what is missing", async () => {
  const { status, body } = await call("", {
    workflow: chain(tool("greet", "compose", { text: "Hi {{customer.name}}" })),
    input: { customer: { email: "x@example.com" } },
  });
  assert.equal(status, 200);
  assert.equal(body.status, "failed");
  assert.equal(body.error.code, "template_path_missing");
  assert.match(body.error.message, /"name" is missing from "customer", which holds email/);
  assert.equal(body.error.node, "greet");
});

Deno.test("arguments that do not fit the tool's schema fail the step and call nothing", async () => {
  const { body } = await call("", {
    workflow: chain(tool("note", "log", { message: "{{n}}" })),
    input: { n: 5 },
  });
  assert.deepEqual([body.status, body.error.code], ["failed", "arguments_invalid"]);
  assert.match(body.error.message, /\/message Expected string, found number/);
});

Deno.test("every step is streamed as it happens and can be followed again from any event", async () => {
  const headers = { accept: "text/event-stream" };
  const first = await call("", { workflow: routed, input: { n: 9 } }, { headers });
  assert.match(first.headers.get("content-type")!, /text\/event-stream/);
  const events = readEvents(first.body);
  assert.deepEqual(events.map(({ event }) => event), ["run", "step", "step", "step", "end"]);
  assert.deepEqual(events.map(({ id }) => id), ["1", "2", "3", "4", "5"]);
  assert.equal(events.at(-1)!.data.output.text, "n is 9");
  const runId = events[0]!.data.run_id;
  const again = await call(`/${runId}`, undefined, {
    headers: { ...headers, "last-event-id": "3" },
  });
  assert.deepEqual(readEvents(again.body), events.slice(3));
  const whole = await call(`/${runId}`, undefined, { headers });
  assert.deepEqual(readEvents(whole.body), events);
});

Deno.test("a subworkflow runs as a child and hands its output up", async () => {
  const child = chain(tool("twice", "compose", { both: ["{{n}}", "{{n}}"] }));
  child.nodes.at(-1)!.config = { output: "$.twice.both" };
  const workflow_id = await stored(ada, child);
  const parent = chain({
    type: "subworkflow",
    name: "child",
    config: { workflow_id, input: { n: "$.number" } },
  });
  const { body } = await call("", { workflow: parent, input: { number: 4 } });
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual(body.state.child, [4, 4]);
});

Deno.test("a run whose subworkflow asks a person answers at once, and goes on when they have", async () => {
  const workflow_id = await stored(ada, chain(asks));
  const parent = chain({ type: "subworkflow", name: "child", config: { workflow_id } });
  const began = performance.now();
  const { body } = await call("", { workflow: parent, input: payment });
  assert.ok(performance.now() - began < 20_000, "it waited for its whole time");
  assert.deepEqual([body.status, body.waiting[0].kind], ["running", "child"]);
  await call(`/${body.waiting[0].child_run_id}/resume`, { value: "yes" });
  assert.equal((await call(`/${body.run_id}`)).body.status, "completed");
});

Deno.test("a map over a subworkflow does all its elements in the request that starts it", async () => {
  const workflow_id = await stored(
    ada,
    chain(tool("twice", "compose", { both: ["{{n}}", "{{n}}"] })),
  );
  const parent = chain({
    type: "map",
    name: "all",
    config: {
      items: "$.people[*].age",
      each: { type: "subworkflow", config: { workflow_id, input: { n: "$.item" } } },
    },
  });
  const people = Array.from({ length: 23 }, (_, age) => ({ age }));
  const { body } = await call("", { workflow: parent, input: { people } });
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual(
    body.state.all.map((one: Json) => one.twice.both),
    people.map(({ age }) => [age, age]),
  );
});

Deno.test("a fork does a step again, with the state it had or another, and leaves the first run alone", async () => {
  const { body } = await call("", { workflow: routed, input: { n: 7 } });
  const step = body.steps.find((one: Json) => one.node === "size");
  const same = await call(`/${body.run_id}/fork`, { step_id: step.seq });
  assert.notEqual(same.body.run_id, body.run_id);
  assert.deepEqual([same.body.status, same.body.output], ["completed", body.output]);
  const edited = await call(`/${body.run_id}/fork`, {
    step_id: step.seq,
    state: { double: { value: 1, text: "edited" } },
  });
  assert.deepEqual(edited.body.output, { text: "edited" });
  assert.ok(!edited.body.steps.some((one: Json) => one.node === "shout"));
  assert.deepEqual((await call(`/${body.run_id}`)).body.output, body.output);
  const nowhere = await call(`/${body.run_id}/fork`, { step_id: 99 });
  assert.deepEqual([nowhere.status, nowhere.body.code], [404, "step_not_found"]);
});

Deno.test("a run's diagram shows where it has been and where it waits", async () => {
  const { body } = await call("", {
    workflow: chain(tool("one", "compose"), asks),
    input: payment,
  });
  const diagram = await call(`/${body.run_id}/diagram`);
  assert.match(diagram.headers.get("content-type")!, /text\/plain/);
  assert.match(diagram.body, /n1\[\["one<br\/>tool"\]\]/);
  assert.match(diagram.body, /n1 ==> n2/);
  assert.match(diagram.body, /n2 --> n3/);
  assert.match(diagram.body, /class n2 active/);
});

Deno.test("a Last-Event-ID that no run can have is beyond the end, and breaks nothing", async () => {
  const { body } = await call("", { workflow: chain(tool("x", "compose")) });
  for (const id of ["9999999999", "1e300", "Infinity", "999"]) {
    const headers = { accept: "text/event-stream", "last-event-id": id };
    const rest = await call(`/${body.run_id}`, undefined, { headers });
    assert.deepEqual(readEvents(rest.body), [], id);
  }
  for (const id of ["-1", "x", "", "1.9"]) {
    const headers = { accept: "text/event-stream", "last-event-id": id };
    const whole = readEvents((await call(`/${body.run_id}`, undefined, { headers })).body);
    assert.equal(whole.at(-1)!.event, "end", id);
  }
});

Deno.test("the elements of a map are done side by side and joined in order", async () => {
  const workflow = chain({
    type: "map",
    name: "squares",
    config: {
      items: "$.list",
      batch: 4,
      each: {
        type: "tool",
        config: { tool: "compose", arguments: { n: "{{item}}", at: "{{index}}" } },
      },
    },
  });
  const list = Array.from({ length: 25 }, (_, i) => i * 10);
  const { body } = await call("", { workflow, input: { list } });
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual(body.state.squares, list.map((n, at) => ({ n, at })));
  const empty = await call("", { workflow, input: { list: [] } });
  assert.deepEqual(empty.body.state.squares, []);
});

Deno.test("branches run side by side and meet at their join", async () => {
  const workflow = {
    name: "diamond",
    nodes: [
      { type: "start", name: "begin" },
      tool("left", "compose", { v: 1 }),
      tool("right", "compose", { v: 2 }),
      tool("both", "compose", { l: "{{left.v}}", r: "{{right.v}}" }),
      { type: "end", name: "done" },
    ],
    edges: [["begin", "left"], ["begin", "right"], ["left", "both"], ["right", "both"], [
      "both",
      "done",
    ]]
      .map(([source, target]) => ({ source, target })),
  };
  const { body } = await call("", { workflow });
  assert.deepEqual(body.state.both, { l: 1, r: 2 });
});
