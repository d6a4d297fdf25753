import { listen, type Report, type Stop } from "./watch.ts";

/**
 * Reports page loads, SPA navigation (history, hash, back and forward) and how long each page was
 * open. `page` names the current page, `module` its area, `abandoned` a form left unfinished.
 */
export function watchPages(
  report: Report,
  page: () => string,
  module: () => string,
  abandoned: () => string | undefined,
): Stop {
  let here = "";
  let area = "";
  let since = 0;

  const enter = (payload: Record<string, unknown>) => {
    here = page();
    since = Date.now();
    const [named, at] = [here, since];
    // The router has moved but the app has not drawn yet: ask for the area when it has.
    setTimeout(() => {
      area = module();
      report({ event_type: "navigation", page: named, module: area, at, payload });
    }, 0);
  };
  const leave = () => {
    if (!here) return;
    const form = abandoned();
    report({
      event_type: "page_leave",
      page: here,
      module: area || module(),
      payload: { dwell_ms: Date.now() - since, ...(form ? { abandoned: form } : {}) },
    });
  };
  const moved = () => {
    const from = here;
    if (page() === from) return;
    leave();
    enter({ from });
  };

  const unwrap = (["pushState", "replaceState"] as const).map((name) => {
    const original = history[name];
    const wrapped = function (this: History, ...args: Parameters<History["pushState"]>) {
      const result = original.apply(this, args);
      try {
        moved();
      } catch { /* the app's navigation must not fail because of us */ }
      return result;
    };
    history[name] = wrapped;
    // Someone may have wrapped us in turn: only undo what is still ours.
    return () => history[name] === wrapped && (history[name] = original);
  });
  const stops: Stop[] = [
    ...unwrap,
    listen(globalThis, "popstate", moved),
    listen(globalThis, "hashchange", moved),
    listen<PageTransitionEvent>(globalThis, "pagehide", () => {
      leave();
      here = "";
    }),
    listen<PageTransitionEvent>(globalThis, "pageshow", (event) => event.persisted && enter({})),
  ];
  enter(origin());
  return () => stops.forEach((stop) => stop());
}

function origin(): Record<string, unknown> {
  const load = performance.getEntriesByType("navigation")[0] as
    | PerformanceNavigationTiming
    | undefined;
  if (load?.type === "reload") return { reload: true };
  if (!document.referrer) return {};
  const from = new URL(document.referrer);
  // Another site's address may carry its users' data: its origin is enough.
  return from.origin === location.origin ? { from: from.pathname } : { referrer: from.origin };
}
