import { isMasked } from "./privacy.ts";
import { controlOf, labelOf } from "./target.ts";
import { listen, type Note, type Report, type Stop } from "./watch.ts";

/** Observation windows in ms; research/behaviour names their origin (PostHog, Datadog). */
const DEAD_MS = 2500;
const GESTURE_MS = 100;
const FOCUS_MS = 1000;

/** Things whose reaction is not a change of the page, so silence after a click proves nothing. */
const NOT_DEAD =
  "a[href]:not([href='#']),input,select,textarea,option,label,video,audio,canvas,iframe,[contenteditable]";
/** Fields tell their story through focus and change. */
const FIELD =
  "input:not([type=button],[type=submit],[type=reset],[type=image]),select,textarea,option,label";

interface Watched {
  note: Note;
  at: number;
  href: string;
  mayBeDead: boolean;
  reacted: boolean;
  timer: ReturnType<typeof setTimeout>;
}

/**
 * Reports clicks on anything but fields, with where on the screen, and then watches the page for a
 * reaction: `dead: true` when nothing changed for 2.5 s, `selection` or `scroll` when the press
 * turned out to be one (100 ms). `settle` ends every observation at once, for pages that close.
 */
export function watchClicks(report: Report): { stop: Stop; settle: Stop } {
  const open = new Set<Watched>();
  let focusChangedAt = -Infinity;
  // a drag, or a second press that is held, selects before there is a click to tell
  let pressSelected = false;
  const mutations = new MutationObserver(() => react());

  const settle = (click: Watched) => {
    if (!open.delete(click)) return;
    clearTimeout(click.timer);
    if (open.size === 0) mutations.disconnect();
    click.note.release();
  };
  const react = () => open.forEach((click) => click.reacted = true);
  const within = (ms: number) => [...open].filter((click) => Date.now() - click.at <= ms);

  const onClick = (event: MouseEvent) => {
    const element = event.composedPath()[0];
    if (!event.isTrusted || !(element instanceof Element)) return;
    if (element === document.body || element === document.documentElement) return;
    const control = controlOf(element);
    if (control.matches(FIELD)) return;
    const choice = control.getAttribute("data-mira-choice");
    const label = labelOf(control);
    const note = report({
      event_type: "click",
      element: control,
      payload: {
        ...(label ? { label } : {}),
        ...(event.detail > 0 ? { x: Math.round(event.clientX), y: Math.round(event.clientY) } : {}),
        ...(pressSelected ? { selection: true } : {}),
      },
      held: true,
    });
    if (!note) return;
    if (choice && !isMasked(control)) reportChoice(report, control, choice);
    if (open.size === 0) {
      mutations.observe(document, {
        subtree: true,
        childList: true,
        attributes: true,
        characterData: true,
      });
    }
    const click: Watched = {
      note,
      at: Date.now(),
      href: location.href,
      mayBeDead: !control.matches(NOT_DEAD) && !event.ctrlKey && !event.metaKey && !event.altKey &&
        !event.shiftKey && Date.now() - focusChangedAt > FOCUS_MS,
      reacted: pressSelected,
      timer: setTimeout(() => {
        if (click.reacted || !click.mayBeDead) return settle(click);
        click.timer = setTimeout(() => {
          if (!click.reacted && click.href === location.href) note.payload.dead = true;
          settle(click);
        }, DEAD_MS - GESTURE_MS);
      }, GESTURE_MS),
    };
    open.add(click);
  };
  const onFocusChange = (event: Event) => {
    if (event.target instanceof Element) return; // a field's focus, not the window's
    focusChangedAt = Date.now();
    within(FOCUS_MS).forEach((click) => click.mayBeDead = false);
  };
  const gesture = (name: "scroll" | "selection") => () => {
    if (name === "selection") {
      if (document.getSelection()?.isCollapsed !== false) return;
      pressSelected = true;
    }
    within(GESTURE_MS).forEach((click) => {
      click.note.payload[name] = true;
      click.reacted = true;
    });
  };

  const stops = [
    listen(document, "mousedown", () => pressSelected = false),
    listen(document, "click", onClick),
    listen(document, "scroll", gesture("scroll")),
    listen(document, "selectionchange", gesture("selection")),
    listen(document, "visibilitychange", onFocusChange),
    listen(globalThis, "blur", onFocusChange),
    listen(globalThis, "focus", onFocusChange),
  ];
  const settleAll = () => [...open].forEach(settle);
  return {
    settle: settleAll,
    stop: () => {
      stops.forEach((stop) => stop());
      settleAll();
    },
  };
}

/** A button that sets how the person likes to see things (`data-mira-control`, `data-mira-choice`). */
function reportChoice(report: Report, element: Element, choice: string): void {
  const control = element.closest("[data-mira-control]")?.getAttribute("data-mira-control") ??
    "choice";
  report({
    event_type: "input",
    element,
    payload: { field: control, changed: true, control, choice },
  });
}
