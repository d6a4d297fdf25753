import assert from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";
import { chain, readEvents, tool } from "./graphs.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());
const ada = await stack.newUser();
const eve = await stack.newUser();

// deno-lint-ignore no-explicit-any
type Json = any;

async function call(
  path: string,
  json?: unknown,
  options: { as?: TestUser | "secret" | "cron" | "anon"; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: Json; headers: Headers }> {
  const response = await stack.fetch(`/functions/v1/run-workflow${path}`, {
    as: options.as ?? ada,
    ...(options.headers ? { headers: options.headers } : {}),
    ...(json === undefined ? {} : { json }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text,
  };
}

const asks = {
  type: "human",
  name: "approve",
  config: { prompt: "Pay {{amount}} to {{who.name}}?" },
};
const payment = { amount: 12, who: { name: "Bob" } };

const routed = {
  name: "routed",
  nodes: [
    { type: "start", name: "begin" },
    tool("double", "compose", { value: "{{n}}", text: "n is {{n}}" }),
    {
      type: "router",
      name: "size",
      config: { conditions: [{ label: "big", when: "$.double.value > 5" }], default: "small" },
    },
    tool("shout", "log", { message: "{{double.text}}", level: "warning" }),
    { type: "end", name: "done", config: { output: { text: "$.double.text" } } },
  ],
  edges: [
    { source: "begin", target: "double" },
    { source: "double", target: "size" },
    { source: "size", target: "shout", condition_label: "big" },
    { source: "size", target: "done", condition_label: "small" },
    { source: "shout", target: "done" },
  ],
};

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
    "select tool_name from public.tool_executions where workflow_execution_id = $1 order by created_at, id",
    [body.run_id],
  ).catch(() => stack.sql("select tool_name from public.tool_executions order by created_at"));
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

Deno.test("a run waits for a person, whose answer carries it on", async () => {
  const workflow = chain(asks, tool("note", "compose", { answer: "{{approve.yes}}" }));
  const { status, body } = await call("", { workflow, input: payment });
  assert.equal(status, 200);
  assert.equal(body.status, "waiting");
  const [waiting] = body.waiting;
  assert.deepEqual([waiting.kind, waiting.node, waiting.prompt], [
    "human",
    "approve",
    "Pay 12 to Bob?",
  ]);
  const path = `/${body.run_id}/resume`;
  const resumed = await call(path, {
    value: { yes: true },
    step_id: `${body.run_id}:${waiting.seq}`,
  });
  assert.deepEqual([resumed.status, resumed.body.status], [200, "completed"]);
  assert.deepEqual(resumed.body.state.note, { answer: true });
  const twice = await call(path, { value: { yes: false } });
  assert.deepEqual([twice.status, twice.body.code], [409, "run_not_waiting"]);
});

Deno.test("a stream of a run that waits shows what to ask, and ends there", async () => {
  const headers = { accept: "text/event-stream" };
  const started = performance.now();
  const { body } = await call("", { workflow: chain(asks), input: payment }, { headers });
  const events = readEvents(body);
  assert.deepEqual(events.map(({ event }) => event), ["run", "waiting"]);
  assert.equal(events[1]!.data.prompt, "Pay 12 to Bob?");
  assert.ok(performance.now() - started < 5000, "the stream stayed open");
  // whoever follows the run itself stays and sees how it goes on
  const runId = events[0]!.data.run_id;
  const following = call(`/${runId}`, undefined, { headers });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const resumed = await call(`/${runId}/resume`, { value: "yes" }, { headers });
  assert.deepEqual(readEvents(resumed.body).at(-1)!.event, "end");
  assert.deepEqual(readEvents((await following).body).at(-1)!.event, "end");
});

Deno.test("a subworkflow runs as a child and hands its output up", async () => {
  const { data: workflow } = await ada.client.from("mira_workflows")
    .insert({ name: "child", user_id: ada.id }).select().single();
  const { data: nodes } = await ada.client.from("mira_workflow_nodes").insert([
    { workflow_id: workflow.id, type: "start", name: "begin", config: {} },
    {
      workflow_id: workflow.id,
      type: "tool",
      name: "twice",
      config: { tool: "compose", arguments: { both: ["{{n}}", "{{n}}"] } },
    },
    { workflow_id: workflow.id, type: "end", name: "done", config: { output: "$.twice.both" } },
  ]).select();
  const id = (name: string) => nodes!.find((one: Json) => one.name === name).id;
  await ada.client.from("mira_workflow_edges").insert([
    { workflow_id: workflow.id, source_node_id: id("begin"), target_node_id: id("twice") },
    { workflow_id: workflow.id, source_node_id: id("twice"), target_node_id: id("done") },
  ]);
  await ada.client.from("mira_workflows").update({ is_active: true }).eq("id", workflow.id);
  const parent = chain({
    type: "subworkflow",
    name: "child",
    config: { workflow_id: workflow.id, input: { n: "$.number" } },
  });
  const { body } = await call("", { workflow: parent, input: { number: 4 } });
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.deepEqual(body.state.child, [4, 4]);
});

Deno.test("an answer must have the form that the step asks for", async () => {
  const schema = { type: "object", properties: { yes: { type: "boolean" } }, required: ["yes"] };
  const workflow = chain({ ...asks, config: { ...asks.config, schema } });
  const { body } = await call("", { workflow, input: payment });
  assert.deepEqual(body.waiting[0].schema, schema);
  const wrong = await call(`/${body.run_id}/resume`, { value: { yes: "maybe" } });
  assert.deepEqual([wrong.status, wrong.body.code], [422, "answer_invalid"]);
  assert.equal(wrong.body.errors[0].pointer, "/value/yes");
  assert.equal(
    (await call(`/${body.run_id}/resume`, { value: { yes: true } })).body.status,
    "completed",
  );
});

Deno.test("any JSON value is an answer, and stays what it is", async () => {
  for (const value of ["12", 12, null, false, ["a"], "tr\"icky {{x}} 'text'", ""]) {
    const { body } = await call("", { workflow: chain(asks), input: payment });
    const run = await call(`/${body.run_id}/resume`, { value });
    assert.equal(run.status, 200, JSON.stringify([value, run.body]));
    assert.deepEqual(run.body.state.approve, value);
  }
});

Deno.test("two people who answer at once: one is heard", async () => {
  const { body } = await call("", { workflow: chain(asks), input: payment });
  const answers = await Promise.all(
    [1, 2, 3].map((value) => call(`/${body.run_id}/resume`, { value })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409]);
  const run = await call(`/${body.run_id}`);
  assert.ok([1, 2, 3].includes(run.body.state.approve));
});

Deno.test("a signal that comes early is kept, and the same one counts once", async () => {
  const workflow = chain(asks, { type: "wait", name: "paid", config: { signal: "payment" } });
  const { body } = await call("", { workflow, input: payment });
  const signal = { name: "payment", payload: { cents: 1200 }, dedup_id: "tx-1" };
  const early = await call(`/${body.run_id}/signal`, signal);
  assert.deepEqual([early.status, early.body.delivered, early.body.duplicate], [200, false, false]);
  const again = await call(`/${body.run_id}/signal`, signal);
  assert.deepEqual([again.body.delivered, again.body.duplicate], [false, true]);
  const { body: run } = await call(`/${body.run_id}/resume`, { value: "ok" });
  assert.equal(run.status, "completed");
  assert.deepEqual(run.state.paid, { cents: 1200 });
});

Deno.test("a signal wakes the run that waits for it", async () => {
  const workflow = chain(
    { type: "wait", name: "paid", config: { signal: "payment" } },
    tool("x", "compose"),
  );
  const { body } = await call("", { workflow });
  assert.deepEqual([body.status, body.waiting[0].kind, body.waiting[0].signal], [
    "waiting",
    "signal",
    "payment",
  ]);
  const { body: run } = await call(`/${body.run_id}/signal`, { name: "payment", payload: 5 });
  assert.deepEqual([run.delivered, run.status, run.state.paid], [true, "completed", 5]);
});

Deno.test("a cancelled run stays cancelled, however often and whatever comes later", async () => {
  const { body } = await call("", { workflow: chain(asks), input: payment });
  const cancelled = await call(`/${body.run_id}/cancel`, { reason: "changed my mind" });
  assert.deepEqual([cancelled.status, cancelled.body.status], [200, "cancelled"]);
  assert.match(cancelled.body.error.message, /changed my mind/);
  // no body at all is a cancel too
  const response = await stack.fetch(`/functions/v1/run-workflow/${body.run_id}/cancel`, {
    as: ada,
    method: "POST",
  });
  assert.equal((await response.json()).status, "cancelled");
  assert.equal((await call(`/${body.run_id}/resume`, { value: 1 })).status, 409);
  const late = await call(`/${body.run_id}/signal`, { name: "x" });
  assert.equal(late.body.status, "cancelled");
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

Deno.test("somebody else's run does not exist, on any route", async () => {
  const { body } = await call("", { workflow: chain(asks), input: payment });
  const routes: [string, unknown?, Record<string, string>?][] = [
    [`/${body.run_id}`],
    [`/${body.run_id}`, undefined, { accept: "text/event-stream" }],
    [`/${body.run_id}/diagram`],
    [`/${body.run_id}/resume`, { value: 1 }],
    [`/${body.run_id}/signal`, { name: "payment" }],
    [`/${body.run_id}/cancel`, {}],
    [`/${body.run_id}/fork`, { step_id: 1 }],
  ];
  for (const [path, json, headers] of routes) {
    const other = await call(path, json, { as: eve, ...(headers ? { headers } : {}) });
    assert.deepEqual([other.status, other.body.code], [404, "run_not_found"], path);
    assert.equal((await call(path, json, { as: "anon" })).status, 401, path);
  }
  assert.equal((await call(`/${body.run_id}`)).body.status, "waiting");
  // the service may look after anybody's run, and starts one for a named user only
  assert.equal((await call(`/${body.run_id}`, undefined, { as: "secret" })).status, 200);
  const nameless = await call("", { workflow: chain() }, { as: "secret" });
  assert.deepEqual([nameless.status, nameless.body.code], [422, "user_id_required"]);
  const named = await call("", { workflow: chain(tool("x", "compose")), user_id: eve.id }, {
    as: "secret",
  });
  assert.equal(named.body.user_id, eve.id);
  const posing = await call("", { workflow: chain(tool("x", "compose")), user_id: eve.id });
  assert.equal(posing.status, 403);
});

Deno.test("the same Idempotency-Key starts one run", async () => {
  const headers = { "idempotency-key": crypto.randomUUID() };
  const request = { workflow: chain(tool("x", "compose", { n: "{{n}}" })), input: { n: 1 } };
  const runs = await Promise.all([1, 2, 3, 4].map(() => call("", request, { headers })));
  const ids = new Set(runs.filter(({ status }) => status === 200).map(({ body }) => body.run_id));
  assert.equal(ids.size, 1);
  assert.ok(runs.every(({ status }) => status === 200 || status === 409));
  const replay = await call("", request, { headers });
  assert.equal(replay.headers.get("idempotent-replayed"), "true");
  assert.ok(ids.has(replay.body.run_id));
  const other = await call("", { ...request, input: { n: 2 } }, { headers });
  assert.deepEqual([other.status, other.body.code], [422, "idempotency_key_reused"]);
});

Deno.test("what was done under an Idempotency-Key is not done again because its answer was a stream", async () => {
  const twice = async (path: string, json: unknown) => {
    const headers = { accept: "text/event-stream", "idempotency-key": crypto.randomUUID() };
    const first = await call(path, json, { headers });
    const repeat = await call(path, json, { headers });
    assert.match(repeat.headers.get("content-type")!, /text\/event-stream/);
    assert.equal(repeat.headers.get("idempotent-replayed"), "true");
    const runs = [first, repeat].map(({ body }) => readEvents(body)[0]!.data.run_id);
    assert.equal(runs[0], runs[1]);
    return runs[0];
  };
  const second = { ...asks, name: "again" };
  const { body: asked } = await call("", { workflow: chain(asks, second), input: payment });
  const answering = twice(`/${asked.run_id}/resume`, { value: "once" });
  // the repeat follows the run, which waits for somebody again
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { body: run } = await call(`/${asked.run_id}`);
  assert.deepEqual([run.status, run.waiting[0].node], ["waiting", "again"]);
  await call(`/${asked.run_id}/cancel`, {});
  await answering;

  const wait = (name: string) => ({ type: "wait", name, config: { signal: "go" } });
  const { body: signalled } = await call("", { workflow: chain(wait("one"), wait("two")) });
  const sending = twice(`/${signalled.run_id}/signal`, { name: "go", payload: 1 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal((await call(`/${signalled.run_id}`)).body.waiting[0].node, "two");
  await call(`/${signalled.run_id}/cancel`, {});
  await sending;

  const done = await call("", { workflow: chain(tool("x", "compose", { n: 1 })) });
  const fork = await twice(`/${done.body.run_id}/fork`, { step_id: 1 });
  assert.notEqual(fork, done.body.run_id);
});

Deno.test("the same signal under the same Idempotency-Key counts once, its own dedup_id or none", async () => {
  const { body } = await call("", { workflow: chain(asks), input: payment });
  const headers = { "idempotency-key": crypto.randomUUID() };
  await call(`/${body.run_id}/signal`, { name: "go" }, { headers });
  // as after a crash: the effect is there, its answer was not stored
  await stack.sql("delete from private.idempotency_keys where key = $1", [
    headers["idempotency-key"],
  ]);
  const repeat = await call(`/${body.run_id}/signal`, { name: "go" }, { headers });
  assert.deepEqual([repeat.status, repeat.body.duplicate], [200, true]);
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

Deno.test("a step of another run, or one that no run can have, is none of this one", async () => {
  const start = async () => (await call("", { workflow: chain(asks), input: payment })).body;
  const [one, other] = [await start(), await start()];
  for (const [verb, more] of [["resume", { value: 1 }], ["fork", {}]] as const) {
    const foreign = await call(`/${one.run_id}/${verb}`, { ...more, step_id: `${other.run_id}:1` });
    assert.deepEqual([foreign.status, foreign.body.code], [404, "step_not_found"]);
    const huge = await call(`/${one.run_id}/${verb}`, { ...more, step_id: 9_999_999_999 });
    assert.deepEqual([huge.status, huge.body.errors[0].pointer], [422, "/step_id"]);
  }
  const own = await call(`/${one.run_id}/resume`, { value: 1, step_id: `${one.run_id}:1` });
  assert.equal(own.body.status, "completed");
});

Deno.test("half an emoji in what is sent costs its other half, not the request", async () => {
  const { status, body } = await call("", {
    workflow: chain(tool("x", "compose", { text: "{{name}}!" })),
    input: { name: "Ada \ud83d", ["k\udc00"]: 1 },
  });
  assert.deepEqual([status, body.state.x.text, body.state["k\ufffd"]], [200, "Ada \ufffd!", 1]);
});

Deno.test("a caller in a hurry gets 202 and the run goes on", async () => {
  const workflow = chain(
    { type: "wait", name: "nap", config: { seconds: 0.3 } },
    tool("x", "compose"),
  );
  const { status, body } = await call("", { workflow, wait_ms: 0 });
  assert.equal(status, body.status === "waiting" ? 200 : 202);
  const patient = await call("", { workflow, wait_ms: 10_000 });
  assert.equal(patient.body.status, "completed", "a short wait is waited out");
  for (let i = 0; i < 50; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if ((await call(`/${body.run_id}`)).body.status === "completed") return;
  }
  assert.fail("the run stood still");
});

Deno.test("cron picks up runs that are due or abandoned; nobody else may", async () => {
  const workflow = chain(tool("x", "compose", { n: "{{n}}" }));
  const later = await call("", { workflow, input: { n: 1 }, delay_ms: 300, wait_ms: 0 });
  // a worker that died: it took the run and never came back
  const lost = await stack.service.rpc("mira_start_run", {
    p_user_id: ada.id,
    p_workflow: workflow,
    p_input: { n: 2 },
    p_lease_ms: 1000,
  });
  assert.equal(lost.data.tasks.length, 1);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  assert.equal((await call("/work", {})).status, 401);
  assert.equal((await call("/work", {}, { as: "anon" })).status, 401);
  const { status, body } = await call("/work", {}, { as: "cron" });
  assert.equal(status, 200);
  assert.equal(body.more, false);
  for (const runId of [later.body.run_id, lost.data.run_id]) {
    const run = await call(`/${runId}`);
    assert.equal(run.body.status, "completed", JSON.stringify(run.body.error));
  }
  const idle = await call("/work", {}, { as: "cron" });
  assert.deepEqual([idle.body.steps, idle.body.left, idle.body.more], [0, [], false]);
});

Deno.test("work beyond the budget is left due and done by the next call", async () => {
  const steps = Array.from({ length: 8 }, (_, i) => tool(`s${i}`, "compose", { i }));
  const runs = await Promise.all(
    [1, 2, 3].map(() =>
      stack.service.rpc("mira_start_run", { p_user_id: ada.id, p_workflow: chain(...steps) })
    ),
  );
  const first = await call("/work", { max_steps: 5 }, { as: "cron" });
  assert.equal(first.body.steps, 5);
  assert.equal(first.body.more, true);
  for (let i = 0; i < 100; i++) {
    const { data } = await stack.service.from("mira_workflow_state").select("status")
      .in("id", runs.map(({ data }) => data.run_id));
    // the call asks for its own continuation, so nobody needs to
    if (data!.every(({ status }) => status === "completed")) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("the runs stood still");
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

Deno.test("hostile requests get a problem, never a 500", async () => {
  const workflow = chain(tool("x", "compose"));
  const bad: [string, unknown][] = [
    ["", { workflow, input: { a: "\u0000" } }],
    ["", { workflow: { ...workflow, nodes: "many" } }],
    ["", { workflow: { ...workflow, edges: [{ source: "begin", target: "nowhere" }] } }],
    ["", { workflow, priority: 99 }],
    ["", { workflow, budget: { tokens: -1 } }],
    ["", { workflow, unheard_of: true }],
    ["", { workflow: chain({ type: "tool", name: "__proto__", config: {} }) }],
    ["/not-a-uuid/resume", { value: 1 }],
    [`/${crypto.randomUUID()}/resume`, { value: 1 }],
    [`/${crypto.randomUUID()}/resume`, {}],
    [`/${crypto.randomUUID()}/fork`, { step_id: "x; drop table" }],
    [`/${crypto.randomUUID()}/signal`, { name: "" }],
  ];
  for (const [path, json] of bad) {
    const { status, headers } = await call(path, json);
    assert.ok(status >= 400 && status < 500, `${path} ${JSON.stringify(json)} gave ${status}`);
    assert.match(headers.get("content-type")!, /problem\+json/);
  }
  assert.equal((await stack.fetch("/functions/v1/run-workflow/work", { as: "cron" })).status, 405);
});

Deno.test("who looks or steers too often is told when to come back", async () => {
  const busy = await stack.newUser();
  const { body } = await call("", { workflow: chain(asks), input: payment }, { as: busy });
  const id = body.run_id;
  const looking: [string, unknown?][] = [
    [`/${id}`],
    [`/${id}/diagram`],
    [`/workflows/${id}/diagram`],
    ["/workflows/validate", { workflow: chain() }],
  ];
  const steering: [string, unknown?][] = [
    [`/${id}/signal`, { name: "x", wait_ms: 0 }],
    [`/${id}/resume`, { value: 1 }],
    [`/${id}/cancel`, {}],
  ];
  const refused = (routes: [string, unknown?][]) =>
    Promise.all(routes.map(async ([path, json]) => {
      const { status, body, headers } = await call(path, json, { as: busy });
      return status === 429 && body.code === "rate_limited" &&
        Number(headers.get("retry-after")) > 3000;
    }));
  // an hour's worth of calls in one moment
  const exhaust = (action: string) =>
    stack.service.rpc("mira_take_rate_limit", {
      p_subject: busy.id,
      p_action: action,
      p_limit: 1,
      p_window_seconds: 3600,
    });
  await exhaust("run-workflow-steer");
  assert.deepEqual(await refused(steering), [true, true, true]);
  assert.equal((await call(`/${id}`, undefined, { as: busy })).status, 200, "looking counts apart");
  const another = await stack.newUser();
  assert.equal((await call(`/${id}/cancel`, {}, { as: another })).status, 404, "others are free");
  assert.equal((await call(`/${id}`, undefined, { as: "secret" })).status, 200);
  await stack.sql("delete from private.rate_limits where subject = $1", [busy.id]);
  await exhaust("run-workflow-read");
  assert.deepEqual(await refused(looking), [true, true, true, true]);
});
