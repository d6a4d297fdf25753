/** Structured logs: one JSON object a line, redacted, at most 4 KiB (the platform cuts at 10,000). */

import { redact } from "./redact.ts";

const MAX_CHARS = 4096;

/** Writes one line per call; `event` is a stable code, `fields` whatever explains it. */
export interface Log {
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>): void;
  error(event: string, fields?: Record<string, unknown>): void;
}

/** A logger whose lines all carry `base` (function, request id, run id …). */
export function createLog(base: Record<string, unknown>): Log {
  const write = (level: "info" | "warn" | "error") => (event: string, fields = {}) => {
    const line = JSON.stringify(
      redact({ at: new Date().toISOString(), level, event, ...base, ...fields }),
    );
    const out = line.length <= MAX_CHARS
      ? line
      : JSON.stringify({ ...base, level, event, cut: line.slice(0, MAX_CHARS - 512) });
    if (level === "info") console.log(out);
    else if (level === "warn") console.warn(out);
    else console.error(out);
  };
  return { info: write("info"), warn: write("warn"), error: write("error") };
}
