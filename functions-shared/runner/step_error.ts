/**
 * Anything thrown while a step is done, as the engine records it.
 *
 * @module
 */
import { ChatError } from "../ai/chat_error.ts";
import { Problem } from "../http/problem.ts";
import { TemplateError } from "../workflow/template.ts";
import { SchemaError } from "../workflow/json_schema.ts";
import type { StepError } from "./engine.ts";
import { ToolError } from "./tools/tool.ts";

/**
 * The step's error. Only what this code base says of itself is repeated: an unknown exception may
 * carry anything, so it becomes `step_failed` and its text goes to `unknown` for the server's log.
 */
export function stepError(error: unknown, unknown: (cause: unknown) => void = () => {}): StepError {
  if (error instanceof ChatError) {
    return timed(error.code, error.message, error.retryable, error.retryAfterMs);
  }
  if (error instanceof ToolError) {
    const { retryable = false, retryAfterMs } = error.options;
    return timed(error.code, error.message, retryable, retryAfterMs);
  }
  if (error instanceof SchemaError) {
    const where = error.pointer || "/";
    return timed(
      "schema_invalid",
      `The node's schema cannot be used at ${where}: ${error.message}`,
      false,
    );
  }
  if (error instanceof TemplateError) return timed(error.code, error.message, false);
  if (error instanceof Problem) {
    const passing = error.status >= 500 && !error.code.endsWith("not_configured");
    return timed(error.code, error.message, passing);
  }
  unknown(error);
  return timed("step_failed", "The step failed for a reason that the server's log holds.", true);
}

/** A day: a service that asks for more, or miscounts, must not park a run for good. */
const LONGEST_WAIT_MS = 86_400_000;

function timed(code: string, message: string, retryable: boolean, after?: number): StepError {
  return {
    code,
    message,
    retryable,
    ...(after === undefined
      ? {}
      : { retry_after_ms: Math.min(Math.round(after), LONGEST_WAIT_MS) }),
  };
}
