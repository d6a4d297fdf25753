/** log-execution: what agents may record about their work, and what people read back. */

import { z } from "zod";

/** Levels of a log line, as seed 004 names them. */
export const LOG_LEVELS = ["info", "success", "error", "warning"] as const;

/** Statuses of a task; the last three are its ends. */
export const TASK_STATUSES = [
  "pending",
  "running",
  "waiting",
  "completed",
  "failed",
  "cancelled",
] as const;

/** Most log lines in one batch. */
export const MAX_LOGS = 500;

/** Most documents in one batch. */
export const MAX_DOCUMENTS = 200;

const id = z.uuid().toLowerCase();
const text = (max: number) => z.string().trim().min(1).max(max);
const time = z.iso.datetime({ offset: true });
const metadata = z.record(z.string().max(200), z.json());
const services = z.array(text(64)).max(50);
/** Whom a service acts for; people leave it out. */
const user_id = id.optional();

/** One line of a task's log. */
export const LogEntry = z.strictObject({
  /** Chosen by writers that retry: the same id is stored once. */
  id: id.optional(),
  task_id: id,
  /** The step the line belongs to, by name or number. */
  step: z.union([text(200), z.int().transform(String)]).optional(),
  /** planner, worker, evaluator, or any other role. */
  agent_type: text(64).default("worker"),
  level: z.enum(LOG_LEVELS).default("info"),
  message: z.string().min(1).max(65_536),
  metadata: metadata.optional(),
});

/** `POST /`, many lines at once: stored together or not at all, numbered in this order. */
export const LogBatch = z.strictObject({ logs: z.array(LogEntry).min(1).max(MAX_LOGS), user_id });

/** `POST /`, one line. */
export const SingleLog = LogEntry.extend({ user_id });

/** Receipt: one `{id, seq}` for each line, in order; `seq` of a repeated line is the first one's. */
export const LogReceipt = z.object({
  accepted: z.int(),
  duplicates: z.int(),
  logs: z.array(z.object({ id: z.string(), seq: z.int() })),
});

/** A stored line, as reads and streams give it. */
export const ExecutionLog = z.object({
  seq: z.int(),
  id: z.string(),
  task_id: z.string(),
  level: z.enum(LOG_LEVELS),
  agent_type: z.string(),
  step: z.string().nullable(),
  message: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  created_at: z.string(),
});

/** `POST /tasks`. */
export const NewTask = z.strictObject({
  /** The run's id when a run does it; made when absent. */
  task_id: id.optional(),
  /** What was asked for, in words. */
  description: z.string().trim().min(1).max(8192),
  status: z.enum(TASK_STATUSES).default("running"),
  services_used: services.optional(),
  /** The run that does the task. */
  execution_id: id.optional(),
  metadata: metadata.optional(),
  user_id,
});

/** `PATCH /tasks/:id`. Services add up; duration is measured by the database unless given. */
export const TaskChange = z.strictObject({
  status: z.enum(TASK_STATUSES).optional(),
  output_summary: z.string().max(65_536).optional(),
  result: z.json().optional(),
  output_links: z.array(z.url().max(4096)).max(100).optional(),
  services_used: services.optional(),
  error_message: z.string().max(65_536).optional(),
  /** Milliseconds. */
  duration_ms: z.int().min(0).optional(),
  user_id,
});

/** A document, sheet, email, event or file that a task made. */
export const NewDocument = z.strictObject({
  id: id.optional(),
  task_id: id.optional(),
  /** doc, sheet, slide, form, email, calendar_event, file, other; `google_doc` and the like too. */
  document_type: text(64),
  title: text(1024),
  /** https, http or mailto. */
  url: z.string().max(4096).regex(/^(https?:\/\/|mailto:)/).optional(),
  /** Where it lives: google_docs, gmail, … */
  service: text(64).optional(),
  /** Its id there: the same type and id is stored once. */
  external_id: text(512).optional(),
  metadata: metadata.optional(),
});

/** `POST /documents`, one. */
export const SingleDocument = NewDocument.extend({ user_id });

/** `POST /documents`, many; `task_id` is for those that name none. */
export const DocumentBatch = z.strictObject({
  documents: z.array(NewDocument).min(1).max(MAX_DOCUMENTS),
  task_id: id.optional(),
  user_id,
});

const limit = z.coerce.number().int().min(1).max(500);
const range = { from: time.optional(), to: time.optional() };
const pageCursor = z.string().max(200).optional();

/** `GET /`: lines by task, level, agent, step, words and time. */
export const LogQuery = z.strictObject({
  task_id: id.optional(),
  level: z.enum(LOG_LEVELS).optional(),
  agent_type: text(64).optional(),
  step: text(200).optional(),
  /** Words to find in the message, in any case. */
  q: text(200).optional(),
  ...range,
  /** Oldest first for one task, newest first otherwise, unless said. */
  order: z.enum(["asc", "desc"]).optional(),
  /** `next_cursor` of the page before. */
  cursor: pageCursor,
  limit: limit.default(100),
  user_id,
});

/** `GET /tasks`: newest first. */
export const TaskQuery = z.strictObject({
  status: z.enum(TASK_STATUSES).optional(),
  service: text(64).optional(),
  q: text(200).optional(),
  ...range,
  cursor: pageCursor,
  limit: limit.default(50),
  user_id,
});

/** `GET /documents`: newest first; by task or by type. */
export const DocumentQuery = z.strictObject({
  task_id: id.optional(),
  document_type: text(64).optional(),
  ...range,
  cursor: pageCursor,
  limit: limit.default(100),
  user_id,
});

/** `GET /stream`: `Last-Event-ID` (header or `last_event_id`) is the last `seq` that was seen. */
export const StreamQuery = z.strictObject({
  task_id: id,
  last_event_id: z.string().max(20).optional(),
  user_id,
});

/** `GET /statistics`: the last 30 days unless said, at most 366. */
export const StatisticsQuery = z.strictObject({
  ...range,
  period: z.enum(["hour", "day", "week", "month", "all"]).default("all"),
  user_id,
});

export type LogEntry = z.infer<typeof LogEntry>;
export type LogReceipt = z.infer<typeof LogReceipt>;
export type ExecutionLog = z.infer<typeof ExecutionLog>;
export type NewTask = z.infer<typeof NewTask>;
export type TaskChange = z.infer<typeof TaskChange>;
export type NewDocument = z.infer<typeof NewDocument>;
export type LogQuery = z.infer<typeof LogQuery>;
