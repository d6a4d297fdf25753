/** Checks and cleans the events of a batch one by one, before anything is stored. */

import { MAX_PAYLOAD_BYTES, type RejectedEvent, TrackedEvent } from "../contracts/track_event.ts";
import { WORDING } from "../http/wording.ts";
import { redact, redactText } from "../observe/redact.ts";

/** What came of a batch: events fit to store, and receipts for the rest. */
export interface Screened {
  good: TrackedEvent[];
  rejected: RejectedEvent[];
}

/** Broken rules that a receipt names; who sends more has another problem. */
const MOST_ISSUES = 8;

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
    const result = TrackedEvent.safeParse(raw, WORDING);
    if (!result.success) {
      const issues = result.error.issues.slice(0, MOST_ISSUES);
      rejected.push({
        index,
        event_id: idOf(raw),
        code: issues[0]!.code,
        // names are the caller's text too, and a secret may stand where a name belongs
        detail: redactText(
          issues.map(({ path, message }) =>
            `${path.length === 0 ? "event" : path.join(".").slice(0, 200)}: ${message}`
          ).join(" "),
        ),
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
