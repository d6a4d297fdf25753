/**
 * Why a model call failed.
 *
 * @module
 */

/** What went wrong with a model, as the step that failed reports it. */
export type ChatErrorCode =
  | "llm_not_configured"
  | "llm_provider_unknown"
  | "llm_rate_limited"
  | "llm_quota_exhausted"
  | "llm_unavailable"
  | "llm_timed_out"
  | "llm_refused"
  | "llm_bad_reply";

const RETRYABLE = new Set<ChatErrorCode>([
  "llm_rate_limited",
  "llm_unavailable",
  "llm_timed_out",
  "llm_bad_reply",
]);

/** A model call that failed. The detail never contains a key or the text of a prompt. */
export class ChatError extends Error {
  override readonly name = "ChatError";
  /** whether a later attempt may succeed */
  readonly retryable: boolean;

  /** @param retryAfterMs how long the service asked to be left alone, milliseconds */
  constructor(readonly code: ChatErrorCode, message: string, readonly retryAfterMs?: number) {
    super(message);
    this.retryable = RETRYABLE.has(code);
  }
}
