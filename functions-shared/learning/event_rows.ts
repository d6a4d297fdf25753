/** Events as the database hands them to the learner: arrays, to save the names. */

import type { BehaviourEvent } from "../behaviour/types.ts";

/** event_id, session_id, type, module, page, target, ms since 1970, order of arrival, payload. */
export type EventRow = [
  string,
  string,
  string,
  string,
  string,
  string | null,
  number,
  number | null,
  Record<string, unknown> | null,
];

/** A row as an event. */
export function eventOf(row: EventRow): BehaviourEvent {
  const [event_id, session_id, event_type, module, page, target, at, order, payload] = row;
  return {
    event_id,
    session_id,
    event_type,
    module,
    page,
    target,
    payload,
    at,
    ...(order === null ? {} : { order }),
  };
}
