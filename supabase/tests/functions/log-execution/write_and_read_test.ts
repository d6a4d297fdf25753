import assert from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

const stack = await startStack();
const [ann, ben] = await Promise.all([stack.newUser(), stack.newUser()]);
const BASE = "/functions/v1/log-execution";

const post = (path: string, json: unknown, as: TestUser | "secret" = ann, headers = {}) =>
  stack.fetch(BASE + path, { method: "POST", as, json, headers });
const patch = (path: string, json: unknown, as: TestUser | "secret" = ann) =>
  stack.fetch(BASE + path, { method: "PATCH", as, json });
const get = async (path: string, as: TestUser | "secret" = ann) => {
  const response = await stack.fetch(BASE + path, { as });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
};
const refused = async (response: Response, status: number, code: string) => {
  const body = await response.json();
  assert.equal(response.status, status, JSON.stringify(body));
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(body.code, code);
  return body;
};
const log = (task_id: string, message: string, more = {}) => ({
  task_id,
  agent_type: "worker",
  level: "info",
  message,
  ...more,
});

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

Deno.test("a task is started, moved on and finished with outputs, services and duration", async () => {
  const created = await post("/tasks", {
    description: "Write the weekly report",
    services_used: ["gmail"],
  });
  assert.equal(created.status, 201);
  const { task_id } = await created.json();
  const waiting = await (await patch(`/tasks/${task_id}`, { status: "waiting" })).json();
  assert.equal(waiting.status, "waiting");
  const done = await (await patch(`/tasks/${task_id}`, {
    status: "completed",
    output_summary: "Report written",
    result: { pages: 3 },
    output_links: ["https://docs.example.com/d/1"],
    services_used: ["drive", "gmail"],
  })).json();
  assert.equal(done.status, "completed");
  assert.deepEqual(done.services_used, ["drive", "gmail"]);
  assert.deepEqual(done.result, { pages: 3 });
  assert.deepEqual(done.output_links, ["https://docs.example.com/d/1"]);
  assert.ok(done.duration_ms >= 0 && done.completed_at !== null);
  await refused(
    await patch(`/tasks/${task_id}`, { status: "running" }),
    409,
    "task_transition_refused",
  );
  const found = await get("/tasks?status=completed&service=drive&q=WEEKLY");
  assert.deepEqual(found.tasks.map((t: { id: string }) => t.id), [task_id]);
});

Deno.test("the same task id starts one task, and tasks page by cursor", async () => {
  const dora = await stack.newUser();
  const ids = Array.from({ length: 5 }, () => crypto.randomUUID());
  for (const task_id of [...ids, ...ids]) {
    await post("/tasks", { task_id, description: "again" }, dora);
  }
  const read: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page = await get(`/tasks?limit=2${cursor && `&cursor=${cursor}`}`, dora);
    read.push(...page.tasks.map((t: { id: string }) => t.id));
    cursor = page.next_cursor;
  }
  assert.deepEqual(read, ids.toReversed());
});

Deno.test("documents come one or many, once per external id, and are read by task and type", async () => {
  const { task_id } = await (await post("/tasks", { description: "Documents" })).json();
  const one = await post("/documents", {
    task_id,
    document_type: "google_doc",
    title: "Report",
    url: "https://docs.example.com/1",
    external_id: "g1",
  });
  assert.equal(one.status, 201);
  const [doc] = (await one.json()).documents;
  assert.equal(doc.document_type, "doc");
  const many = await (await post("/documents", {
    task_id,
    documents: [
      { document_type: "email", title: "Mail", url: "mailto:a@example.com" },
      { document_type: "google_doc", title: "Report again", external_id: "g1" },
      { document_type: "calendar", title: "Meeting" },
    ],
  })).json();
  assert.deepEqual(many.documents.map((d: { document_type: string }) => d.document_type), [
    "email",
    "doc",
    "calendar_event",
  ]);
  assert.equal(many.documents[1].id, doc.id);
  assert.equal((await get(`/documents?task_id=${task_id}`)).documents.length, 3);
  assert.deepEqual(
    (await get("/documents?document_type=doc")).documents.map((d: { id: string }) => d.id),
    [doc.id],
  );
  await refused(
    await post("/documents", {
      document_type: "doc",
      title: "x",
      task_id: crypto.randomUUID(),
    }),
    404,
    "task_not_found",
  );
  await refused(
    await post("/documents", { document_type: "doc", title: "x", url: "javascript:alert(1)" }),
    422,
    "invalid_input",
  );
  await refused(
    await post("/documents", { document_type: "song", title: "x" }),
    422,
    "invalid_document_type",
  );
  await refused(await stack.fetch(`${BASE}/documents`, { as: ann }), 422, "task_or_type_required");
});

Deno.test("statistics count tasks, services, documents, agents and levels by period", async () => {
  const eve = await stack.newUser();
  const { task_id } = await (await post("/tasks", {
    description: "Counted",
    services_used: ["gmail"],
  }, eve)).json();
  await post("/", { logs: [log(task_id, "a"), log(task_id, "b", { level: "error" })] }, eve);
  await post("/documents", { task_id, document_type: "sheet", title: "Sheet" }, eve);
  await patch(`/tasks/${task_id}`, { status: "failed", duration_ms: 1500 }, eve);
  for (const period of ["all", "day"]) {
    const s = await get(`/statistics?period=${period}`, eve);
    assert.equal(s.tasks.length, 1);
    const [tasks] = s.tasks;
    assert.deepEqual(
      [tasks.total, tasks.failed, Number(tasks.success_rate), Number(tasks.avg_duration_ms)],
      [1, 1, 0, 1500],
    );
    assert.deepEqual(tasks.services, { gmail: 1 });
    assert.deepEqual(s.documents.map((d: { document_type: string }) => d.document_type), ["sheet"]);
    assert.deepEqual(
      s.logs.map((l: { level: string; total: number }) => [l.level, l.total]).toSorted(),
      [["error", 1], ["info", 1]],
    );
  }
  await refused(
    await stack.fetch(`${BASE}/statistics?from=2020-01-01T00:00:00Z`, { as: eve }),
    422,
    "invalid_range",
  );
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

Deno.test({ name: "the stack closes", fn: () => stack.close(), sanitizeResources: false });
