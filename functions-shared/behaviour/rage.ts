/** Rage clicks: runs on one target, and what a target's runs lead to. */

import { normalisePage, normaliseTarget, text } from "./normalise.ts";
import type { StruggleSettings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import type { BehaviourEvent, SessionDigest } from "./types.ts";

/** Labels people click in a row on purpose (PostHog's list, and the minus signs). */
const STEPPERS = new Set(["next", "previous", "prev", "<", ">", "+", "-", "−", "–"]);
const TEXT_FIELD =
  /^(?:textarea|input(?:\[type=.?(?:text|email|search|tel|url|password|number).?\])?)(?:[#.:[]|$)|contenteditable|textbox/i;

interface Run {
  key: string;
  clicks: { event: BehaviourEvent; index: number }[];
  void: boolean;
}

/** Follows the clicks of a session; reports each run that is rage. */
export class RageDetector {
  #run: Run | undefined;
  readonly #units = new Map<string, { unit: string; run: boolean; trouble: boolean }>();
  readonly #fields: Set<string>;
  readonly #errors: number[];

  constructor(
    private readonly events: readonly BehaviourEvent[],
    private readonly settings: StruggleSettings,
    private readonly report: (event: BehaviourEvent, index: number) => void,
  ) {
    this.#fields = new Set(
      events.filter((e) => e.event_type === "input" && e.payload?.["control"] === undefined)
        .map((e) => key(e)),
    );
    this.#errors = events.filter((e) => e.event_type === "error").map((e) => e.at);
  }

  /** Takes the next click. */
  click(event: BehaviourEvent, index: number): void {
    const unit = key(event);
    const entry = this.#units.get(unit) ?? { unit, run: false, trouble: false };
    this.#units.set(unit, entry);
    const last = this.#run?.clicks.at(-1)?.event;
    const continues = this.#run?.key === unit && last !== undefined &&
      event.at - last.at <= this.settings.rageSpan &&
      (unit.endsWith("\t") ? distance(event, last) <= this.settings.ragePixels : true);
    if (!continues) this.#run = { key: unit, clicks: [], void: this.#harmless(event, unit) };
    const run = this.#run!;
    run.clicks.push({ event, index });
    if (event.payload?.["selection"] === true || event.payload?.["scroll"] === true) {
      run.void = true;
    }
    const first = run.clicks.at(-this.settings.rageClicks);
    if (first === undefined || event.at - first.event.at > this.settings.rageSpan) return;
    entry.run = true;
    entry.trouble ||= this.#troubleAfter(event);
    if (!run.void) this.report(event, index);
  }

  /** Every clicked target: what decides whether a target is made to be clicked in runs. */
  clicked(): SessionDigest["clicked"] {
    return [...this.#units.values()].sort((a, b) => compareText(a.unit, b.unit));
  }

  #harmless(event: BehaviourEvent, unit: string): boolean {
    const label = text(event.payload?.["label"])?.trim().toLowerCase();
    return label !== undefined && STEPPERS.has(label) || this.#fields.has(unit) ||
      TEXT_FIELD.test(event.target ?? "");
  }

  /** An error or the end of the visit soon after. */
  #troubleAfter(event: BehaviourEvent): boolean {
    const until = event.at + this.settings.troubleSpan;
    if (this.events.at(-1)!.at <= until) return true;
    return this.#errors.some((at) => at >= event.at && at <= until);
  }
}

/** Module, page and target joined by tabs. */
function key(event: BehaviourEvent): string {
  return `${event.module}\t${normalisePage(event.page)}\t${normaliseTarget(event.target)}`;
}

/** Manhattan distance in pixels (as PostHog measures); far when a place is unknown. */
function distance(a: BehaviourEvent, b: BehaviourEvent): number {
  const ax = a.payload?.["x"], ay = a.payload?.["y"], bx = b.payload?.["x"], by = b.payload?.["y"];
  if (
    typeof ax !== "number" || typeof ay !== "number" || typeof bx !== "number" ||
    typeof by !== "number"
  ) return Infinity;
  return Math.abs(ax - bx) + Math.abs(ay - by);
}
