/** The sessions a user's patterns are computed from, and what every learner asks of them. */

import { DAY, defaults, type Settings } from "./settings.ts";
import { compareText, decay, hash } from "./statistics.ts";
import type { SessionDigest } from "./types.ts";

/** Newest sessions in order, and the moment all ages are measured from. */
export interface Window {
  sessions: SessionDigest[];
  /** Newest event of the user: never a wall clock, so that learning again changes nothing. */
  asOf: number;
  /** The last time anything was heard of the user: a session that ended well before is over. */
  heardAt: number;
}

/** The newest sessions of a user, oldest first. */
export function windowOf(
  digests: readonly SessionDigest[],
  settings: Settings = defaults,
  heardAt = 0,
): Window {
  const sessions = [...digests]
    .sort((a, b) => a.start - b.start || compareText(a.session_id, b.session_id))
    .slice(-settings.windowSessions);
  const asOf = Math.max(0, ...sessions.map((s) => s.end));
  return { sessions, asOf, heardAt: Math.max(asOf, heardAt) };
}

/** Weight of a session that began at `start`; by whole days, so that it is the same all day. */
export function weightOf(window: Window, start: number, halfLifeDays: number): number {
  return decay(dayOf(window.asOf) - dayOf(start), halfLifeDays);
}

/** UTC day number of a moment. */
export function dayOf(at: number): number {
  return Math.floor(at / DAY);
}

/** A natural key that fits an index: the parts as they are, or their beginning and a hash. */
export function naturalKey(...parts: string[]): string {
  const key = parts.join("|");
  return key.length <= 300 ? key : `${key.slice(0, 280)}~${fingerprint(key)}`;
}

/** 64 bits of content hash as 16 hex digits. */
export function fingerprint(value: string): string {
  const part = (seed: number) => hash(value, seed).toString(16).padStart(8, "0");
  return part(0x811c9dc5) + part(0x1b873593);
}

/** At most two decimals more than a person reads; keeps stored metadata small. */
export function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
