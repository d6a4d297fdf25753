import type { Transport } from "./transport.ts";
import { uuid } from "./uuid.ts";

/** What worked before. */
export interface Finder {
  /** Patterns whose meaning is near the query, best first, and similar ones that failed. */
  find(request: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Remembers a procedure and how it ended. */
  record(procedure: Record<string, unknown>): Promise<{ id: string; merged: boolean }>;
  /** Says whether a recalled pattern worked again. */
  feedback(id: string, outcome: "success" | "partial" | "failed"): Promise<Record<string, number>>;
}

/** Calls of `find-patterns`. */
export function finder(transport: Transport): Finder {
  const path = "find-patterns";
  const headers = () => ({ "idempotency-key": uuid() });
  return {
    find: (body) => transport.json(path, { body }),
    record: (body) => transport.json(`${path}/record`, { body, headers: headers() }),
    feedback: (id, outcome) =>
      transport.json(`${path}/${id}/feedback`, { body: { outcome }, headers: headers() }),
  };
}
