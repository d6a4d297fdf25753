/**
 * What an HTTP service answered, as a tool's result.
 *
 * @module
 */
import { retryAfter } from "../../ai/chat_failure.ts";
import { storableFault } from "../../workflow/storable_fault.ts";
import { ToolError } from "./tool.ts";

/** Status and body; the body is parsed when it says that it is JSON. */
export interface HttpResult {
  status: number;
  body: unknown;
}

/**
 * The result of a call that succeeded.
 *
 * @throws {ToolError} `http_<status>` for 4xx and 5xx; 408, 425, 429 and 5xx are retryable and keep
 *   the service's `Retry-After`. The body of a failure is not repeated.
 */
export function readReply(who: string, status: number, headers: Headers, text: string): HttpResult {
  if (status >= 400) {
    const after = retryAfter(headers);
    throw new ToolError(`http_${status}`, `${who} answered with ${status}.`, {
      retryable: status >= 500 || [408, 425, 429].includes(status),
      ...(after === undefined ? {} : { retryAfterMs: after }),
    });
  }
  if (!/\bjson\b/i.test(headers.get("content-type") ?? "")) return { status, body: text };
  let body: unknown;
  try {
    body = text === "" ? null : JSON.parse(text);
  } catch {
    throw new ToolError("response_invalid", `${who} answered with broken JSON.`);
  }
  const fault = storableFault(body);
  if (fault) throw new ToolError("response_invalid", `${who} answered with JSON that ${fault}.`);
  return { status, body };
}
