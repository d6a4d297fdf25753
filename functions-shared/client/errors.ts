import { cleanText } from "./privacy.ts";
import { listen, type Report, type Stop } from "./watch.ts";

const MOST_PER_MINUTE = 10;

/** Reports uncaught errors and unhandled rejections, at most 10 a minute, without their stacks. */
export function watchErrors(report: Report): Stop {
  let minute = 0;
  let count = 0;
  const say = (message: unknown, source?: string) => {
    const now = Math.floor(Date.now() / 60_000);
    if (now !== minute) [minute, count] = [now, 0];
    if (++count > MOST_PER_MINUTE) return;
    report({
      event_type: "error",
      payload: { message: cleanText(String(message), 300), ...(source ? { source } : {}) },
    });
  };
  const stops = [
    listen<ErrorEvent>(globalThis, "error", (event) => {
      // Failed images and scripts arrive here too, without a message: they are not the app's error.
      if (event.message) say(event.message, place(event));
    }),
    listen<PromiseRejectionEvent>(globalThis, "unhandledrejection", ({ reason }) => {
      say(reason instanceof Error ? `${reason.name}: ${reason.message}` : reason);
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

function place(event: ErrorEvent): string | undefined {
  if (!event.filename) return;
  return `${event.filename.replace(/^\w+:\/\/[^/]+/, "").replace(/[?#].*/, "")}:${event.lineno}`
    .slice(0, 200);
}
