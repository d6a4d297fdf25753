/** From sessions to the routines a person repeats. */

import { type Habit, mineHabits } from "./mine_habits.ts";
import { parseToken } from "./normalise.ts";
import { defaults, type Settings } from "./settings.ts";
import { compareText } from "./statistics.ts";
import type { LearnedPattern, SessionDigest } from "./types.ts";
import { dayOf, fingerprint, rounded, weightOf, type Window } from "./window.ts";

/** A stretch of a session that may hold one round of a routine. */
interface Stretch {
  session: number;
  from: number;
  tokens: string[];
}

/**
 * Cuts a session where a routine starts over: after a submit, before the first action that was
 * already done since the last cut. A submit that is followed by something new ends nothing.
 */
export function cutRounds(tokens: readonly string[]): { from: number; tokens: string[] }[] {
  const rounds: { from: number; tokens: string[] }[] = [];
  let from = 0, submitted = -1;
  let seen = new Map<string, number>();
  for (let i = 0; i <= tokens.length; i++) {
    const name = tokens[i];
    const again = name !== undefined && (seen.get(name) ?? Infinity) <= submitted;
    if (name === undefined || again) {
      if (i > from) rounds.push({ from, tokens: tokens.slice(from, i) });
      from = i;
      submitted = -1;
      seen = new Map();
    }
    if (name === undefined) break;
    if (!seen.has(name)) seen.set(name, i);
    if (name.startsWith("form_submit:")) submitted = i;
  }
  return rounds;
}

/** A workflow habit's metadata. */
export interface HabitMetadata extends Record<string, unknown> {
  /** The actions, as tokens, in order. */
  sequence: string[];
  steps: {
    token: string;
    event_type: string;
    module: string;
    page: string;
    target: string | null;
  }[];
  optional: { before: number; token: string; share: number }[];
}

/** Habits of the window, as patterns. */
export function learnHabits(window: Window, settings: Settings = defaults): LearnedPattern[] {
  const stretches: Stretch[] = window.sessions.flatMap((session, i) =>
    cutRounds(session.tokens).map((round) => ({ session: i, ...round }))
  );
  const startOf = (s: Stretch) => window.sessions[s.session]!.start;
  const habits = mineHabits(stretches.map((s) => s.tokens), {
    groups: stretches.map((s) => s.session),
    days: stretches.map((s) => dayOf(startOf(s))),
    weights: stretches.map((s) => weightOf(window, startOf(s), settings.habit.halfLifeDays)),
    perOccurrence: false,
    settings: settings.habit,
  });
  const own = habits.filter((habit) => {
    const made = habit.steps.filter((_, i) => !isConsequence(window, stretches, habit, i));
    return made.length >= settings.habit.minLength;
  });
  return own.map((habit): LearnedPattern => {
    const seen = new Map<number, { at: number; event: string }>();
    for (const { sequence, positions } of habit.occurrences) {
      const { session, from } = stretches[sequence]!;
      const digest = window.sessions[session]!;
      const last = from + positions.at(-1)!;
      seen.set(session, {
        at: digest.start + digest.token_after[last]!,
        event: digest.token_events[last]!,
      });
    }
    const evidence = [...seen.values()].sort((a, b) =>
      b.at - a.at || compareText(a.event, b.event)
    );
    const steps = habit.steps.map((token) => {
      const { target, ...rest } = parseToken(token);
      return { token, ...rest, target: target === "" ? null : target };
    });
    const key = fingerprint(habit.steps.join("\n"));
    const metadata: HabitMetadata = {
      sequence: habit.steps,
      steps,
      optional: habit.optional.map(({ before, step, share }) => ({
        before,
        token: step,
        share: rounded(share),
      })),
      k: habit.support,
      n: habit.prefixSupport,
      sessions: window.sessions.length,
      k_decayed: rounded(habit.weight),
      lift: rounded(Math.min(habit.lift, 1e6)),
      cohesion: rounded(habit.cohesion),
      rank: rounded(habit.rank),
      log10_chance: rounded(habit.logChance),
      occurrences: habit.occurrences.length,
    };
    return {
      pattern_type: "workflow_habit",
      key,
      variant: key,
      module: mostCommon(steps.map((s) => s.module)),
      confidence: habit.confidence,
      frequency: habit.support,
      last_detected_at: evidence[0]!.at,
      evidence: evidence.slice(0, settings.evidence).map((e) => e.event),
      metadata,
    };
  }).sort((a, b) => compareText(a.key, b.key));
}

/** How soon after a click or submit a page is the app's doing, in ms, and in which share of cases. */
const CONSEQUENCE = { within: 1_000, share: 0.9 };

/** Whether step `i` is the page that the click or submit before it leads to: no step of the person. */
function isConsequence(
  window: Window,
  stretches: readonly Stretch[],
  habit: Habit<string>,
  i: number,
): boolean {
  if (i === 0 || !habit.steps[i]!.startsWith("navigation:")) return false;
  if (!/^(?:click|form_submit):/.test(habit.steps[i - 1]!)) return false;
  const soon = habit.occurrences.filter(({ sequence, positions }) => {
    const { session, from } = stretches[sequence]!;
    const after = window.sessions[session]!.token_after;
    return after[from + positions[i]!]! - after[from + positions[i - 1]!]! < CONSEQUENCE.within;
  });
  return soon.length >= CONSEQUENCE.share * habit.occurrences.length;
}

function mostCommon(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || compareText(a[0], b[0]))[0]![0];
}

/**
 * How many steps of a habit had been done when a session had `done` actions: the longest beginning
 * of the habit that ends just before, within the gap. 0: not in this habit.
 */
export function stepsDone(
  steps: readonly string[],
  session: Pick<SessionDigest, "tokens">,
  done: number,
  maxGap: number,
): number {
  const back = (step: number, before: number): boolean => {
    for (let at = before - 1; at >= 0 && at >= before - 1 - maxGap; at--) {
      if (session.tokens[at] === steps[step] && (step === 0 || back(step - 1, at))) return true;
    }
    return false;
  };
  for (let length = steps.length; length > 0; length--) if (back(length - 1, done)) return length;
  return 0;
}
