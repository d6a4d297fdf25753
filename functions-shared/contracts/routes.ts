/**
 * Every route of the six functions, with its contract: what OpenAPI is generated from. A test holds
 * this table against the routes that the functions really register.
 */

import { z } from "zod";
import * as find from "./find_patterns.ts";
import * as record from "./log_execution.ts";
import * as learn from "./learn_patterns.ts";
import * as run from "./run_workflow.ts";
import * as track from "./track_event.ts";
import * as vault from "./upsert_tokens.ts";

/** Who may call: a signed-in person, a server with the secret key, the schedule. */
export type Mode = "user" | "secret" | "cron";

/** One route. Paths are Hono's: `/:run_id/resume`. */
export interface Route {
  verb: "get" | "post" | "patch" | "delete";
  path: string;
  summary: string;
  modes: Mode[];
  body?: z.ZodType;
  query?: z.ZodObject;
  /** Status of success and its body; `text` and `stream` where it is not one JSON value. */
  answers: Record<number, z.ZodType | "text" | "json">;
  /** Answers a server-sent event stream, always or for `Accept: text/event-stream`. */
  streams?: true;
  /** Honours Idempotency-Key. */
  isIdempotent?: true;
}

const people: Mode[] = ["user", "secret"];
const id = z.uuid();
const nullableId = z.string().nullable();
const page = (name: string) =>
  z.object({ [name]: z.array(z.looseObject({ id })), next_cursor: nullableId });
const runs = { 200: run.RunView, 202: run.RunView };

/** The table, by function. */
export const ROUTES: Record<string, Route[]> = {
  "track-event": [
    {
      verb: "post",
      path: "/",
      summary: "Take one event or a batch, each exactly once",
      modes: ["user"],
      body: z.union([
        track.TrackBatch.extend({
          events: z.array(track.TrackedEvent).min(1).max(track.MAX_EVENTS),
        }),
        track.TrackedEvent,
      ]),
      answers: { 200: track.TrackReceipt },
      isIdempotent: true,
    },
  ],
  "learn-patterns": [
    {
      verb: "post",
      path: "/",
      summary: "Learn from new events: the caller's, or everybody's",
      modes: ["user", "secret", "cron"],
      body: learn.LearnRequest,
      answers: {
        200: z.object({
          users: z.int(),
          events: z.int(),
          learned: z.object({ struggle: z.int(), preference: z.int(), workflow_habit: z.int() }),
          retired: z.int(),
          more: z.boolean(),
        }),
      },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/next",
      summary: "What the person is likely to do next in a session",
      modes: ["user"],
      body: learn.NextRequest,
      answers: { 200: "json" },
    },
    {
      verb: "get",
      path: "/struggles",
      summary: "Where people struggle most, over all users, without names",
      modes: ["secret"],
      query: learn.StruggleQuery,
      answers: { 200: "json" },
    },
    {
      verb: "post",
      path: "/:pattern_id/status",
      summary: "The person's word on a pattern: keep, dismiss, neither",
      modes: ["user"],
      body: learn.StatusRequest,
      answers: { 200: z.object({ id, status: z.string() }) },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/:pattern_id/promote",
      summary: "Make a draft workflow and a behaviour pattern of a habit",
      modes: ["user"],
      body: learn.PromoteRequest,
      answers: {
        201: z.object({
          workflow_id: id,
          behavior_pattern_id: id,
          dry_run: z.object({
            sessions: z.int(),
            steps: z.int(),
            reproduced: z.int(),
            share: z.number().nullable(),
          }),
        }),
      },
      isIdempotent: true,
    },
  ],
  "find-patterns": [
    {
      verb: "post",
      path: "/",
      summary: "What worked before for something of the same meaning",
      modes: people,
      body: find.FindRequest,
      answers: { 200: find.FindResponse },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/record",
      summary: "Remember a procedure and how it ended",
      modes: people,
      body: find.RecordRequest,
      answers: { 201: find.RecordResponse },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/:id/feedback",
      summary: "Say how a recalled pattern turned out",
      modes: people,
      body: find.FeedbackRequest,
      answers: { 200: find.FeedbackResponse },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/embed",
      summary: "Embed what has no vector yet",
      modes: ["secret", "cron"],
      body: find.EmbedRequest,
      answers: { 200: find.EmbedResponse },
    },
  ],
  "run-workflow": [
    {
      verb: "post",
      path: "/",
      summary: "Start a run and wait for it, or stream it",
      modes: people,
      body: run.RunRequest,
      answers: runs,
      streams: true,
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/work",
      summary: "Advance due and abandoned runs",
      modes: ["cron", "secret"],
      body: run.WorkRequest,
      answers: { 200: run.WorkReport },
    },
    {
      verb: "post",
      path: "/workflows/validate",
      summary: "What is wrong with a graph",
      modes: people,
      body: run.ValidateRequest,
      answers: { 200: "json" },
    },
    {
      verb: "get",
      path: "/workflows/:id/diagram",
      summary: "A workflow as Mermaid text",
      modes: people,
      answers: { 200: "text" },
    },
    {
      verb: "get",
      path: "/:run_id/diagram",
      summary: "A run as Mermaid text, the path it took marked",
      modes: people,
      answers: { 200: "text" },
    },
    {
      verb: "get",
      path: "/:run_id",
      summary: "A run as it stands, or its events",
      modes: people,
      answers: runs,
      streams: true,
    },
    ...([
      ["resume", "Answer a waiting human step", run.ResumeRequest],
      ["signal", "Tell a run that something happened", run.SignalRequest],
      ["cancel", "Stop a run", run.CancelRequest],
      ["fork", "A new run that does a step again", run.ForkRequest],
    ] as const).map(([act, summary, body]): Route => ({
      verb: "post",
      path: `/:run_id/${act}`,
      summary,
      modes: people,
      body,
      answers: runs,
      streams: true,
      isIdempotent: true,
    })),
  ],
  "upsert-tokens": [
    {
      verb: "get",
      path: "/",
      summary: "Masked list of tokens and API keys",
      modes: ["user"],
      answers: { 200: vault.SecretList },
    },
    {
      verb: "post",
      path: "/",
      summary: "Store an OAuth token",
      modes: ["user"],
      body: vault.UpsertTokenRequest,
      answers: { 200: vault.TokenSummary },
      isIdempotent: true,
    },
    {
      verb: "post",
      path: "/api-keys",
      summary: "Store an API key",
      modes: ["user"],
      body: vault.UpsertApiKeyRequest,
      answers: { 200: vault.StoredApiKey },
      isIdempotent: true,
    },
    {
      verb: "delete",
      path: "/api-keys/:id",
      summary: "Destroy an API key",
      modes: ["user"],
      answers: { 200: vault.DeletedApiKey },
    },
    {
      verb: "delete",
      path: "/:provider",
      summary: "Disconnect a provider",
      modes: ["user"],
      answers: { 200: vault.DisconnectedToken },
    },
  ],
  "log-execution": [
    {
      verb: "post",
      path: "/",
      summary: "Write one line, or many together",
      modes: people,
      body: z.union([record.LogBatch, record.SingleLog]),
      answers: { 201: record.LogReceipt },
      isIdempotent: true,
    },
    {
      verb: "get",
      path: "/",
      summary: "Read lines, filtered and paged",
      modes: people,
      query: record.LogQuery,
      answers: {
        200: z.object({ logs: z.array(record.ExecutionLog), next_cursor: nullableId }),
      },
    },
    {
      verb: "get",
      path: "/stream",
      summary: "Follow a task's lines as they are written",
      modes: people,
      query: record.StreamQuery,
      answers: {},
      streams: true,
    },
    {
      verb: "post",
      path: "/tasks",
      summary: "Begin a task",
      modes: people,
      body: record.NewTask,
      answers: { 201: z.object({ task_id: id }) },
      isIdempotent: true,
    },
    {
      verb: "get",
      path: "/tasks",
      summary: "Tasks, newest first",
      modes: people,
      query: record.TaskQuery,
      answers: { 200: page("tasks") },
    },
    {
      verb: "patch",
      path: "/tasks/:id",
      summary: "Move a task on, or end it",
      modes: people,
      body: record.TaskChange,
      answers: { 200: "json" },
    },
    {
      verb: "post",
      path: "/documents",
      summary: "Record documents that were made",
      modes: people,
      body: z.union([record.DocumentBatch, record.SingleDocument]),
      answers: { 201: z.object({ documents: z.array(z.looseObject({ id })) }) },
      isIdempotent: true,
    },
    {
      verb: "get",
      path: "/documents",
      summary: "Documents of a task or of a type",
      modes: people,
      query: record.DocumentQuery,
      answers: { 200: page("documents") },
    },
    {
      verb: "get",
      path: "/statistics",
      summary: "Counts and durations by period",
      modes: people,
      query: record.StatisticsQuery,
      answers: { 200: "json" },
    },
  ],
};
