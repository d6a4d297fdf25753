/** What of the page the client watches by itself. */
export interface AutocaptureOptions {
  /** Page loads, SPA navigation and time on page. Default true. */
  pages?: boolean;
  /** Clicks, with the dead-click observation. Default true. */
  clicks?: boolean;
  /** Field focus and change, submits, abandonment. Default true. */
  forms?: boolean;
  /** Uncaught errors and unhandled rejections. Default true. */
  errors?: boolean;
}

/** Something the client could not do. It is reported, never thrown into the app. */
export interface ClientProblem {
  /** `rejected` by the server · `dropped` to stay in bounds · `refused` batch · `offline` (will retry) · `unserializable` payload. */
  code: "rejected" | "dropped" | "refused" | "offline" | "unserializable";
  detail: string;
  event_id?: string;
}

/** Options of {@link createMira}; every one has a working default. */
export interface MiraOptions {
  /** Project URL. Default: the one the supabase-js client was made with. */
  url?: string;
  /** Publishable key. Default: the one the supabase-js client was made with. */
  key?: string;
  /** `true` (default in a browser), `false`, or which parts to watch. */
  autocapture?: boolean | AutocaptureOptions;
  /** Milliseconds an event may wait for company. Default 3,000. */
  flushMs?: number;
  /** Events that make a batch leave at once. Default 50, at most 500. */
  batchSize?: number;
  /** Events kept while the server cannot be reached; the oldest go first. Default 1,000. */
  queueLimit?: number;
  /** Record nothing when the browser says Do-Not-Track or Global Privacy Control. Default true. */
  respectDoNotTrack?: boolean;
  /** Names the current page. Default: the path, or the hash route where there is one. */
  page?: () => string;
  /** Where the queue lives. Default `localStorage`; memory where there is none. */
  storage?: Storage;
  /** Transport, for tests and exotic runtimes. Default the global `fetch`. */
  fetch?: typeof fetch;
  /** Hears of every {@link ClientProblem}. Default: silence. */
  onProblem?: (problem: ClientProblem) => void;
}

/** The little of supabase-js the client needs; a `SupabaseClient` fits. */
export interface SupabaseLike {
  auth: {
    getSession(): Promise<{ data: { session: SessionLike | null } }>;
    // deno-lint-ignore no-explicit-any -- supabase-js narrows the event name; any callback shape fits
    onAuthStateChange(callback: (event: any, session: SessionLike | null) => void): {
      data: { subscription: { unsubscribe(): void } };
    };
  };
}

/** A signed-in person, as supabase-js describes one. */
export interface SessionLike {
  access_token: string;
  user: { id: string };
}
