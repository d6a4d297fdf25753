/** One user's part in what is known of everybody: counts by unit, ready to be added up. */

import { defaults, type Settings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import { standing } from "./learn_struggles.ts";
import type { Window } from "./window.ts";

/** Sessions exposed, sessions that hit, sessions followed by trouble. */
export type UnitCounts = [n: number, k: number, f: number];

/** Units of one user that count; the most used win. */
const MAX_UNITS = 1_000;

/** Unit keys. Parts are joined by tabs. */
export const unitKey = {
  /** A page: n sessions reached it. */
  page: (module: string, page: string) => `p\t${module}\t${page}`,
  /** A struggle: k sessions had it. */
  struggle: (kind: string, module: string, page: string, target: string) =>
    `s\t${kind}\t${module}\t${page}\t${target}`,
  /** A clicked target (module, page, target): n sessions, k with a run, f with trouble after it. */
  target: (unit: string) => `t\t${unit}`,
  /** A control: n sessions chose something. */
  control: (module: string, page: string, control: string) => `c\t${module}\t${page}\t${control}`,
  /** A value at a control: k sessions chose it. */
  value: (module: string, page: string, control: string, value: string) =>
    `v\t${module}\t${page}\t${control}\t${value}`,
};

/** The user's counts over the window, keys in order. */
export function contribution(
  window: Window,
  settings: Settings = defaults,
): Record<string, UnitCounts> {
  const units = new Map<string, UnitCounts>();
  const add = (key: string, n: number, k = 0, f = 0) => {
    const counts = units.get(key) ?? [0, 0, 0];
    units.set(key, [counts[0] + n, counts[1] + k, counts[2] + f]);
  };
  for (const session of window.sessions) {
    for (const page of session.pages) add(`p\t${page}`, 1);
    for (const { unit, run, trouble } of session.clicked) {
      add(unitKey.target(unit), 1, Number(run), Number(trouble));
    }
    for (const { module, page, control, value } of session.choices) {
      add(unitKey.control(module, page, control), 1);
      add(unitKey.value(module, page, control, value), 0, 1);
    }
  }
  for (const { hit } of standing(window, settings)) {
    add(unitKey.struggle(hit.kind, hit.module, hit.page, hit.target), 0, 1);
  }
  return Object.fromEntries(
    [...units].sort((a, b) => b[1][0] - a[1][0] || compareText(a[0], b[0])).slice(0, MAX_UNITS)
      .sort((a, b) => compareText(a[0], b[0])),
  );
}
