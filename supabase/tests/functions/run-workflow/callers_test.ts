/** Who may call, how often, how long they wait, and what the schedule picks up. */

import assert from "node:assert/strict";
import { asks, chain, payment, readEvents, tool } from "./graphs.ts";
import { ada, call, eve, type Json, stack } from "./run_stack.ts";

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
  const started = performance.now();
  const second = { ...asks, name: "again" };
  const { body: asked } = await call("", { workflow: chain(asks, second), input: payment });
  await twice(`/${asked.run_id}/resume`, { value: "once" });
  const { body: run } = await call(`/${asked.run_id}`);
  assert.deepEqual([run.status, run.waiting[0].node], ["waiting", "again"]);

  const wait = (name: string) => ({ type: "wait", name, config: { signal: "go" } });
  const { body: signalled } = await call("", { workflow: chain(wait("one"), wait("two")) });
  await twice(`/${signalled.run_id}/signal`, { name: "go", payload: 1 });
  assert.equal((await call(`/${signalled.run_id}`)).body.waiting[0].node, "two");
  assert.ok(performance.now() - started < 20_000, "a repeat ends where its run rests");

  const done = await call("", { workflow: chain(tool("x", "compose", { n: 1 })) });
  const fork = await twice(`/${done.body.run_id}/fork`, { step_id: 1 });
  assert.notEqual(fork, done.body.run_id);
});

Deno.test("what was done under an Idempotency-Key is not done again though its answer was lost in a crash", async () => {
  const twice = async (path: string, json: unknown) => {
    const headers = { "idempotency-key": crypto.randomUUID() };
    const first = await call(path, json, { headers });
    // the effect is there, and the server died before its answer was stored
    await stack.sql("delete from private.idempotency_keys where key = $1", [
      headers["idempotency-key"],
    ]);
    const repeat = await call(path, json, { headers });
    assert.deepEqual([first.status, repeat.status], [200, 200], JSON.stringify(repeat.body));
    return [first.body, repeat.body];
  };
  const start = async () => {
    const again = { ...asks, name: "again" };
    return (await call("", { workflow: chain(asks, again), input: payment })).body.run_id;
  };
  const [signal, duplicate] = await twice(`/${await start()}/signal`, { name: "go" });
  assert.deepEqual([signal.duplicate, duplicate.duplicate], [false, true]);

  const answers = await twice(`/${await start()}/resume`, { value: "yes" });
  for (const run of answers) {
    assert.deepEqual([run.status, run.waiting[0].node, run.state.approve], [
      "waiting",
      "again",
      "yes",
    ]);
  }

  const [fork, same] = await twice(`/${await start()}/fork`, { step_id: 1 });
  assert.equal(fork.run_id, same.run_id);
});

const wantsNumber = {
  type: "object",
  required: ["n"],
  properties: { n: { type: "number", minimum: 1 }, size: { enum: ["s", "l"] } },
};

Deno.test("an input is what the graph's input_schema says", async () => {
  const workflow = {
    ...chain(tool("x", "compose", { n: "{{n}}" })),
    input_schema: wantsNumber,
  };
  const cases: [unknown, string][] = [
    ["n", "/input"],
    [["n"], "/input"],
    [null, "/input"],
    [{ m: 1 }, "/input/n"],
    [{ n: "5" }, "/input/n"],
    [{ n: 0 }, "/input/n"],
    [{ n: 5, size: "xl" }, "/input/size"],
  ];
  for (const [input, pointer] of cases) {
    const { status, body } = await call("", { workflow, input });
    assert.deepEqual(
      [status, body.code, body.errors?.[0].pointer],
      [422, "input_invalid", pointer],
      JSON.stringify(input),
    );
  }
  assert.equal((await call("", { workflow, input: { n: 1 } })).body.status, "completed");
  // a start that goes past the function, too, finds no key in a text
  const past = await stack.service.rpc("mira_start_run", {
    p_user_id: ada.id,
    p_workflow: { ...workflow, input_schema: { required: ["n"] } },
    p_input: { value: "n" },
    p_boxed: true,
  });
  assert.equal(past.error?.message, "input_invalid");
});

Deno.test("so is that of a stored workflow, by the version that starts", async () => {
  const { data: workflow } = await ada.client.from("mira_workflows")
    .insert({ name: "typed", user_id: ada.id, input_schema: wantsNumber }).select().single();
  const node = (type: string, name: string) => ({ workflow_id: workflow.id, type, name });
  const { data: nodes } = await ada.client.from("mira_workflow_nodes")
    .insert([node("start", "begin"), node("end", "done")]).select();
  await ada.client.from("mira_workflow_edges").insert({
    workflow_id: workflow.id,
    source_node_id: nodes!.find(({ name }) => name === "begin").id,
    target_node_id: nodes!.find(({ name }) => name === "done").id,
  });
  await ada.client.from("mira_workflows").update({ is_active: true }).eq("id", workflow.id);
  await ada.client.from("mira_workflows").update({ input_schema: null }).eq("id", workflow.id);
  const wrong = await call("", { workflow_id: workflow.id, input: { n: "many" } });
  assert.deepEqual([wrong.status, wrong.body.errors[0].pointer], [422, "/input/n"]);
  const right = await call("", { workflow_id: workflow.id, input: { n: 3 } });
  assert.equal(right.body.status, "completed");
  // somebody else learns nothing of it
  const { body } = await call("", { workflow_id: workflow.id, input: { n: "many" } }, { as: eve });
  assert.equal(body.code, "workflow_not_found");
});

Deno.test("a graph whose schemas cannot be used is refused where they stand", async () => {
  const human = { ...asks, config: { prompt: "?", schema: { properties: { yes: "boolean" } } } };
  const { status, body } = await call("", { workflow: chain(human), input: {} });
  assert.deepEqual([status, body.code, body.errors[0].pointer], [
    422,
    "workflow_invalid",
    "/workflow/nodes/1/config/schema/properties/yes",
  ]);
  const told = await call("/workflows/validate", { workflow: chain(human) });
  assert.equal(told.body.valid, false);
  assert.deepEqual(told.body.problems.map(({ code, node }: Json) => [code, node]), [
    ["schema_invalid", "approve"],
  ]);
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
