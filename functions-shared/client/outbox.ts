import type { TrackedEvent } from "../contracts/track_event.ts";
import { memoryStorage } from "./storage.ts";

const SENDABLE = "mira.e.";
const HELD = "mira.h.";
const ADOPT_AFTER_MS = 10_000;
const KEEP_MS = 7 * 24 * 60 * 60_000;

/** An event on its way, under the key it is kept by. */
export interface Entry {
  key: string;
  event: TrackedEvent;
}

/**
 * Events that have no receipt yet, one storage entry each.
 *
 * One entry per event instead of one list: tabs of the same app then share the queue without
 * read-modify-write races, a write costs the same however long the queue is, and what a closed or
 * crashed tab left behind is simply still there. Sending one twice is harmless: the server counts
 * an event id once.
 */
export class Outbox {
  /** Events thrown away to stay in bounds. */
  dropped = 0;
  #counter = 0;
  #mine = new Set<string>();
  #spill = memoryStorage();

  constructor(private readonly storage: Storage, private readonly limit: number) {}

  /** Keeps an event. A held one is still being observed and leaves only after {@link release}. */
  add(user: string, event: TrackedEvent, now: number, held = false): Entry {
    const order = now.toString(36).padStart(9, "0") +
      (this.#counter++).toString(36).padStart(4, "0");
    const entry = { key: `${held ? HELD : SENDABLE}${user}.${order}.${event.event_id}`, event };
    this.#mine.add(entry.key);
    this.#write(entry);
    this.#trim(user);
    return entry;
  }

  /** Ends the observation of a held event, which keeps whatever was added to it meanwhile. */
  release(entry: Entry): void {
    if (!this.#mine.has(entry.key)) return;
    this.remove([entry.key]);
    entry.key = SENDABLE + entry.key.slice(HELD.length);
    this.#mine.add(entry.key);
    this.#write(entry);
  }

  /** The oldest events of `user` that may leave now, and how many bytes of JSON they are at most. */
  take(user: string, now: number, most: number, maxBytes = Infinity): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (const key of this.#keys(SENDABLE, user)) {
      const text = this.#read(key);
      const event = text && parse(text);
      if (!event || now - Date.parse(event.occurred_at ?? "") > KEEP_MS) {
        this.remove([key]);
        this.dropped++;
        continue;
      }
      bytes += new TextEncoder().encode(text).length + 1;
      if (taken.length >= most || (bytes > maxBytes && taken.length > 0)) break;
      taken.push({ key, event });
    }
    return taken;
  }

  /** Frees what a closed tab was still observing; those events go out as they stand. */
  adopt(user: string, now: number): void {
    for (const key of this.#keys(HELD, user)) {
      const madeAt = parseInt(key.slice(HELD.length + user.length + 1).slice(0, 9), 36);
      if (this.#mine.has(key) || now - madeAt < ADOPT_AFTER_MS) continue;
      const text = this.#read(key);
      this.remove([key]);
      if (text) this.#put(SENDABLE + key.slice(HELD.length), text);
    }
  }

  /** Forgets entries: receipts came for them, or the person opted out. */
  remove(keys: string[]): void {
    for (const key of keys) {
      this.#mine.delete(key);
      this.storage.removeItem(key);
      this.#spill.removeItem(key);
    }
  }

  /** How many events of `user` wait, observed ones included. */
  size(user: string): number {
    return this.#keys(SENDABLE, user).length + this.#keys(HELD, user).length;
  }

  /** Forgets everything kept for `user`. */
  clear(user: string): void {
    this.remove([...this.#keys(SENDABLE, user), ...this.#keys(HELD, user)]);
  }

  #trim(user: string): void {
    if (this.#mine.size < this.limit && this.#counter % 50) return;
    const keys = this.#keys(SENDABLE, user);
    const excess = keys.slice(0, Math.max(0, keys.length - this.limit));
    this.remove(excess);
    this.dropped += excess.length;
  }

  #write(entry: Entry): void {
    this.#put(entry.key, JSON.stringify(entry.event));
  }

  #put(key: string, text: string): void {
    try {
      this.storage.setItem(key, text);
    } catch {
      this.#spill.setItem(key, text); // storage full or forbidden: keep it while the page lives
    }
  }

  #read(key: string): string | null {
    return this.storage.getItem(key) ?? this.#spill.getItem(key);
  }

  #keys(prefix: string, user: string): string[] {
    const start = `${prefix}${user}.`;
    const found: string[] = [];
    for (const store of [this.storage, this.#spill]) {
      for (let i = 0; i < store.length; i++) {
        const key = store.key(i);
        if (key?.startsWith(start)) found.push(key);
      }
    }
    return found.sort();
  }
}

function parse(text: string): TrackedEvent | null {
  try {
    return JSON.parse(text) as TrackedEvent;
  } catch {
    return null;
  }
}
