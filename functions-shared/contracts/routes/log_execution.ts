/** Routes of `log-execution`. */

import { z } from "zod";
import * as record from "../log_execution.ts";
import { PEOPLE, type Route } from "./route.ts";

const id = z.uuid();
const nullableId = z.string().nullable();
const page = (name: string) =>
  z.object({ [name]: z.array(z.looseObject({ id })), next_cursor: nullableId });

/** Every route of the function, with its contract. */
export const LOG_EXECUTION_ROUTES: Route[] = [
  {
    verb: "post",
    path: "/",
    summary: "Write one line, or many together",
    modes: PEOPLE,
    body: z.union([record.LogBatch, record.SingleLog]),
    answers: { 201: record.LogReceipt },
    isIdempotent: true,
  },
  {
    verb: "get",
    path: "/",
    summary: "Read lines, filtered and paged",
    modes: PEOPLE,
    query: record.LogQuery,
    answers: {
      200: z.object({ logs: z.array(record.ExecutionLog), next_cursor: nullableId }),
    },
  },
  {
    verb: "get",
    path: "/stream",
    summary: "Follow a task's lines as they are written",
    modes: PEOPLE,
    query: record.StreamQuery,
    answers: {},
    streams: true,
  },
  {
    verb: "post",
    path: "/tasks",
    summary: "Begin a task",
    modes: PEOPLE,
    body: record.NewTask,
    answers: { 201: z.object({ task_id: id }) },
    isIdempotent: true,
  },
  {
    verb: "get",
    path: "/tasks",
    summary: "Tasks, newest first",
    modes: PEOPLE,
    query: record.TaskQuery,
    answers: { 200: page("tasks") },
  },
  {
    verb: "patch",
    path: "/tasks/:id",
    summary: "Move a task on, or end it",
    modes: PEOPLE,
    body: record.TaskChange,
    answers: { 200: "json" },
  },
  {
    verb: "post",
    path: "/documents",
    summary: "Record documents that were made",
    modes: PEOPLE,
    body: z.union([record.DocumentBatch, record.SingleDocument]),
    answers: { 201: z.object({ documents: z.array(z.looseObject({ id })) }) },
    isIdempotent: true,
  },
  {
    verb: "get",
    path: "/documents",
    summary: "Documents of a task or of a type",
    modes: PEOPLE,
    query: record.DocumentQuery,
    answers: { 200: page("documents") },
  },
  {
    verb: "get",
    path: "/statistics",
    summary: "Counts and durations by period",
    modes: PEOPLE,
    query: record.StatisticsQuery,
    answers: { 200: "json" },
  },
];
