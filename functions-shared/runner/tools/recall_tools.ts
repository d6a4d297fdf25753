/**
 * Tools that remember and recall: `internal:find_patterns` and its kin.
 *
 * @module
 */
import type { z } from "zod";
import { FindRequest, RecordRequest } from "../../contracts/find_patterns.ts";
import { problemFromSql } from "../../db/problem_from_sql.ts";
import { ANSWER_WITHIN_MS, rpc } from "../../db/rpc.ts";
import { uuidFrom } from "../../http/uuids.ts";
import { createLog } from "../../observe/log.ts";
import { redact } from "../../observe/redact.ts";
import { findPatterns as find } from "../../recall/find_patterns.ts";
import { recordPattern as record } from "../../recall/record_pattern.ts";
import { type ToolContext, ToolError, type ToolHandler } from "./tool.ts";

/** What worked before, and what to avoid. A use is counted once per step, however often it is done. */
const findPatterns: ToolHandler = async (args, context) => {
  const request = read(FindRequest, { ...args, include: ["behavior_patterns"] });
  const found = await search(context, request);
  return { patterns: found.patterns, avoid: found.avoid };
};

/** Notes by meaning. */
const recallMemories: ToolHandler = async (args, context) => {
  const request = read(FindRequest, { ...args, include: ["memories"] });
  const { patterns } = await search(context, request);
  return {
    memories: patterns.map(({ id, trigger, similarity }) => ({ id, content: trigger, similarity })),
  };
};

/** The arguments as the contract of find-patterns reads them, which is stricter than a tool's schema. */
function read<S extends z.ZodType>(contract: S, args: unknown): z.output<S> {
  const { data, error } = contract.safeParse(args);
  if (!error) return data;
  const [issue] = error.issues;
  const where = issue?.path.join("/") ?? "";
  throw new ToolError("arguments_invalid", `The arguments do not fit: /${where} ${issue?.message}`);
}

async function search(context: ToolContext, request: FindRequest) {
  const found = await find(context.admin, context.userId, await uuidFrom(context.key), request);
  if (found.patterns.length > 0) await rpc(context.admin, "mira_count_recalls", {});
  return found;
}

/** Records what was done and how it ended, once per step; what means and does the same is joined. */
const recordPattern: ToolHandler = async (args, context) => {
  const log = createLog({ run_id: context.runId });
  const request = read(RecordRequest, args);
  return await record(context.admin, context.userId, request, log, await uuidFrom(context.key));
};

/** Keeps a note, without its secrets. The id comes from the key, so a repeat finds the first. */
const remember: ToolHandler = async (args, context) => {
  const { content, type = "note", metadata = {} } = args as {
    content: string;
    type?: string;
    metadata?: Record<string, never>;
  };
  const id = await uuidFrom(context.key);
  const { error } = await context.admin.from("memories").upsert({
    id,
    user_id: context.userId,
    type,
    content: redact(content) as string,
    metadata: redact(metadata) as Record<string, never>,
  }, { onConflict: "id", ignoreDuplicates: true }).abortSignal(
    AbortSignal.timeout(ANSWER_WITHIN_MS),
  );
  if (error) {
    const { code, message, status } = problemFromSql(error);
    throw new ToolError(code, message, { retryable: status >= 500 });
  }
  return { memory_id: id };
};

/** The handlers by the name after `internal:`. */
export const RECALL_TOOLS: Record<string, ToolHandler> = {
  find_patterns: findPatterns,
  record_pattern: recordPattern,
  remember,
  recall_memories: recallMemories,
};
