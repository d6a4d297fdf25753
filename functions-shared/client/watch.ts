import type { TrackedEvent } from "../contracts/track_event.ts";

/** What a watcher saw; the client adds ids, time, session, page and module. */
export interface Sight {
  event_type: TrackedEvent["event_type"];
  /** The element it happened on: gives target and module, and hides the event if it is ignored. */
  element?: Element;
  target?: string;
  payload?: Record<string, unknown>;
  /** Page and module, where they are not the current ones. */
  page?: string;
  module?: string;
  /** Milliseconds since the epoch, if not now. */
  at?: number;
  /** Keep it until {@link Note.release}: there may be more to say about it. */
  held?: boolean;
}

/** A recorded event that may still be added to while it is held. */
export interface Note {
  readonly payload: Record<string, unknown>;
  release(): void;
}

/** Where watchers report. Null when nothing is recorded (ignored element, opted out). */
export type Report = (sight: Sight) => Note | null;

/** Undoes what a watcher did to the page. */
export type Stop = () => void;

/** `addEventListener` in the capture phase, returning its undo. */
export function listen<E extends Event>(
  on: EventTarget,
  type: string,
  handler: (event: E) => void,
): Stop {
  // A watcher must never break the app it watches.
  const safe = (event: Event) => {
    try {
      handler(event as E);
    } catch { /* nothing the app should hear of */ }
  };
  on.addEventListener(type, safe, { capture: true, passive: true });
  return () => on.removeEventListener(type, safe, { capture: true });
}
