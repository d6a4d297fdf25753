/**
 * Failures of a model service in our words.
 *
 * @module
 */
import { ChatError } from "./chat_error.ts";
import { hideKey } from "./hide_key.ts";

/** A refusal of a guard around the connection, known by its shape. */
interface Refused {
  name?: string;
  retryable?: boolean;
  message?: string;
}

/**
 * The {@link ChatError} that a thrown value stands for.
 *
 * @param key the API key, which services like to quote back; it is cut out of every detail
 */
export function asChatError(
  error: unknown,
  signal: AbortSignal | undefined,
  key: string,
): ChatError {
  if (error instanceof ChatError) return error;
  if (signal?.aborted) {
    return new ChatError("llm_timed_out", "The model did not answer within the time of this step.");
  }
  const { status, headers, code, message } = error as {
    status?: number;
    headers?: Headers;
    code?: string;
    message?: string;
  };
  const said = clean(message ?? "no reason given", key);
  if (status === undefined) {
    // a guard around the connection refused (before the answer, or within a streamed one): asking
    // again would not change its mind
    const { name, retryable, message: why } = [error, (error as { cause?: unknown }).cause]
      .find((one) => one instanceof Error && one.name === "GuardError") as Refused ?? {};
    if (name !== undefined && retryable === false) {
      return new ChatError("llm_refused", `The model service may not be reached: ${why}`);
    }
    return error instanceof SyntaxError
      ? new ChatError(
        "llm_bad_reply",
        "The model service answered with something that is not JSON.",
      )
      : new ChatError("llm_unavailable", `The model service could not be reached: ${said}`);
  }
  const after = retryAfter(headers);
  if (status === 429) {
    return code === "insufficient_quota"
      ? new ChatError("llm_quota_exhausted", "The account of the model service has no credit left.")
      : new ChatError("llm_rate_limited", "The model service asks to slow down.", after);
  }
  if (status >= 500 || status === 408 || status === 409) {
    return new ChatError("llm_unavailable", `The model service failed with ${status}.`, after);
  }
  return new ChatError("llm_refused", `The model service refused the call: ${said}`);
}

function clean(text: string, key: string): string {
  return hideKey(text, key).replace(/\b(sk|gsk|key|rk)-[\w*-]{4,}/g, "[key]").slice(0, 300);
}

/** `Retry-After` in milliseconds: seconds or an HTTP date, or OpenAI's `retry-after-ms`. */
export function retryAfter(headers: Headers | undefined): number | undefined {
  const ms = Number(headers?.get("retry-after-ms") ?? NaN);
  if (ms >= 0) return ms;
  const text = headers?.get("retry-after");
  if (text == null) return undefined;
  const seconds = Number(text);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
