/** Server-sent events that survive proxies and the platform's wall clock. */

import { streamSSE } from "hono/streaming";
import type { MiraContext } from "./app.ts";

/** One event; `id` is what a client sends back as `Last-Event-ID`. */
export interface ServerEvent {
  id?: string;
  event?: string;
  data: unknown;
}

/** An event as it travels. */
export function eventText({ id, event, data }: ServerEvent): string {
  return (id === undefined ? "" : `id: ${id}\n`) +
    (event === undefined ? "" : `event: ${event}\n`) +
    `data: ${JSON.stringify(data)}\n\n`;
}

/**
 * Streams what `source` yields, with a comment as heartbeat, and ends before the platform does.
 *
 * A string is sent as it is: events that many viewers share are worded once (`eventText`).
 *
 * When the wall nears, `signal` aborts and the stream closes without a final event: browsers
 * reconnect by themselves with `Last-Event-ID`, which reaches `source` as `lastEventId`.
 *
 * @param options.heartbeatMs default 15,000.
 * @param options.wallMs default 140,000 (the platform's limit is 150 s).
 */
export function eventStream(
  c: MiraContext,
  source: (from: { lastEventId: string | undefined; signal: AbortSignal }) => AsyncIterable<
    ServerEvent | string
  >,
  options: { heartbeatMs?: number; wallMs?: number } = {},
): Response {
  const stop = new AbortController();
  const lastEventId = c.req.header("last-event-id") ?? c.req.query("last_event_id");
  c.header("cache-control", "no-cache, no-transform");
  c.header("x-accel-buffering", "no");
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => stop.abort());
    const wall = setTimeout(() => stop.abort(), options.wallMs ?? 140_000);
    const heartbeat = setInterval(
      () => stream.write(": keep-alive\n\n").catch(() => stop.abort()),
      options.heartbeatMs ?? 15_000,
    );
    // a client that stays connected and reads nothing must not hold the source beyond the wall
    const stopped = new Promise<void>((resolve) =>
      stop.signal.addEventListener("abort", () => resolve())
    );
    try {
      await stream.write("retry: 1000\n\n");
      for await (const event of source({ lastEventId, signal: stop.signal })) {
        if (stop.signal.aborted) break;
        const text = typeof event === "string" ? event : eventText(event);
        await Promise.race([stream.write(text), stopped]);
      }
    } catch (error) {
      // told here, in our words: what is thrown out of here is sent with its own
      c.var.log.error("stream_failed", { message: (error as Error).message });
      await stream.write(eventText({
        event: "problem",
        data: { code: "stream_failed", detail: "The stream broke; reconnect." },
      }));
    } finally {
      clearTimeout(wall);
      clearInterval(heartbeat);
      stop.abort();
    }
  });
}
