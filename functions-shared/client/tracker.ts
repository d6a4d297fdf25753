import type { TrackedEvent } from "../contracts/track_event.ts";
import type { ClientProblem, MiraOptions, SessionLike } from "./options.ts";
import type { Entry, Outbox } from "./outbox.ts";
import { isIgnored, isOptedOut, rememberOptOut } from "./privacy.ts";
import { sessionAt } from "./session.ts";
import { moduleOf, targetOf } from "./target.ts";
import { uuid } from "./uuid.ts";
import type { Note, Sight } from "./watch.ts";

/** Bytes of JSON a payload may have; the server refuses more. */
const PAYLOAD_BYTES = 8 * 1024;
/** Events kept while it is still unknown whether somebody is signed in. */
const EARLY_LIMIT = 200;

interface Early {
  event: TrackedEvent;
  held: boolean;
  entry?: Entry;
}

/**
 * Turns what was seen into events and puts them into the outbox under the signed-in person. Until
 * supabase-js has said who that is, events wait in memory; when nobody is, they are forgotten.
 */
export class Tracker {
  #user: string | null | undefined;
  #early: Early[] = [];
  #latest = 0;
  #out: boolean;

  constructor(
    private readonly outbox: Outbox,
    private readonly storage: Storage,
    private readonly options: MiraOptions,
    private readonly ready: () => void,
    private readonly problem: (problem: ClientProblem) => void,
  ) {
    this.#out = isOptedOut(storage, options.respectDoNotTrack ?? true);
  }

  /** Is nothing recorded because the person does not want it? */
  get optedOut(): boolean {
    return this.#out;
  }

  /** Who events belong to from now on. */
  signedIn(session: SessionLike | null): void {
    this.#user = session?.user.id ?? null;
    const early = this.#early.splice(0);
    if (!this.#user) return;
    for (const item of early) this.#keep(item);
    if (early.length > 0) this.ready();
  }

  /** Records one sight; null when it may not be recorded or its payload is unfit. */
  record(sight: Sight): Note | null {
    if (this.#out || this.#user === null || isIgnored(sight.element ?? null)) return null;
    // Later in this tab is later on paper too, even within a millisecond and after being held.
    const at = this.#latest = Math.max(sight.at ?? Date.now(), this.#latest + 1);
    const page = (sight.page ?? this.page()).slice(0, 500);
    const target = sight.target ?? (sight.element && targetOf(sight.element));
    const payload = { ...sight.payload };
    if (!fits(payload)) {
      const detail = `payload of ${sight.event_type} is not JSON or over 8 KiB`;
      this.problem({ code: "unserializable", detail });
      return null;
    }
    const event: TrackedEvent = {
      event_id: uuid(),
      session_id: "",
      event_type: sight.event_type,
      module: sight.module ?? moduleOf(sight.element ?? null, page),
      page,
      ...(target ? { target: target.slice(0, 200) } : {}),
      payload: payload as NonNullable<TrackedEvent["payload"]>,
      occurred_at: new Date(at).toISOString(),
    };
    const item: Early = { event, held: sight.held ?? false };
    if (this.#user === undefined) {
      this.#early.push(item);
      if (this.#early.length > EARLY_LIMIT) this.#early.shift();
    } else {
      this.#keep(item);
      if (!item.held) this.ready();
    }
    return { payload, release: () => this.#release(item) };
  }

  /** The current page as events name it. */
  page(): string {
    if (this.options.page) return this.options.page();
    if (typeof location === "undefined") return "/";
    return location.hash.startsWith("#/")
      ? location.hash.slice(1).replace(/\?.*/, "")
      : location.pathname;
  }

  /** Stops recording for good in this browser and forgets what has not been sent; or starts again. */
  optOut(out: boolean): void {
    rememberOptOut(this.storage, out);
    this.#out = isOptedOut(this.storage, this.options.respectDoNotTrack ?? true);
    this.#early = [];
    if (out && this.#user) this.outbox.clear(this.#user);
  }

  #keep(item: Early): void {
    if (!this.#user) return;
    const at = Date.parse(item.event.occurred_at!);
    item.event.session_id = sessionAt(this.storage, this.#user, at);
    item.entry = this.outbox.add(this.#user, item.event, at, item.held);
  }

  #release(item: Early): void {
    if (!item.held) return;
    item.held = false;
    if (!item.entry) return;
    this.outbox.release(item.entry);
    this.ready();
  }
}

function fits(payload: unknown): boolean {
  try {
    return new TextEncoder().encode(JSON.stringify(payload)).length <= PAYLOAD_BYTES;
  } catch {
    return false;
  }
}
