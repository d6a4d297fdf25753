/** Checks and cleans the events of a batch one by one, before anything is stored. */

import { MAX_PAYLOAD_BYTES, type RejectedEvent, TrackedEvent } from "../contracts/track_event.ts";
import { redact, redactText } from "../observe/redact.ts";

/** What came of a batch: events fit to store, and receipts for the rest. */
export interface Screened {
  good: TrackedEvent[];
  rejected: RejectedEvent[];
}

/** Path parts that carry a secret: everything after `?` or `#`. */
const AFTER_PATH = /[?#].*$/s;

/**
 * Good events come back redacted; a bad one becomes a receipt that names the field and the rule,
 * never the value.
 */
export function screenEvents(events: readonly unknown[]): Screened {
  const good: TrackedEvent[] = [];
  const rejected: RejectedEvent[] = [];
  events.forEach((raw, index) => {
    const result = TrackedEvent.safeParse(raw);
    if (!result.success) {
      const issue = result.error.issues[0]!;
      const field = issue.path.length === 0 ? "event" : issue.path.join(".").slice(0, 200);
      rejected.push({
        index,
        event_id: idOf(raw),
        code: issue.code,
        detail: `${field}: ${issue.message}`,
      });
      return;
    }
    const event = clean(result.data);
    if (byteLength(event.payload) > MAX_PAYLOAD_BYTES) {
      rejected.push({
        index,
        event_id: event.event_id,
        code: "payload_too_large",
        detail: `payload: at most ${MAX_PAYLOAD_BYTES} bytes of JSON`,
      });
      return;
    }
    good.push(event);
  });
  return { good, rejected };
}

function clean(event: TrackedEvent): TrackedEvent {
  return {
    ...event,
    // query strings and fragments carry tokens and search terms; a page is its path
    page: redactText(event.page.replace(AFTER_PATH, "") || "/"),
    ...(event.target === undefined ? {} : { target: redactText(event.target) }),
    ...(event.payload === undefined ? {} : { payload: redact(event.payload) }),
  };
}

function idOf(raw: unknown): string | null {
  if (raw === null || typeof raw !== "object") return null;
  const id = (raw as Record<string, unknown>)["event_id"];
  return typeof id === "string" ? id.slice(0, 64) : null;
}

function byteLength(value: unknown): number {
  return value === undefined ? 0 : new TextEncoder().encode(JSON.stringify(value)).length;
}
