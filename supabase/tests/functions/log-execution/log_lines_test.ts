/** Lines: written once, redacted, found again in order, and each person's own. */

import assert from "node:assert/strict";
import { ann, BASE, ben, get, log, patch, post, refused, stack } from "./record_stack.ts";

Deno.test("one line is stored and answered with its id and number", async () => {
  const task = crypto.randomUUID();
  const response = await post(
    "/",
    log(task, "Planning", { step: 1, agent_type: "planner", metadata: { tries: 2 } }),
  );
  assert.equal(response.status, 201);
  const receipt = await response.json();
  assert.deepEqual([receipt.accepted, receipt.duplicates], [1, 0]);
  const { logs, next_cursor } = await get(`/?task_id=${task}`);
  assert.equal(next_cursor, null);
  assert.equal(logs.length, 1);
  const { created_at, ...line } = logs[0];
  assert.ok(Math.abs(Date.parse(created_at) - Date.now()) < 60_000);
  assert.deepEqual(line, {
    seq: receipt.seq,
    id: receipt.id,
    task_id: task,
    level: "info",
    agent_type: "planner",
    step: "1",
    message: "Planning",
    metadata: { tries: 2 },
  });
});

Deno.test("a batch keeps its order and pages forwards and backwards without a gap", async () => {
  const task = crypto.randomUUID();
  const messages = Array.from({ length: 500 }, (_, i) => `line ${i}`);
  const receipt = await (await post("/", { logs: messages.map((m) => log(task, m)) })).json();
  assert.equal(receipt.accepted, 500);
  for (const [order, expected] of [["asc", messages], ["desc", messages.toReversed()]] as const) {
    const read: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page = await get(
        `/?task_id=${task}&order=${order}&limit=190${cursor && `&cursor=${cursor}`}`,
      );
      read.push(...page.logs.map((line: { message: string }) => line.message));
      cursor = page.next_cursor;
    }
    assert.deepEqual(read, expected);
  }
});

Deno.test("a line with an id is stored once, alone, in a batch and within one batch", async () => {
  const task = crypto.randomUUID();
  const id = crypto.randomUUID();
  const first = await (await post("/", log(task, "once", { id }))).json();
  const again = await (await post("/", log(task, "once", { id }))).json();
  assert.deepEqual([again.id, again.seq, again.duplicates], [first.id, first.seq, 1]);
  const twin = crypto.randomUUID();
  const batch = await (await post("/", {
    logs: [
      log(task, "once", { id }),
      log(task, "twin", { id: twin }),
      log(task, "twin", { id: twin }),
    ],
  })).json();
  assert.deepEqual([batch.accepted, batch.duplicates], [1, 2]);
  assert.equal(batch.logs[0].seq, first.seq);
  assert.equal(batch.logs[1].seq, batch.logs[2].seq);
  assert.equal((await get(`/?task_id=${task}`)).logs.length, 2);
});

Deno.test("sixty-four concurrent retries of one batch store it once", async () => {
  const task = crypto.randomUUID();
  const logs = Array.from({ length: 5 }, (_, i) => log(task, `m${i}`, { id: crypto.randomUUID() }));
  const receipts = await Promise.all(
    Array.from({ length: 64 }, async () => (await post("/", { logs })).json()),
  );
  assert.equal(receipts.reduce((sum, r) => sum + r.accepted, 0), 5);
  assert.equal(new Set(receipts.map((r) => JSON.stringify(r.logs))).size, 1);
});

Deno.test("the same ids of another person are theirs alone", async () => {
  const task = crypto.randomUUID();
  const id = crypto.randomUUID();
  await post("/", log(task, "mine", { id }));
  const theirs = await (await post("/", log(task, "theirs", { id }), ben)).json();
  assert.equal(theirs.accepted, 1);
  assert.deepEqual(
    (await get(`/?task_id=${task}`)).logs.map((l: { message: string }) => l.message),
    ["mine"],
  );
});

Deno.test("an Idempotency-Key stores a batch without ids once and replays the answer", async () => {
  const task = crypto.randomUUID();
  const headers = { "idempotency-key": crypto.randomUUID() };
  const body = { logs: [log(task, "a"), log(task, "b")] };
  const first = await post("/", body, ann, headers);
  const second = await post("/", body, ann, headers);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
  assert.deepEqual(await second.json(), await first.json());
  assert.equal((await get(`/?task_id=${task}`)).logs.length, 2);
});

Deno.test("secrets are redacted by key name and by shape, on every way in", async () => {
  const task = crypto.randomUUID();
  const canary = "sk-" + "canary0123456789".repeat(2);
  await post(
    "/",
    log(task, `calling with Bearer ${canary}`, {
      metadata: { password: "hunter2-canary", nested: [{ apiKey: "k-canary" }], note: canary },
    }),
  );
  await ann.client.rpc("insert_execution_log", {
    p_task_id: task,
    p_message: `key ${canary}`,
    p_metadata: { client_secret: "s-canary", deep: { text: canary }, kept: "yes" },
  }).throwOnError();
  await stack.service.from("execution_logs").insert({
    user_id: ann.id,
    task_id: task,
    message: canary,
    metadata: { token: "t-canary" },
  }).throwOnError();
  const text = JSON.stringify(await get(`/?task_id=${task}`));
  assert.equal(JSON.parse(text).logs.length, 3);
  assert.ok(!text.includes("canary"), text);
  assert.ok(text.includes('"kept":"yes"'));
});

Deno.test("a message is cut at 4 KiB between characters, metadata at 8 KiB, and nothing is refused", async () => {
  const task = crypto.randomUUID();
  await post("/", log(task, "é".repeat(5000), { metadata: { big: "x".repeat(20_000) } }));
  const [line] = (await get(`/?task_id=${task}`)).logs;
  const bytes = new TextEncoder().encode(line.message).length;
  assert.ok(bytes <= 4096 && bytes > 4080, String(bytes));
  assert.ok(line.message.startsWith("éé") && line.message.endsWith("[truncated]"));
  assert.equal(line.metadata.truncated, true);
});

Deno.test("lines are found by level, agent, step, words and time", async () => {
  const task = crypto.randomUUID();
  const from = new Date(Date.now() - 1000).toISOString();
  await post("/", {
    logs: [
      log(task, "Fetched 12 mails", { step: "fetch" }),
      log(task, "Could not parse 100% of them", {
        step: "parse",
        level: "error",
        agent_type: "evaluator",
      }),
      log(task, "Done", { step: "end", level: "success" }),
    ],
  });
  const find = async (query: string) =>
    (await get(`/?task_id=${task}&${query}`)).logs.map((l: { step: string }) => l.step);
  assert.deepEqual(await find("level=error"), ["parse"]);
  assert.deepEqual(await find("agent_type=evaluator"), ["parse"]);
  assert.deepEqual(await find("step=fetch"), ["fetch"]);
  assert.deepEqual(await find(`q=${encodeURIComponent("100% OF")}`), ["parse"]);
  assert.deepEqual(await find("q=_"), []);
  assert.deepEqual(await find(`to=${from}`), []);
  assert.deepEqual(await find(`from=${from}&order=desc`), ["end", "parse", "fetch"]);
  const anywhere = await get(`/?level=error&from=${from}`);
  assert.ok(
    anywhere.logs.some((l: { task_id: string; step: string }) =>
      l.task_id === task && l.step === "parse"
    ),
  );
});

Deno.test("everything of a person pages newest first across tasks", async () => {
  const cara = await stack.newUser();
  for (const task of [crypto.randomUUID(), crypto.randomUUID()]) {
    await post("/", { logs: [1, 2, 3].map((n) => log(task, `${n}`)) }, cara);
  }
  const seqs: number[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page = await get(`/?limit=4${cursor && `&cursor=${cursor}`}`, cara);
    seqs.push(...page.logs.map((l: { seq: number }) => l.seq));
    cursor = page.next_cursor;
  }
  assert.equal(seqs.length, 6);
  assert.deepEqual(seqs, seqs.toSorted((a, b) => b - a));
});

Deno.test("a service names the user it acts for; a person may not name another", async () => {
  const task = crypto.randomUUID();
  await refused(await post("/", log(task, "x"), "secret"), 422, "user_id_required");
  assert.equal((await post("/", log(task, "x", { user_id: ben.id }), "secret")).status, 201);
  assert.equal((await get(`/?task_id=${task}`, ben)).logs.length, 1);
  assert.equal((await get(`/?task_id=${task}&user_id=${ben.id}`, "secret")).logs.length, 1);
  assert.equal((await get(`/?task_id=${task}`)).logs.length, 0);
  await refused(await post("/", log(task, "x", { user_id: ben.id })), 403, "not_your_user");
});

Deno.test("strangers, keys without a person and other people's tasks are refused", async () => {
  const task = crypto.randomUUID();
  assert.equal(
    (await stack.fetch(`${BASE}/`, { method: "POST", json: log(task, "x") })).status,
    401,
  );
  assert.equal((await stack.fetch(`${BASE}/stream?task_id=${task}`)).status, 401);
  const { task_id } = await (await post("/tasks", { description: "Mine" })).json();
  await refused(
    await patch(`/tasks/${task_id}`, { status: "failed" }, ben),
    404,
    "task_not_found",
  );
  assert.deepEqual((await get("/tasks", ben)).tasks, []);
});

Deno.test("what does not fit is refused with its field, never stored in part", async () => {
  const task = crypto.randomUUID();
  const bad = await refused(
    await post("/", { logs: [log(task, "good"), log(task, "bad", { level: "loud" })] }),
    422,
    "invalid_input",
  );
  assert.equal(bad.errors[0].pointer, "/logs/1/level");
  assert.equal((await get(`/?task_id=${task}`)).logs.length, 0);
  await refused(await post("/", { logs: [] }), 422, "invalid_input");
  await refused(
    await post("/", { logs: Array.from({ length: 501 }, () => log(task, "x")) }),
    422,
    "invalid_input",
  );
  await refused(await post("/", log(task, "")), 422, "invalid_input");
  await refused(await post("/", log("not-a-uuid", "x")), 422, "invalid_input");
  await refused(await post("/", log(task, "a\u0000b")), 422, "nul_character");
  await refused(await stack.fetch(`${BASE}/?cursor=x`, { as: ann }), 422, "invalid_cursor");
  await refused(await stack.fetch(`${BASE}/tasks?cursor=x`, { as: ann }), 422, "invalid_cursor");
  await refused(
    await stack.fetch(`${BASE}/stream?task_id=${task}&last_event_id=x`, { as: ann }),
    422,
    "invalid_last_event_id",
  );
  const wrong = await stack.fetch(`${BASE}/tasks`, { method: "DELETE", as: ann });
  await refused(wrong, 405, "method_not_allowed");
});

Deno.test("clients read their record as tables, and cannot write or reach another's", async () => {
  const task = crypto.randomUUID();
  await post("/", log(task, "seen"));
  const own = await ann.client.from("execution_logs").select("message").eq("task_id", task);
  assert.deepEqual(own.data, [{ message: "seen" }]);
  const other = await ben.client.from("execution_logs").select("message").eq("task_id", task);
  assert.deepEqual(other.data, []);
  const forged = await ann.client.from("execution_logs")
    .insert({ user_id: ann.id, task_id: task, message: "forged" });
  assert.ok(forged.error);
  const edited = await ann.client.from("execution_logs").update({ message: "edited" })
    .eq("task_id", task);
  assert.ok(edited.error);
});
