/** The struggle detectors: one pass over a session's events in order. */

import { RageDetector } from "./rage.ts";
import { normalisePage, normaliseTarget, text } from "./normalise.ts";
import type { StruggleSettings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import type { BehaviourEvent, Hit, SessionDigest, StruggleKind } from "./types.ts";

/** What the detectors add to a digest. */
export type Struggles = Pick<SessionDigest, "hits" | "submits" | "clicked">;

interface Visit {
  page: string;
  at: number;
  event: BehaviourEvent;
  place: number;
}

interface Fields {
  names: Set<string>;
  last: BehaviourEvent;
  place: number;
}

/**
 * Finds the signs of trouble in a session, at most one per kind, page and target.
 *
 * @param events in order.
 * @param place actions of the session up to and with each event.
 */
export function findStruggles(
  events: readonly BehaviourEvent[],
  place: readonly number[],
  settings: StruggleSettings,
): Struggles {
  const hits = new Map<string, Hit>();
  const submits = new Map<string, { unit: string; at: number }>();
  const hit = (
    kind: StruggleKind,
    event: BehaviourEvent,
    at: number,
    target = targetOf(event),
    open = false,
  ) => {
    const page = normalisePage(event.page);
    const key = `${kind}\t${event.module}\t${page}\t${target}`;
    if (hits.has(key) && !hits.get(key)!.open) return;
    hits.set(key, {
      kind,
      module: event.module,
      page,
      target,
      at: event.at,
      event_id: event.event_id,
      token: at,
      ...(open ? { open: true as const } : {}),
    });
  };
  const rage = new RageDetector(events, settings, (event, i) => hit("rage", event, place[i]!));
  let click: { event: BehaviourEvent; place: number } | undefined;
  const tries = new Map<string, number[]>();
  const changes = new Map<string, number>();
  const visits: Visit[] = [];
  /** Open forms on the current page, by form name ("" when the inputs do not say). */
  let forms = new Map<string, Fields>();
  let here: string | undefined;
  const leave = (open: boolean) => {
    for (const [form, { names, last, place }] of forms) {
      if (names.size >= settings.abandonInputs) hit("abandon", last, place, form, open);
    }
    forms = new Map();
    changes.clear();
  };

  events.forEach((event, i) => {
    const page = `${event.module}\t${event.page}`;
    if (here !== undefined && page !== here && event.event_type !== "error") leave(false);
    if (event.event_type !== "error") here = page;
    switch (event.event_type) {
      case "click":
        rage.click(event, i);
        click = { event, place: place[i]! };
        if (event.payload?.["dead"] === true) hit("dead", event, place[i]!);
        break;
      case "error":
        if (click && event.at - click.event.at <= settings.errorSpan) {
          hit("error", click.event, click.place);
          click = undefined;
        }
        break;
      case "navigation":
        click = undefined;
        tries.clear();
        visits.push({ page, at: event.at, event, place: place[i]! });
        break;
      case "page_leave":
        leave(false);
        break;
      case "input": {
        const field = text(event.payload?.["field"]) ?? targetOf(event);
        if (event.payload?.["control"] !== undefined || field === "") break;
        const form = text(event.payload?.["form"]) ?? formPart(event.target, field);
        const open = forms.get(form) ?? { names: new Set(), last: event, place: place[i]! };
        open.names.add(field);
        open.last = event;
        open.place = place[i]!;
        forms.set(form, open);
        if (event.payload?.["changed"] === true) {
          const times = (changes.get(field) ?? 0) + 1;
          changes.set(field, times);
          if (times === settings.thrashChanges) hit("thrash", event, place[i]!, field);
        }
        break;
      }
      case "form_submit": {
        const form = formOf(event);
        // a submit that was refused leaves the form as unfinished as it was
        if (event.payload?.["ok"] !== false) {
          const unit = `${event.module}\t${normalisePage(event.page)}\t${form}`;
          submits.set(unit, { unit, at: event.at });
          forms.delete(form);
          forms.delete("");
          changes.clear();
        }
        // a submit that worked starts the next record, it is no retry
        const recent = (tries.get(form) ?? []).filter((t) => event.at - t <= settings.retrySpan);
        recent.push(event.at);
        if (recent.length >= settings.retrySubmits) hit("retry", event, place[i]!, form);
        tries.set(form, event.payload?.["ok"] === true ? [] : recent);
        break;
      }
    }
  });
  leave(true);
  findPaths(visits, events, settings, hit);
  return {
    hits: [...hits.values()].sort((a, b) =>
      a.at - b.at || compareText(a.kind, b.kind) ||
      compareText(a.page + a.target, b.page + b.target)
    ),
    submits: [...submits.values()],
    clicked: rage.clicked(),
  };
}

/** Struggles in the path of pages: u-turn, ping-pong, refresh. Pages are compared with their ids. */
function findPaths(
  visits: readonly Visit[],
  events: readonly BehaviourEvent[],
  settings: StruggleSettings,
  hit: (kind: StruggleKind, event: BehaviourEvent, at: number, target?: string) => void,
): void {
  const loads: number[] = [];
  const path: Visit[] = [];
  const pingponged = new Set<string>();
  const uturns: Visit[] = [];
  const submits = events.filter((e) => e.event_type === "form_submit").map((e) => e.at);
  for (const visit of visits) {
    if (visit.page === path.at(-1)?.page) {
      while (loads.length > 0 && visit.at - loads[0]! > settings.refreshSpan) loads.shift();
      loads.push(visit.at);
      if (loads.length >= settings.refreshLoads) hit("refresh", visit.event, visit.place, "");
      continue;
    }
    loads.length = 0;
    loads.push(visit.at);
    path.push(visit);
    const last = path.length - 1;
    const b = path[last - 1], a = path[last - 2];
    if (a && b && a.page === visit.page && visit.at - b.at <= settings.uturnDwell) {
      // whoever submitted something there came back because they were done
      if (!submits.some((at) => at >= b.at && at <= visit.at)) uturns.push(b);
    }
    const first = path[last - settings.pingpongMoves];
    if (first && visit.at - first.at <= settings.pingpongSpan) {
      const round = path.slice(last - settings.pingpongMoves);
      if (round.every((v, i) => v.page === round[i % 2]!.page)) {
        const [x, y] = [round[0]!, round[1]!].sort((p, q) => compareText(p.page, q.page));
        pingponged.add(`${x!.page}\n${y!.page}`);
        hit("pingpong", x!.event, x!.place, normalisePage(y!.event.page));
      }
    }
  }
  for (const on of uturns) {
    const whole = [...pingponged].some((pair) => pair.split("\n").includes(on.page));
    if (!whole) hit("uturn", on.event, on.place, "");
  }
}

function targetOf(event: BehaviourEvent): string {
  return normaliseTarget(event.target);
}

/** The form in a target like `lead-form.email`; "" when it does not say. */
function formPart(target: string | null | undefined, field: string): string {
  return target?.endsWith(`.${field}`) ? target.slice(0, -field.length - 1) : "";
}

function formOf(event: BehaviourEvent): string {
  return text(event.payload?.["form"]) ?? targetOf(event);
}
