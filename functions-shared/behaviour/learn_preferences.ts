/** What a person chooses again and again, and not because everybody does. */

import { unitKey } from "./contribution.ts";
import { DAY, defaults, type Settings } from "./settings.ts";
import { compareText, tailOfPicks, wilsonLower, wilsonUpper } from "./statistics.ts";
import type { Choice, LearnedPattern, Population } from "./types.ts";
import { dayOf, naturalKey, rounded, weightOf, type Window } from "./window.ts";

interface Chosen extends Choice {
  weight: number;
  day: number;
}

interface Tally {
  k: number;
  decayed: number;
}

function contexts(window: Window, settings: Settings): Map<string, Chosen[]> {
  const found = new Map<string, Chosen[]>();
  for (const session of window.sessions) {
    const weight = weightOf(window, session.start, settings.preference.halfLifeDays);
    for (const choice of session.choices) {
      const key = unitKey.control(choice.module, choice.page, choice.control);
      const list = found.get(key) ?? [];
      list.push({ ...choice, weight, day: dayOf(session.start) });
      found.set(key, list);
    }
  }
  for (const [key, list] of found) {
    if (list.length < settings.preference.minSessions) found.delete(key);
  }
  return found;
}

/** Population units `learnPreferences` will ask for. */
export function preferenceKeys(window: Window, settings: Settings = defaults): string[] {
  return [...contexts(window, settings)].flatMap(([key, list]) => [
    key,
    ...new Set(list.map((c) => unitKey.value(c.module, c.page, c.control, c.value))),
  ]);
}

/**
 * Preferences, one per control: the value of most sessions, ahead of the runner-up and of what
 * everybody chooses. When the last weeks clearly prefer another value, that one counts (drift).
 *
 * @param others counts of everybody else.
 */
export function learnPreferences(
  window: Window,
  others: Population,
  settings: Settings = defaults,
): LearnedPattern[] {
  const p = settings.preference;
  const learned: LearnedPattern[] = [];
  for (const [key, all] of contexts(window, settings)) {
    const since = window.asOf - p.driftDays * DAY;
    const drifted = drift(all, all.filter((c) => c.at > since), p, settings.wilsonZ);
    const list = drifted ? all.filter((c) => c.at > since) : all;
    const counts = tally(list);
    const [value, first] = leader(counts);
    const total = sum(list);
    const second = Math.max(
      0,
      ...[...counts].filter(([v]) => v !== value).map(([, t]) => t.decayed),
    );
    const days = new Set(list.map((c) => c.day)).size;
    const share = first.decayed / total, margin = share - second / total;
    if (list.length < p.minSessions || days < p.minDays) continue;
    if (share < p.minShare || margin < p.minMargin) continue;
    const confidence = wilsonLower(first.decayed, total, settings.wilsonZ);
    const values = new Set(all.map((c) => c.value)).size;
    // whoever picks at random has no preference, however the picks fell
    const chance = values * tailOfPicks(first.k, list.length, 1 / Math.max(2, values));
    if (chance > (drifted ? p.driftChance : p.chance)) continue;
    const { module, page, control } = list[0]!;
    const n = others.get(key)?.n ?? 0;
    const k = others.get(unitKey.value(module, page, control, value))?.k ?? 0;
    const active = list.filter((c) => c.value === value && c.active).length;
    const known = n >= settings.struggle.tenantSessions;
    if (known && share < p.populationRatio * (k / n) && active < p.activeChanges) continue;
    const evidence = list.filter((c) => c.value === value)
      .sort((a, b) => b.at - a.at || compareText(a.event_id, b.event_id));
    learned.push({
      pattern_type: "preference",
      key: naturalKey(module, page, control),
      variant: value,
      module,
      confidence,
      frequency: first.k,
      last_detected_at: evidence[0]!.at,
      evidence: evidence.slice(0, settings.evidence).map((c) => c.event_id),
      metadata: {
        page,
        control,
        value,
        k: first.k,
        n: list.length,
        k_decayed: rounded(first.decayed),
        n_decayed: rounded(total),
        share: rounded(share),
        margin: rounded(margin),
        days,
        active_changes: active,
        drift: drifted,
      },
    });
  }
  return learned.sort((a, b) => compareText(a.key, b.key));
}

/** Whether the recent choices contradict the older ones beyond chance. */
function drift(
  all: readonly Chosen[],
  recent: readonly Chosen[],
  p: Settings["preference"],
  z: number,
): boolean {
  if (recent.length < p.minSessions || recent.length === all.length) return false;
  const older = all.filter((c) => !recent.includes(c));
  const [old] = leader(tally(older));
  const now = tally(recent);
  const [fresh, { k }] = leader(now);
  if (fresh === old) return false;
  return wilsonLower(k, recent.length, z) > wilsonUpper(now.get(old)?.k ?? 0, recent.length, z);
}

function tally(list: readonly Chosen[]): Map<string, Tally> {
  const counts = new Map<string, Tally>();
  for (const { value, weight } of list) {
    const one = counts.get(value) ?? { k: 0, decayed: 0 };
    counts.set(value, { k: one.k + 1, decayed: one.decayed + weight });
  }
  return counts;
}

function leader(counts: ReadonlyMap<string, Tally>): [string, Tally] {
  return [...counts].sort((a, b) => b[1].decayed - a[1].decayed || compareText(a[0], b[0]))[0]!;
}

function sum(list: readonly Chosen[]): number {
  return list.reduce((total, c) => total + c.weight, 0);
}
