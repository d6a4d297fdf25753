import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import {
  DocumentBatch,
  DocumentQuery,
  LogBatch,
  LogQuery,
  NewTask,
  SingleDocument,
  SingleLog,
  StatisticsQuery,
  StreamQuery,
  TaskChange,
  TaskQuery,
} from "../../../functions-shared/contracts/log_execution.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import {
  readBody,
  readJson,
  readQuery,
  uuidParam,
  validate,
} from "../../../functions-shared/http/input.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import { eventStream } from "../../../functions-shared/http/sse.ts";
import { followerOf, seqOf, streamEvents } from "../../../functions-shared/record/stream_logs.ts";
import {
  readDocuments,
  readLogs,
  readTasks,
} from "../../../functions-shared/record/read_record.ts";
import { redactFields } from "../../../functions-shared/record/redact_fields.ts";
import { repeatableIds } from "../../../functions-shared/record/repeatable_ids.ts";
import { readStatistics } from "../../../functions-shared/record/statistics.ts";
import { writeLogs } from "../../../functions-shared/record/write_logs.ts";

const app = miraFunction("log-execution", { maxBodyBytes: 512 * 1024 });
const people = allow("user", "secret");
const writing = limit("log-execution", 600);
const reading = limit("log-execution-read", 600);

app.post("/", people, writing, idempotent(), async (c) => {
  const body = await readJson(c);
  const isBatch = typeof body === "object" && body !== null && "logs" in body;
  const { user_id, logs } = isBatch ? validate(LogBatch, body) : asBatch(validate(SingleLog, body));
  const receipt = await writeLogs(
    c.var.admin,
    subjectUser(c.var.caller, user_id),
    repeatableIds(logs, c.var.effectId),
  );
  followerOf(c.var.admin, c.var.log).poke();
  return c.json(isBatch ? receipt : { ...receipt.logs[0], ...receipt }, 201);
});

app.get("/", people, reading, async (c) => {
  const { user_id, ...query } = readQuery(c, LogQuery);
  return c.json(await readLogs(c.var.admin, subjectUser(c.var.caller, user_id), query));
});

app.get("/stream", people, limit("log-execution-stream", 3000), (c) => {
  const { user_id, task_id } = readQuery(c, StreamQuery);
  const watch = { user_id: subjectUser(c.var.caller, user_id), task_id };
  seqOf(c.req.header("last-event-id") ?? c.req.query("last_event_id")); // refused before it begins
  const follower = followerOf(c.var.admin, c.var.log);
  return eventStream(
    c,
    ({ lastEventId, signal }) => streamEvents(follower, watch, lastEventId, signal),
  );
});

app.post("/tasks", people, writing, idempotent(), async (c) => {
  const body = await readBody(c, NewTask);
  const { user_id, ...task } = redactFields(body, ["description", "metadata"]);
  const id = await rpc<string>(c.var.admin, "insert_task_history", {
    p_user_id: subjectUser(c.var.caller, user_id),
    p_task_id: task.task_id ?? c.var.effectId ?? null,
    p_description: task.description,
    p_status: task.status,
    p_services_used: task.services_used ?? [],
    p_execution_id: task.execution_id ?? null,
    p_metadata: task.metadata ?? {},
  });
  return c.json({ task_id: id }, 201);
});

app.get("/tasks", people, reading, async (c) => {
  const { user_id, ...query } = readQuery(c, TaskQuery);
  return c.json(await readTasks(c.var.admin, subjectUser(c.var.caller, user_id), query));
});

app.patch("/tasks/:id", people, writing, async (c) => {
  const p_task_id = uuidParam(c, "id");
  const body = await readBody(c, TaskChange);
  const { user_id, ...change } = redactFields(body, ["output_summary", "result", "error_message"]);
  const task = await rpc(c.var.admin, "update_task_history_status", {
    p_user_id: subjectUser(c.var.caller, user_id),
    p_task_id,
    p_status: change.status ?? null,
    p_output_summary: change.output_summary ?? null,
    p_result: change.result ?? null,
    p_output_links: change.output_links ?? null,
    p_services_used: change.services_used ?? null,
    p_error_message: change.error_message ?? null,
    p_duration_ms: change.duration_ms ?? null,
  });
  followerOf(c.var.admin, c.var.log).poke();
  return c.json(task);
});

app.post("/documents", people, writing, idempotent(), async (c) => {
  const body = await readJson(c);
  const isBatch = typeof body === "object" && body !== null && "documents" in body;
  const { user_id, task_id, documents } = isBatch
    ? validate(DocumentBatch, body)
    : asDocuments(validate(SingleDocument, body));
  const stored = await rpc<unknown[]>(c.var.admin, "batch_insert_generated_documents", {
    p_user_id: subjectUser(c.var.caller, user_id),
    p_task_id: task_id ?? null,
    p_documents: repeatableIds(documents, c.var.effectId)
      .map((document) => redactFields(document, ["title", "url", "metadata"])),
  });
  return c.json({ documents: stored }, 201);
});

app.get("/documents", people, reading, async (c) => {
  const { user_id, ...query } = readQuery(c, DocumentQuery);
  return c.json(await readDocuments(c.var.admin, subjectUser(c.var.caller, user_id), query));
});

app.get("/statistics", people, reading, async (c) => {
  const { user_id, ...query } = readQuery(c, StatisticsQuery);
  return c.json(await readStatistics(c.var.admin, subjectUser(c.var.caller, user_id), query));
});

/** A bare line is a batch of one. */
function asBatch<T extends { user_id?: string | undefined }>({ user_id, ...log }: T) {
  return { user_id, logs: [log] };
}

/** A bare document is a batch of one. */
function asDocuments<T extends { user_id?: string | undefined }>({ user_id, ...document }: T) {
  return { user_id, task_id: undefined, documents: [document] };
}

export default { fetch: app.fetch };
