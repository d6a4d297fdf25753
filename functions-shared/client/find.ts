import type { z } from "zod";
import type {
  FeedbackResponse,
  FindRequest,
  FindResponse,
  RecordRequest,
  RecordResponse,
} from "../contracts/find_patterns.ts";
import type { Transport } from "./transport.ts";
import { uuid } from "./uuid.ts";

/** What worked before. */
export interface Finder {
  /** Patterns whose meaning is near the query, best first, and similar ones that failed. */
  find(request: z.input<typeof FindRequest>): Promise<FindResponse>;
  /** Remembers a procedure and how it ended. */
  record(procedure: z.input<typeof RecordRequest>): Promise<RecordResponse>;
  /** Says whether a recalled pattern worked again. */
  feedback(id: string, outcome: "success" | "partial" | "failed"): Promise<FeedbackResponse>;
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
