/** What a run waits for: people, signals, and the end that somebody makes of it. */

import assert from "node:assert/strict";
import { asks, chain, payment, readEvents, tool } from "./graphs.ts";
import { ada, call, stack } from "./run_stack.ts";

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
