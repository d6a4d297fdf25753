/**
 * Tools that are part of Mira: `internal:<name>`.
 *
 * @module
 */
import { rpc } from "../../db/rpc.ts";
import { uuidFrom } from "../../http/uuids.ts";
import { httpRequest } from "./https_tool.ts";
import { RECALL_TOOLS } from "./recall_tools.ts";
import type { ToolHandler } from "./tool.ts";

/** Gives back its arguments. */
const compose: ToolHandler = (args) => Promise.resolve(args);

/**
 * Records an action of a promoted habit as a message of the run, which the app follows (table or
 * stream) and carries out. It is no behavioural event: what Mira does must not teach Mira.
 */
const emitAction: ToolHandler = (args, context) => {
  context.messages.push({
    agent_name: context.node,
    message_type: "tool_call",
    content: String(args["action"]),
    context_data: { ...args, key: context.key },
  });
  return Promise.resolve({ emitted: true, ...args });
};

/** Writes a line of the run's execution log. */
const log: ToolHandler = (args, context) => {
  const { message, level = "info", metadata } = args as {
    message: string;
    level?: "info" | "success" | "warning" | "error";
    metadata?: Record<string, unknown>;
  };
  context.logs.push({ level, message, ...(metadata ? { metadata } : {}) });
  return Promise.resolve({ logged: true });
};

/** Keeps a document among those of the run. The id comes from the key, so a repeat finds the first. */
const saveDocument: ToolHandler = async (args, context) => {
  const { document_type, title, url, service, external_id, metadata } = args as {
    [name: string]: string | undefined;
    document_type: string;
    title: string;
  };
  const id = await rpc<string>(context.admin, "insert_generated_document", {
    p_document_type: document_type,
    p_title: title,
    p_url: url ?? null,
    p_service: service ?? null,
    p_external_id: external_id ?? null,
    p_metadata: metadata ?? {},
    p_id: await uuidFrom(context.key),
    p_task_id: context.runId,
    p_user_id: context.userId,
  });
  return { document_id: id };
};

/** The handlers by the name after `internal:`. */
export const INTERNAL: Record<string, ToolHandler> = {
  compose,
  emit_action: emitAction,
  log,
  save_document: saveDocument,
  http_request: httpRequest,
  ...RECALL_TOOLS,
};
