/**
 * Tools that are part of Mira: `internal:<name>`.
 *
 * @module
 */
import { httpRequest } from "./https_tool.ts";
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

/** The handlers by the name after `internal:`. */
export const INTERNAL: Record<string, ToolHandler> = {
  compose,
  emit_action: emitAction,
  log,
  http_request: httpRequest,
};
