/** From signs of trouble in sessions to struggles of a person. */

import { unitKey } from "./contribution.ts";
import { defaults, type Settings } from "./settings.ts";
import { compareText, wilsonLower } from "./statistics.ts";
import type { Counts, Hit, LearnedPattern, Population } from "./types.ts";
import { naturalKey, rounded, weightOf, type Window } from "./window.ts";

/** A sign of trouble that still stands, and the session it is from. */
export interface StandingHit {
  hit: Hit;
  session: number;
}

interface Unit {
  hits: StandingHit[];
  /** Indices of the sessions that reached the page. */
  exposed: number[];
}

/**
 * Hits that count: not taken back by a later submit of the same form, and not from a session that
 * may still be going on.
 */
export function standing(window: Window, settings: Settings = defaults): StandingHit[] {
  const submits = new Map<string, number[]>();
  for (const session of window.sessions) {
    for (const { unit, at } of session.submits) {
      for (const key of [unit, `${unit.split("\t").slice(0, 2).join("\t")}\t`]) {
        submits.set(key, [...submits.get(key) ?? [], at]);
      }
    }
  }
  return window.sessions.flatMap((session, i) =>
    session.hits.filter((hit) => {
      if (hit.open && window.heardAt - session.end < settings.sessionIdle) return false;
      if (hit.kind !== "abandon") return true;
      const later = submits.get(`${hit.module}\t${hit.page}\t${hit.target}`) ?? [];
      return !later.some((at) => at >= hit.at && at - hit.at <= settings.struggle.retractSpan);
    }).map((hit) => ({ hit, session: i }))
  );
}

/** Hits by unit (kind, module, page, target), with the unit's exposure. */
function unitsOf(window: Window, settings: Settings): Map<string, Unit> {
  const exposed = new Map<string, number[]>();
  window.sessions.forEach((session, i) => {
    for (const page of session.pages) {
      const list = exposed.get(page);
      if (list) list.push(i);
      else exposed.set(page, [i]);
    }
  });
  const units = new Map<string, Unit>();
  for (const one of standing(window, settings)) {
    const { kind, module, page, target } = one.hit;
    const key = unitKey.struggle(kind, module, page, target);
    const unit = units.get(key) ?? { hits: [], exposed: exposed.get(`${module}\t${page}`) ?? [] };
    unit.hits.push(one);
    units.set(key, unit);
  }
  for (const [key, unit] of units) {
    if (unit.hits.length < settings.struggle.minSessions) units.delete(key);
  }
  return units;
}

/** Population units `learnStruggles` will ask for. */
export function struggleKeys(window: Window, settings: Settings = defaults): string[] {
  return [...unitsOf(window, settings)].flatMap(([key, { hits }]) => {
    const { module, page, target } = hits[0]!.hit;
    return [key, unitKey.page(module, page), unitKey.target(`${module}\t${page}\t${target}`)];
  });
}

/**
 * Struggles: often enough, clearly more than others have them, and not resolved since.
 *
 * @param others counts of everybody else (the user's own left out).
 * @param own the user's own counts, for targets everybody clicks in runs.
 */
export function learnStruggles(
  window: Window,
  others: Population,
  own: Record<string, [number, number, number]>,
  settings: Settings = defaults,
): (LearnedPattern & { hits: StandingHit[] })[] {
  const s = settings.struggle;
  const learned: (LearnedPattern & { hits: StandingHit[] })[] = [];
  for (const [key, { hits, exposed }] of unitsOf(window, settings)) {
    const { kind, module, page, target } = hits[0]!.hit;
    if (
      kind === "rage" &&
      isRepeatable(unitKey.target(`${module}\t${page}\t${target}`), others, own, s)
    ) continue;
    const hitIn = new Set(hits.map((h) => h.session));
    const recent = exposed.slice(-s.resolveAfter);
    if (recent.length >= s.resolveAfter && !recent.some((i) => hitIn.has(i))) continue;
    const weigh = (list: Iterable<number>) => {
      let sum = 0;
      for (const i of list) sum += weightOf(window, window.sessions[i]!.start, s.halfLifeDays);
      return sum;
    };
    const k = hitIn.size, n = exposed.length;
    const kDecayed = weigh(hitIn), nDecayed = weigh(exposed);
    const confidence = wilsonLower(kDecayed, nDecayed, settings.wilsonZ);
    // decay shrinks both counts and so widens the interval; that alone must not hide a struggle
    if (Math.max(confidence, wilsonLower(k, n, settings.wilsonZ)) < s.minConfidence) continue;
    const tenantN = others.get(unitKey.page(module, page))?.n ?? 0;
    const tenantK = others.get(key)?.k ?? 0;
    if (tenantN >= s.tenantSessions && k / n < s.tenantRatio * (tenantK / tenantN)) continue;
    const newest = [...hits].sort((a, b) =>
      b.hit.at - a.hit.at || compareText(a.hit.event_id, b.hit.event_id)
    );
    learned.push({
      pattern_type: "struggle",
      key: naturalKey(kind, module, page, target),
      variant: kind,
      module,
      confidence,
      frequency: k,
      last_detected_at: newest[0]!.hit.at,
      evidence: newest.slice(0, settings.evidence).map((h) => h.hit.event_id),
      metadata: {
        kind,
        page,
        target: target === "" ? null : target,
        k,
        n,
        k_decayed: rounded(kDecayed),
        n_decayed: rounded(nDecayed),
      },
      hits,
    });
  }
  return learned.sort((a, b) => compareText(a.key, b.key));
}

/** A target people click in runs without any trouble: a stepper, a calendar, a like button. */
function isRepeatable(
  key: string,
  others: Population,
  own: Record<string, [number, number, number]>,
  { repeatable }: Settings["struggle"],
): boolean {
  const rest: Counts = others.get(key) ?? { users: 0, n: 0, k: 0, f: 0 };
  const mine = own[key] ?? [0, 0, 0];
  const n = rest.n + mine[0], k = rest.k + mine[1], f = rest.f + mine[2];
  const users = rest.users + Number(mine[0] > 0);
  return n >= repeatable.sessions && users >= repeatable.users &&
    k >= repeatable.runShare * n && f <= repeatable.troubleShare * k;
}
