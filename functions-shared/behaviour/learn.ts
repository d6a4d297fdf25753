/** Everything one user's sessions teach. */

import { contribution, type UnitCounts } from "./contribution.ts";
import { type HabitMetadata, learnHabits, stepsDone } from "./learn_habits.ts";
import { learnPreferences, preferenceKeys } from "./learn_preferences.ts";
import { learnStruggles, type StandingHit, struggleKeys } from "./learn_struggles.ts";
import { defaults, type Settings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import type { LearnedPattern, Population, SessionDigest } from "./types.ts";
import { type Window, windowOf } from "./window.ts";

/** What learning one user gives. */
export interface Learned {
  patterns: LearnedPattern[];
  /** The user's part in everybody's counts. */
  contribution: Record<string, UnitCounts>;
}

/** What may be said besides. */
export interface LearnOptions {
  settings?: Settings;
  /** When anything was last heard of the user, ms since 1970; default: their newest event. */
  heardAt?: number | undefined;
}

/** Population units that learning these sessions needs to know about. */
export function populationKeys(
  digests: readonly SessionDigest[],
  { settings = defaults, heardAt }: LearnOptions = {},
): string[] {
  const window = windowOf(digests, settings, heardAt);
  const keys = new Set([...struggleKeys(window, settings), ...preferenceKeys(window, settings)]);
  return [...keys].sort(compareText);
}

/**
 * Learns a user's struggles, preferences and habits from the newest sessions.
 *
 * Pure and deterministic: the result depends on the set of sessions and on `others` only.
 *
 * @param digests sessions of one user, any order.
 * @param others counts of everybody else, for the units `populationKeys` named.
 */
export function learn(
  digests: readonly SessionDigest[],
  others: Population = new Map(),
  { settings = defaults, heardAt }: LearnOptions = {},
): Learned {
  const window = windowOf(digests, settings, heardAt);
  const own = contribution(window, settings);
  const habits = learnHabits(window, settings);
  const struggles = learnStruggles(window, others, own, settings).map(({ hits, ...struggle }) => ({
    ...struggle,
    metadata: { ...struggle.metadata, within: located(window, hits, habits, settings) },
  }));
  const patterns = [...struggles, ...learnPreferences(window, others, settings), ...habits];
  for (const pattern of patterns) {
    pattern.metadata = {
      ...pattern.metadata,
      evidence: pattern.evidence,
      algorithm: settings.algorithm,
    };
  }
  return { patterns, contribution: own };
}

/** Where in habits a struggle happens: "stuck at step 3 of ...". */
function located(
  window: Window,
  hits: readonly StandingHit[],
  habits: readonly LearnedPattern[],
  settings: Settings,
): { habit: string; step: number; of: number; times: number }[] {
  const places = new Map<string, { habit: string; step: number; of: number; times: number }>();
  for (const { hit, session } of hits) {
    for (const { key, metadata } of habits) {
      const { sequence, steps } = metadata as HabitMetadata;
      const digest = window.sessions[session]!;
      const done = stepsDone(sequence, digest, hit.token, settings.habit.maxGap);
      if (done === 0) continue;
      const there = steps[done - 1]!.page === hit.page;
      const step = there ? done : Math.min(done + 1, sequence.length);
      if (steps[step - 1]!.page !== hit.page) continue;
      const place = places.get(`${key} ${step}`) ??
        { habit: key, step, of: sequence.length, times: 0 };
      place.times++;
      places.set(`${key} ${step}`, place);
    }
  }
  return [...places.values()].sort((a, b) =>
    b.times - a.times || compareText(a.habit, b.habit) || a.step - b.step
  );
}
