import { autocapture } from "./autocapture.ts";
import { type Finder, finder } from "./find.ts";
import { type Learned, learned } from "./learned.ts";
import { type Logs, logs } from "./logs.ts";
import type { ClientProblem, MiraOptions, SessionLike, SupabaseLike } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { type Runs, runs } from "./runs.ts";
import { type SendCounts, Sender } from "./sender.ts";
import { browserStorage } from "./storage.ts";
import { type Tokens, tokens } from "./tokens.ts";
import { Tracker } from "./tracker.ts";
import { createTransport } from "./transport.ts";

const TYPES = [
  "navigation",
  "click",
  "input",
  "form_submit",
  "error",
  "page_leave",
  "custom",
] as const;

/** Counters of one client, and how many events still wait. */
export interface MiraStats extends SendCounts {
  queued: number;
  dropped: number;
}

/** What {@link createMira} returns. */
export interface Mira {
  /**
   * Records something people did. A name that is not one of the seven event types becomes a
   * `custom` event with that name as its target. Returns false if nothing was
   * recorded (nobody signed in, opted out, payload unfit).
   */
  track(
    name: string,
    payload?: Record<string, unknown>,
    where?: { target?: string; page?: string; module?: string; element?: Element },
  ): boolean;
  /** Sends what waits, now. */
  flush(): Promise<void>;
  stats(): MiraStats;
  /** Stops recording in this browser and forgets what was not sent yet. */
  optOut(): void;
  /** Takes {@link Mira.optOut} back. */
  optIn(): void;
  readonly optedOut: boolean;
  /** What worked before, by meaning. */
  readonly find: Finder["find"];
  readonly patterns: Finder;
  /** What was learned about the person. */
  readonly learned: Learned;
  /** Starts a workflow; iterate it to follow its steps, await `.result` for its end. */
  readonly run: Runs["start"];
  readonly runs: Runs;
  readonly tokens: Tokens;
  readonly logs: Logs;
  /** Removes every listener and timer. Unsent events stay kept for the next visit. */
  close(): void;
}

/**
 * The browser's side of Mira, on top of a supabase-js client: it records what the signed-in person
 * does, exactly once and without their data, and calls the six functions with types.
 *
 * @example
 * ```ts
 * const mira = createMira(createClient(url, publishableKey));
 * mira.track("lead_called", { outcome: "reached" });
 * for await (const step of mira.run({ workflow_id, input: { lead_id } })) console.log(step);
 * ```
 */
export function createMira(supabase: SupabaseLike, options: MiraOptions = {}): Mira {
  const storage = options.storage ?? browserStorage();
  const transport = createTransport(supabase, options);
  const outbox = new Outbox(storage, options.queueLimit ?? 1000);
  const batchSize = Math.min(options.batchSize ?? 50, 500);
  const problem = (what: ClientProblem) => options.onProblem?.(what);
  let session: SessionLike | null = null;
  let fresh = 0;
  const sender = new Sender(outbox, transport, () => session, batchSize, problem);
  const tracker = new Tracker(outbox, storage, options, () => {
    sender.schedule(++fresh >= batchSize ? fresh = 0 : options.flushMs ?? 3000);
  }, problem);

  const { data: { subscription } } = supabase.auth.onAuthStateChange((_event, now) => {
    const isNew = now && now.user.id !== session?.user.id;
    session = now;
    tracker.signedIn(now);
    if (isNew) sender.schedule(0); // what an earlier visit left behind
  });
  const watch = options.autocapture ?? true;
  const stopWatching = typeof document !== "undefined" && watch && !tracker.optedOut
    ? autocapture(
      watch === true ? {} : watch,
      (sight) => tracker.record(sight),
      () => tracker.page(),
      () => sender.flushOnExit(),
    )
    : () => {};
  const online = () => void sender.flush();
  globalThis.addEventListener?.("online", online);

  const patterns = finder(transport);
  const workflowRuns = runs(transport);
  return {
    track(name, payload = {}, where = {}) {
      const type = TYPES.find((known) => known === name);
      const target = where.target ?? (type || where.element ? undefined : name);
      const sight = { ...where, event_type: type ?? "custom" as const, payload };
      return tracker.record({ ...sight, ...(target ? { target } : {}) }) !== null;
    },
    flush: () => sender.flush(),
    stats: () => ({
      ...sender.counts,
      dropped: outbox.dropped,
      queued: session ? outbox.size(session.user.id) : 0,
    }),
    optOut: () => tracker.optOut(true),
    optIn: () => tracker.optOut(false),
    get optedOut() {
      return tracker.optedOut;
    },
    find: patterns.find,
    patterns,
    learned: learned(transport),
    run: workflowRuns.start,
    runs: workflowRuns,
    tokens: tokens(transport),
    logs: logs(transport),
    close() {
      subscription.unsubscribe();
      stopWatching();
      sender.stop();
      globalThis.removeEventListener?.("online", online);
    },
  };
}
