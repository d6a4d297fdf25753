/** Where a habit was done, and with which values. */

import { embeddings } from "./embeddings.ts";
import { token } from "./normalise.ts";
import type { BehaviourEvent } from "./types.ts";

const MAX_GAP = 2;
/** How an event was made, not what it says. */
const NOT_SLOTS = new Set([
  "x",
  "y",
  "dead",
  "selection",
  "scroll",
  "changed",
  "length",
  "dwell_ms",
  "from",
  "referrer",
  "reload",
  "ok",
  "source",
]);

/** What a slot may hold. */
export type Scalar = string | number | boolean;

/** One occurrence: for each step its slot values, or undefined when an optional step was left out. */
export type Occurrence = (Record<string, Scalar> | undefined)[];

/** One step of the plan. */
export interface PlannedStep {
  token: string;
  /** Present in this share of the occurrences; undefined for a step that is always there. */
  optional?: number;
}

/** The last occurrence of the habit in a session, if it is there. */
export function occurrenceIn(
  events: readonly BehaviourEvent[],
  sequence: readonly string[],
  plan: readonly PlannedStep[],
): Occurrence[] {
  const names: string[] = [];
  const first: BehaviourEvent[] = [];
  for (const event of events) {
    const name = token(event);
    if (name === undefined || name === names.at(-1)) continue;
    names.push(name);
    first.push(event);
  }
  const ids = new Map(sequence.map((name, i) => [name, i]));
  const line = Int32Array.from(names, (name) => ids.get(name) ?? -1);
  const positions = embeddings(sequence.map((name) => ids.get(name)!), line, MAX_GAP).at(-1);
  if (positions === undefined) return [];
  let done = 0;
  return [plan.map((step) => {
    if (step.optional === undefined) return valuesOf(first[positions[done++]!]!);
    const from = done === 0 ? positions[0]! - 1 - MAX_GAP : positions[done - 1]! + 1;
    const to = done === positions.length ? positions.at(-1)! + 2 + MAX_GAP : positions[done]!;
    for (let at = Math.max(0, from); at < to && at < names.length; at++) {
      if (names[at] === step.token) return valuesOf(first[at]!);
    }
    return undefined;
  })];
}

/** The slots of an event: its scalar payload fields, and its page where that holds an id. */
function valuesOf(event: BehaviourEvent): Record<string, Scalar> {
  const values: Record<string, Scalar> = {};
  for (const [name, value] of Object.entries(event.payload ?? {})) {
    if (NOT_SLOTS.has(name) || !/^[A-Za-z_][\w-]*$/.test(name)) continue;
    if (typeof value === "string" && /redacted/i.test(value)) continue;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      values[name] = value;
    }
  }
  if (token(event)!.includes(":id")) values["page"] = event.page;
  return values;
}
