import type { z } from "zod";
import type {
  LearnResult,
  NextRequest,
  NextResult,
  PromoteResult,
} from "../contracts/learn_patterns.ts";
import type { Transport } from "./transport.ts";
import { uuid } from "./uuid.ts";

/** What was learned about the person. The patterns themselves are rows of `mira_learned_patterns`. */
export interface Learned {
  /** Learns from the caller's new events now, round by round until nothing is left. */
  learn(): Promise<LearnResult>;
  /** Makes a draft workflow and a behaviour pattern of a workflow habit. */
  promote(patternId: string, name?: string): Promise<PromoteResult>;
  /** The person's word on a pattern: keep it, do not say it again, or neither. */
  choose(patternId: string, status: "active" | "pinned" | "dismissed"): Promise<void>;
  /** What the person is likely to do next in a session. */
  next(request: z.input<typeof NextRequest>): Promise<NextResult>;
}

/** Calls of `learn-patterns`. */
export function learned(transport: Transport): Learned {
  const path = "learn-patterns";
  return {
    async learn() {
      let report = await transport.json<LearnResult>(path, { body: {} });
      while (report.more) {
        const next = await transport.json<LearnResult>(path, { body: {} });
        report = { ...next, events: report.events + next.events };
      }
      return report;
    },
    promote: (id, name) =>
      transport.json(`${path}/${id}/promote`, {
        body: name === undefined ? {} : { name },
        headers: { "idempotency-key": uuid() },
      }),
    choose: (id, status) => transport.json(`${path}/${id}/status`, { body: { status } }),
    next: (body) => transport.json(`${path}/next`, { body }),
  };
}
