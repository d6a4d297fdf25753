/** Pages of the record: logs, tasks and documents. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { z } from "zod";
import type {
  DocumentQuery,
  ExecutionLog,
  LogQuery,
  TaskQuery,
} from "../contracts/log_execution.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";

type Query<S extends z.ZodType> = Omit<z.infer<S>, "user_id">;
type Admin = SupabaseClient<Database>;
interface Dated {
  id: string;
  created_at: string;
}

/** Lines of logs, in the order of their numbers for one task, of time otherwise. */
export async function readLogs(
  admin: Admin,
  userId: string,
  query: Query<typeof LogQuery>,
): Promise<{ logs: ExecutionLog[]; next_cursor: string | null }> {
  const order = query.order ?? (query.task_id === undefined ? "desc" : "asc");
  const cursor = read(query.cursor, /^\d{1,15}$/);
  const rows = await rpc<(ExecutionLog & { user_id: string; is_keyed: boolean })[]>(
    admin,
    "get_execution_logs_filtered",
    {
      p_user_id: userId,
      p_task_id: query.task_id ?? null,
      p_level: query.level ?? null,
      p_agent_type: query.agent_type ?? null,
      p_step: query.step ?? null,
      p_search: query.q ?? null,
      p_from: query.from ?? null,
      p_to: query.to ?? null,
      p_before_seq: order === "desc" && cursor.of !== null ? Number(cursor.of) : null,
      p_after_seq: order === "asc" ? Number(cursor.of ?? 0) : null,
      p_cursor_at: cursor.at,
      p_limit: query.limit,
    },
  );
  const logs = rows.map(({ user_id: _user, is_keyed: _keyed, ...log }) => log);
  return { logs, next_cursor: nextCursor(logs, query, (log) => log.seq) };
}

/** Tasks, newest first. */
export async function readTasks(
  admin: Admin,
  userId: string,
  query: Query<typeof TaskQuery>,
): Promise<{ tasks: Dated[]; next_cursor: string | null }> {
  const tasks = await rpc<Dated[]>(admin, "get_task_history_filtered", {
    p_user_id: userId,
    p_status: query.status ?? null,
    p_service: query.service ?? null,
    p_search: query.q ?? null,
    p_from: query.from ?? null,
    p_to: query.to ?? null,
    ...before(query.cursor),
    p_limit: query.limit,
  });
  return { tasks, next_cursor: nextCursor(tasks, query, (task) => task.id) };
}

/**
 * Documents, newest first.
 *
 * @throws {Problem} 422 `task_or_type_required` when neither is named.
 */
export async function readDocuments(
  admin: Admin,
  userId: string,
  query: Query<typeof DocumentQuery>,
): Promise<{ documents: Dated[]; next_cursor: string | null }> {
  if ((query.task_id === undefined) === (query.document_type === undefined)) {
    throw new Problem(422, "task_or_type_required", "Ask by task_id or by document_type.");
  }
  const page = { p_user_id: userId, ...before(query.cursor), p_limit: query.limit };
  const documents = query.task_id === undefined
    ? await rpc<Dated[]>(admin, "get_documents_by_type", {
      ...page,
      p_document_type: query.document_type!,
      p_from: query.from ?? null,
      p_to: query.to ?? null,
    })
    : await rpc<Dated[]>(admin, "get_documents_by_task", { ...page, p_task_id: query.task_id });
  return { documents, next_cursor: nextCursor(documents, query, (document) => document.id) };
}

/** Where the next page begins: after this page's last row, named by its time and by what tells it from others. */
function nextCursor<Row extends { created_at: string }>(
  rows: Row[],
  query: { limit: number },
  nameOf: (row: Row) => string | number,
): string | null {
  const last = rows.at(-1);
  if (last === undefined || rows.length < query.limit) return null;
  return encodeBase64Url(`${last.created_at}~${nameOf(last)}`);
}

/** ASCII only. */
function encodeBase64Url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function read(cursor: string | undefined, name: RegExp): { at: string | null; of: string | null } {
  if (cursor === undefined) return { at: null, of: null };
  let text = "";
  try {
    text = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    // falls through to the refusal below
  }
  const parts = /^(\d{4}-[\d-]+[T ][\d:.]+(?:Z|[+-][\d:]+))~(.+)$/.exec(text);
  if (parts === null || !name.test(parts[2]!)) {
    throw new Problem(422, "invalid_cursor", "cursor is the next_cursor of a page before.");
  }
  return { at: parts[1]!, of: parts[2]! };
}

function before(
  cursor: string | undefined,
): { p_before: string | null; p_before_id: string | null } {
  const { at, of } = read(cursor, /^[0-9a-f-]{36}$/);
  return { p_before: at, p_before_id: of };
}
