/** The learner's vocabulary: what goes in, what is kept per session, what comes out. */

/** One event as the learner sees it. */
export interface BehaviourEvent {
  event_id: string;
  session_id: string;
  event_type: string;
  module: string;
  page: string;
  target?: string | null | undefined;
  payload?: Record<string, unknown> | null | undefined;
  /** Milliseconds since 1970, corrected for the client's clock. */
  at: number;
  /** Order of arrival, where the client gave no time of its own and arrival is all there is. */
  order?: number;
}

/** A sign of trouble in one session. */
export interface Hit {
  kind: StruggleKind;
  module: string;
  /** Normalised: ids are `:id`. */
  page: string;
  target: string;
  at: number;
  event_id: string;
  /** Actions of the session up to it: where in a habit it happened. */
  token: number;
  /** The session's end decided it: counts once the session is known to be over. */
  open?: true;
}

/** The detectors' names. */
export type StruggleKind =
  | "rage"
  | "dead"
  | "error"
  | "retry"
  | "thrash"
  | "abandon"
  | "uturn"
  | "pingpong"
  | "refresh";

/** The last choice a session made at one control. */
export interface Choice {
  module: string;
  page: string;
  control: string;
  value: string;
  at: number;
  event_id: string;
  /** The person changed it here, from another value. */
  active: boolean;
}

/** All the learner keeps of one session; computed from that session's events alone. */
export interface SessionDigest {
  session_id: string;
  start: number;
  end: number;
  events: number;
  /** Normalised actions, repeats collapsed. */
  tokens: string[];
  /** Event of each token, and its time after `start` in ms. */
  token_events: string[];
  token_after: number[];
  /** `module` and `page` joined by a tab: pages reached. */
  pages: string[];
  hits: Hit[];
  choices: Choice[];
  /** Submitted forms: unit (module, page, form joined by tabs) and when. */
  submits: { unit: string; at: number }[];
  /** Clicked targets: unit, whether in a rage run, whether trouble followed. */
  clicked: { unit: string; run: boolean; trouble: boolean }[];
}

/** What was learned, ready to be stored. */
export interface LearnedPattern {
  pattern_type: "struggle" | "preference" | "workflow_habit";
  /** Natural key within user and type. */
  key: string;
  /** What the key currently stands for; a change supersedes the row. */
  variant: string;
  module: string;
  confidence: number;
  /** Sessions that show it, raw. */
  frequency: number;
  /** Milliseconds since 1970 of the newest evidence. */
  last_detected_at: number;
  /** Newest first. */
  evidence: string[];
  metadata: Record<string, unknown>;
}

/** One unit's counts over users: sessions exposed, sessions that hit, sessions followed by trouble. */
export interface Counts {
  users: number;
  n: number;
  k: number;
  f: number;
}

/** Counts by unit key (see `contribution`). */
export type Population = ReadonlyMap<string, Counts>;
