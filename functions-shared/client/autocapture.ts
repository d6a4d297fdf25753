import { watchClicks } from "./clicks.ts";
import { watchErrors } from "./errors.ts";
import { watchForms } from "./forms.ts";
import type { AutocaptureOptions } from "./options.ts";
import { watchPages } from "./pages.ts";
import { moduleOf } from "./target.ts";
import { listen, type Report, type Stop } from "./watch.ts";

/**
 * Watches the page and reports what the person does. `exit` is called when the page is hidden or
 * closes, after every observation still open has been ended and the page left.
 */
export function autocapture(
  parts: AutocaptureOptions,
  report: Report,
  page: () => string,
  exit: () => void,
): Stop {
  const stops: Stop[] = [];
  const settles: Stop[] = [];
  let abandoned = (): string | undefined => undefined;
  if (parts.forms ?? true) {
    const forms = watchForms(report);
    stops.push(forms.stop);
    settles.push(forms.settle);
    abandoned = forms.leave;
  }
  if (parts.clicks ?? true) {
    const clicks = watchClicks(report);
    stops.push(clicks.stop);
    settles.push(clicks.settle);
  }
  if (parts.errors ?? true) stops.push(watchErrors(report));
  // Its pagehide listener is added before ours below, so page_leave is in the outbox when we send.
  if (parts.pages ?? true) {
    stops.push(watchPages(report, page, () => moduleOf(null, page()), abandoned));
  }
  const close = () => {
    settles.forEach((settle) => settle());
    exit();
  };
  stops.push(
    listen(globalThis, "pagehide", close),
    listen(document, "visibilitychange", () => document.visibilityState === "hidden" && close()),
  );
  return () => stops.forEach((stop) => stop());
}
