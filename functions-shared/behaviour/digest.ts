/** One session's events to all the learner keeps of it. Pure: depends on the set of events only. */

import { findStruggles } from "./find_struggles.ts";
import { normalisePage, text, token } from "./normalise.ts";
import { defaults, type Settings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import type { BehaviourEvent, Choice, SessionDigest } from "./types.ts";

/**
 * Splits events into sessions and digests each.
 *
 * Duplicates (same `event_id`) count once; order and batching of the input do not matter.
 *
 * @param events of one user, any order.
 * @returns sessions by start, then session id.
 */
export function digestSessions(
  events: readonly BehaviourEvent[],
  settings: Settings = defaults,
): SessionDigest[] {
  const bySession = new Map<string, Map<string, BehaviourEvent>>();
  for (const event of events) {
    let session = bySession.get(event.session_id);
    if (session === undefined) bySession.set(event.session_id, session = new Map());
    session.set(event.event_id, event);
  }
  const digests: SessionDigest[] = [];
  for (const session of bySession.values()) {
    const ordered = [...session.values()].sort(byTime);
    let from = 0;
    for (let i = 1; i <= ordered.length; i++) {
      if (i < ordered.length && ordered[i]!.at - ordered[i - 1]!.at <= settings.sessionIdle) {
        continue;
      }
      digests.push(
        digest(ordered.slice(from, Math.min(i, from + settings.sessionEvents)), settings),
      );
      from = i;
    }
  }
  return digests.sort((a, b) => a.start - b.start || compareText(a.session_id, b.session_id));
}

/** In one millisecond: what a person does comes before what it causes. */
const CAUSE_FIRST = [
  "input",
  "click",
  "form_submit",
  "custom",
  "error",
  "page_leave",
  "navigation",
];

/** The order of events, whatever the order of arrival. */
export function byTime(a: BehaviourEvent, b: BehaviourEvent): number {
  return a.at - b.at || (a.order ?? 0) - (b.order ?? 0) ||
    CAUSE_FIRST.indexOf(a.event_type) - CAUSE_FIRST.indexOf(b.event_type) ||
    compareText(a.event_id, b.event_id);
}

/** Digests one session: events in order, without a pause of `sessionIdle`. */
function digest(events: BehaviourEvent[], settings: Settings): SessionDigest {
  const tokens: string[] = [];
  const token_events: string[] = [];
  const token_after: number[] = [];
  const pages = new Set<string>();
  const choices = new Map<string, Choice>();
  /** Actions up to and with each event. */
  const place: number[] = [];
  for (const event of events) {
    pages.add(`${event.module}\t${normalisePage(event.page)}`);
    const name = token(event);
    if (name !== undefined && name !== tokens.at(-1) && tokens.length < settings.sessionTokens) {
      tokens.push(name);
      token_events.push(event.event_id);
      token_after.push(event.at - events[0]!.at);
    }
    place.push(tokens.length);
    const choice = choiceOf(event);
    if (choice !== undefined) {
      const key = `${choice.module}\t${choice.page}\t${choice.control}`;
      const before = choices.get(key);
      choice.active = before !== undefined && before.value !== choice.value || choice.active;
      if (before?.active && before.value === choice.value) choice.active = true;
      choices.set(key, choice);
    }
  }
  return {
    session_id: events[0]!.session_id,
    start: events[0]!.at,
    end: events.at(-1)!.at,
    events: events.length,
    tokens,
    token_events,
    token_after,
    pages: [...pages].sort(compareText),
    choices: [...choices.values()].sort((a, b) =>
      compareText(a.module, b.module) || compareText(a.page, b.page) ||
      compareText(a.control, b.control)
    ),
    ...findStruggles(events, place, settings.struggle),
  };
}

/** What a person chose at a control (select, sort, filter, view), if that is what the event says. */
function choiceOf(event: BehaviourEvent): Choice | undefined {
  if (event.event_type !== "input" && event.event_type !== "custom") return undefined;
  const control = text(event.payload?.["control"]);
  const value = event.payload?.["choice"];
  if (control === undefined || value === undefined || value === null) return undefined;
  if (typeof value === "object") return undefined;
  return {
    module: event.module,
    page: normalisePage(event.page),
    control: control.slice(0, 200),
    value: String(value).slice(0, 200),
    at: event.at,
    event_id: event.event_id,
    active: event.payload?.["changed"] === true || event.payload?.["default"] === false,
  };
}
