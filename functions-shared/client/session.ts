import { uuid } from "./uuid.ts";

const KEY = "mira.session";
const IDLE_MS = 30 * 60_000;
const LONGEST_MS = 24 * 60 * 60_000;

interface Kept {
  id: string;
  user: string;
  start: number;
  seen: number;
}

/**
 * The id of the visit that a moment belongs to. One visit spans tabs and reloads of the same
 * person; it ends after 30 minutes of silence or 24 hours.
 */
export function sessionAt(storage: Storage, user: string, now: number): string {
  let kept: Kept | null = null;
  try {
    kept = JSON.parse(storage.getItem(KEY) ?? "null");
  } catch { /* someone else's value: start afresh */ }
  const goesOn = kept?.user === user && now - kept.seen < IDLE_MS && now - kept.start < LONGEST_MS;
  const session = goesOn ? { ...kept!, seen: now } : { id: uuid(), user, start: now, seen: now };
  try {
    storage.setItem(KEY, JSON.stringify(session));
  } catch { /* full storage: the session lives as long as the page */ }
  return session.id;
}
