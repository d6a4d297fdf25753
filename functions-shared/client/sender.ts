import type { TrackBatch, TrackedEvent, TrackReceipt } from "../contracts/track_event.ts";
import type { ClientProblem, SessionLike } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { MiraError, type Transport } from "./transport.ts";

/** Browsers let a closing page send 64 KiB in all; some is left for the app's own beacons. */
const KEEPALIVE_BYTES = 60_000;
const BODY_BYTES = 480_000;
const LONGEST_WAIT_MS = 5 * 60_000;

/** What became of the events so far. */
export interface SendCounts {
  sent: number;
  duplicates: number;
  rejected: number;
}

/**
 * Empties the outbox in batches, one request at a time.
 *
 * A failure that may pass (no answer, 401, 403, 408, 425, 429, 5xx) keeps the events and waits
 * 1 s · 2^n ± 50 %, at most 5 minutes, or as long as `Retry-After` says. A refusal that will not
 * pass halves the batch until the one event at fault stands alone and is dropped.
 */
export class Sender {
  readonly counts: SendCounts = { sent: 0, duplicates: 0, rejected: 0 };
  #failures = 0;
  #retryAfterMs = 0;
  #handedOver = new Set<string>();
  #again: number | null = null;
  #most: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | null = null;

  constructor(
    private readonly outbox: Outbox,
    private readonly transport: Transport,
    private readonly session: () => SessionLike | null,
    private readonly batchSize: number,
    private readonly problem: (problem: ClientProblem) => void,
  ) {
    this.#most = batchSize;
  }

  /** Sends within `ms`, unless something is already due sooner. */
  schedule(ms: number): void {
    if (this.#running) this.#again = ms;
    if (this.#timer !== undefined || this.#running) return;
    this.#timer = setTimeout(() => void this.flush(), ms);
  }

  /** Sends everything that may leave now. Resolves when the outbox is empty or must wait. */
  flush(): Promise<void> {
    this.stop();
    return this.#running ??= this.#alone(() => this.#drain()).finally(() => {
      this.#running = null;
      if (this.#failures > 0) this.schedule(this.#wait());
      else if (this.#again !== null) this.schedule(this.#again);
      this.#again = null;
    });
  }

  /** The page may be going away: hand the browser what fits and do not wait for the answer. */
  flushOnExit(): void {
    const session = this.session();
    if (!session) return;
    const batch = this.outbox.take(session.user.id, Date.now(), 500, KEEPALIVE_BYTES)
      .filter((entry) => !this.#handedOver.has(entry.key)); // hidden and closing come in pairs
    if (batch.length === 0) return;
    batch.forEach((entry) => this.#handedOver.add(entry.key));
    const body = JSON.stringify(request(batch));
    this.transport.lastCall("track-event", body, session).then(async (response) => {
      // Seldom reached, but a page that was only hidden then knows its events arrived.
      if (response.ok) this.#settle(batch, await response.json());
    }).catch(() => {/* still in the outbox: the next visit sends it */})
      .finally(() => batch.forEach((entry) => this.#handedOver.delete(entry.key)));
  }

  /** Cancels what is scheduled. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #drain(): Promise<void> {
    for (;;) {
      const user = this.session()?.user.id;
      if (!user) return;
      this.outbox.adopt(user, Date.now());
      const batch = this.outbox.take(user, Date.now(), this.#most, BODY_BYTES);
      if (batch.length === 0) return;
      try {
        this.#settle(batch, await this.transport.json("track-event", { body: request(batch) }));
        this.#failures = 0;
        this.#most = Math.min(this.batchSize, this.#most * 2);
      } catch (error) {
        if (!(error instanceof MiraError) || mayPass(error.status)) {
          this.#failures++;
          this.#retryAfterMs = error instanceof MiraError ? (error.retryAfter ?? 0) * 1000 : 0;
          this.problem({ code: "offline", detail: (error as Error).message });
          return;
        }
        if (batch.length > 1) {
          this.#most = Math.ceil(batch.length / 2);
          continue;
        }
        this.outbox.remove([batch[0]!.key]);
        this.counts.rejected++;
        const event_id = batch[0]!.event.event_id;
        this.problem({ code: "refused", detail: `${error.code}: ${error.message}`, event_id });
      }
    }
  }

  #wait(): number {
    const backoff = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(this.#failures - 1, 20));
    return Math.max(backoff * (0.5 + Math.random()), this.#retryAfterMs);
  }

  #settle(batch: { key: string }[], receipt: TrackReceipt): void {
    this.outbox.remove(batch.map((entry) => entry.key));
    this.counts.sent += receipt.accepted;
    this.counts.duplicates += receipt.duplicates;
    for (const { code, detail, event_id } of receipt.rejected) {
      this.counts.rejected++;
      const which = event_id ? { event_id } : {};
      this.problem({ code: "rejected", detail: `${code}: ${detail}`, ...which });
    }
  }

  /** One tab at a time, where the browser can arrange that, so that tabs do not send each other's events twice. */
  async #alone(work: () => Promise<void>): Promise<void> {
    const locks = globalThis.navigator?.locks;
    if (!locks) return await work();
    await locks.request("mira.send", work);
  }
}

function request(batch: { event: TrackedEvent }[]): TrackBatch {
  return { sent_at: new Date().toISOString(), events: batch.map((entry) => entry.event) };
}

function mayPass(status: number): boolean {
  return status === 0 || status === 401 || status === 403 || status === 408 || status === 425 ||
    status === 429 || status >= 500;
}
