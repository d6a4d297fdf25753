/** track-event: what a browser may send, and what it hears back. */

import { z } from "zod";

/** Kinds of event, as the seeds name them, plus what struggle detection needs. */
export const EVENT_TYPES = [
  "navigation",
  "click",
  "input",
  "form_submit",
  "error",
  "page_leave",
  "custom",
] as const;

/** Most events in one batch. */
export const MAX_EVENTS = 500;

/** Largest payload of one event, in bytes of JSON. */
export const MAX_PAYLOAD_BYTES = 8 * 1024;

/** Largest request body, in bytes. */
export const MAX_BATCH_BYTES = 512 * 1024;

const text = (max: number) => z.string().trim().min(1).max(max);
const time = z.iso.datetime({ offset: true });

/** One event. Lower-case uuids; unknown keys are refused so that a typo is noticed. */
export const TrackedEvent = z.strictObject({
  /** Made by the client, repeated by its retries. */
  event_id: z.uuid().toLowerCase(),
  /** One visit, as the client cuts it. */
  session_id: z.uuid().toLowerCase(),
  event_type: z.enum(EVENT_TYPES),
  /** Area of the app: "leads". */
  module: text(100),
  /** Path of the page: "/leads/new". */
  page: text(2000),
  /** Stable selector or control name: "button#save". */
  target: text(500).optional(),
  /** Whatever explains the event; never a value a person typed. */
  payload: z.record(z.string().max(200), z.json()).optional(),
  /** By the client's clock; arrival time when absent. */
  occurred_at: time.optional(),
});

/** A batch. `events` are checked one by one, so that a bad one does not take the others with it. */
export const TrackBatch = z.strictObject({
  /** The client's clock when it sent the batch: corrects skew. Leave it out for backfills. */
  sent_at: time.optional(),
  events: z.array(z.unknown()).min(1).max(MAX_EVENTS),
});

/** One event that was refused, and why. */
export const RejectedEvent = z.object({
  /** Position in the batch. */
  index: z.int(),
  /** As sent, or null when it was not readable. */
  event_id: z.string().nullable(),
  code: z.string(),
  detail: z.string(),
});

/** Receipt of a batch: the three counts add up to the events sent. */
export const TrackReceipt = z.object({
  accepted: z.int(),
  duplicates: z.int(),
  rejected: z.array(RejectedEvent),
});

export type TrackedEvent = z.infer<typeof TrackedEvent>;
export type TrackBatch = z.infer<typeof TrackBatch>;
export type RejectedEvent = z.infer<typeof RejectedEvent>;
export type TrackReceipt = z.infer<typeof TrackReceipt>;
