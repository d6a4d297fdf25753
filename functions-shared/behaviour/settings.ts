/** Every constant of the learner: named, with its source, and overridable. */

/** Milliseconds. */
type Ms = number;
/** Part of a whole, 0..1. */
type Share = number;

/** The learner's constants. Times in milliseconds, half-lives and spans in days. */
export interface Settings {
  /** Written into every pattern; a change of meaning changes it. */
  algorithm: string;
  /** A pause this long ends a session (web analytics' common 30 minutes). */
  sessionIdle: Ms;
  /** Newest sessions a user's patterns are computed from: exact and bounded, no lossy sketch. */
  windowSessions: number;
  /** Actions kept of one session. */
  sessionTokens: number;
  /** Events read of one session, earliest first; beyond it only a machine gets. */
  sessionEvents: number;
  /** Normal quantile of the one-sided 95 % Wilson bounds (Wilson 1927). */
  wilsonZ: number;
  /** Evidence event ids kept per pattern. */
  evidence: number;
  struggle: StruggleSettings;
  preference: PreferenceSettings;
  habit: HabitSettings;
}

/** Thresholds of the struggle detectors; peers' figures in brackets. */
export interface StruggleSettings {
  /** Clicks of a rage run (PostHog, Datadog, OpenReplay: 3; Mixpanel: 4). */
  rageClicks: number;
  /** They fall within this span (Datadog, PostHog: 1,000 ms). */
  rageSpan: Ms;
  /** Without a target: pixels to the previous click (PostHog, Mixpanel: 30). */
  ragePixels: number;
  /** A target learned to be clicked in runs: sessions, users, share with a run, share followed by trouble. */
  repeatable: { sessions: number; users: number; runShare: Share; troubleShare: Share };
  /** What "followed by" means for a run. */
  troubleSpan: Ms;
  /** An error this soon after a click belongs to it. */
  errorSpan: Ms;
  /** Submits of one form, this close, make a retry. */
  retrySubmits: number;
  retrySpan: Ms;
  /** Changes of one field in one visit. */
  thrashChanges: number;
  /** Inputs that make an unfinished form an abandoned one, and how long a later submit retracts it. */
  abandonInputs: number;
  retractSpan: Ms;
  /** Longest stay on B in A, B, A (ours: no peer publishes its figure). */
  uturnDwell: Ms;
  /** Moves between the same two pages. */
  pingpongMoves: number;
  pingpongSpan: Ms;
  /** Loads of the same page. */
  refreshLoads: number;
  refreshSpan: Ms;
  halfLifeDays: number;
  minSessions: number;
  minConfidence: Share;
  /** How much worse than everybody else, once others have reached the page this often. */
  tenantRatio: number;
  tenantSessions: number;
  /** Visits without a hit that resolve it. */
  resolveAfter: number;
}

/** Thresholds of preferences. */
export interface PreferenceSettings {
  halfLifeDays: number;
  minSessions: number;
  minDays: number;
  minShare: Share;
  /** Lead over the runner-up, as share. */
  minMargin: Share;
  /** How far above everybody else's share. */
  populationRatio: number;
  /** Changes away from the default that make it the person's own doing. */
  activeChanges: number;
  /** Largest chance that somebody who picks at random, among the values seen, looks like this. */
  chance: Share;
  /** Span of the drift test, and its own largest chance: it looks at fewer sessions, and again. */
  driftDays: number;
  driftChance: Share;
}

/** Thresholds of habit mining. */
export interface HabitSettings {
  /** Actions that may lie between two steps. */
  maxGap: number;
  minLength: number;
  maxLength: number;
  minSupport: number;
  minShare: Share;
  minDays: number;
  /** A step with this share of the support belongs to the pattern (delta-closed); with less it is optional. */
  closure: Share;
  /** Family-wise error of the permutation test, over all patterns that could have been seen. */
  alpha: number;
  /** The same for one more step of a pattern, over all symbols and places tried. */
  extensionAlpha: number;
  /** Seeded shuffles and the distance from their mean, in standard deviations. */
  shuffles: number;
  shuffleZ: number;
  minLift: number;
  minConfidence: Share;
  /** Part of a step's occurrences that must belong to the habit for an untested extension. */
  belonging: Share;
  /** Optional step: share of the habit's occurrences that have it. */
  optional: Share;
  maxHabits: number;
  /** Seeds grown, best first, and seeds times actions: the mining budget, the same on any machine. */
  maxSeeds: number;
  maxWork: number;
  halfLifeDays: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** One day in milliseconds. */
export const DAY: Ms = 24 * 60 * MINUTE;

/** The values in force unless a caller overrides them. */
export const defaults: Settings = {
  algorithm: "mira-learn-1",
  sessionIdle: 30 * MINUTE,
  windowSessions: 200,
  sessionTokens: 200,
  sessionEvents: 5_000,
  wilsonZ: 1.645,
  evidence: 5,
  struggle: {
    rageClicks: 3,
    rageSpan: SECOND,
    ragePixels: 30,
    repeatable: { sessions: 20, users: 5, runShare: 0.3, troubleShare: 0.05 },
    troubleSpan: 30 * SECOND,
    errorSpan: 2 * SECOND,
    retrySubmits: 2,
    retrySpan: MINUTE,
    thrashChanges: 4,
    abandonInputs: 2,
    retractSpan: DAY,
    uturnDwell: 7 * SECOND,
    pingpongMoves: 4,
    pingpongSpan: MINUTE,
    refreshLoads: 3,
    refreshSpan: 10 * SECOND,
    halfLifeDays: 14,
    minSessions: 2,
    minConfidence: 0.1,
    tenantRatio: 2,
    tenantSessions: 20,
    resolveAfter: 10,
  },
  preference: {
    halfLifeDays: 30,
    minSessions: 5,
    minDays: 3,
    minShare: 0.6,
    minMargin: 0.2,
    populationRatio: 1.2,
    activeChanges: 2,
    chance: 0.11,
    driftDays: 14,
    driftChance: 0.02,
  },
  habit: {
    maxGap: 2,
    minLength: 3,
    maxLength: 40,
    minSupport: 3,
    minShare: 0.05,
    minDays: 2,
    closure: 0.8,
    alpha: 0.01,
    extensionAlpha: 5e-3,
    shuffles: 20,
    shuffleZ: 4,
    minLift: 1.5,
    minConfidence: 0.1,
    belonging: 2 / 3,
    optional: 0.3,
    maxHabits: 20,
    maxSeeds: 200,
    maxWork: 2_000_000,
    halfLifeDays: 30,
  },
};
