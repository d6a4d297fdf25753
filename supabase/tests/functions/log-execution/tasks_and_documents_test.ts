/** Tasks, the documents they leave, and the statistics of both. */

import assert from "node:assert/strict";
import { ann, BASE, get, log, patch, post, refused, stack } from "./record_stack.ts";

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
