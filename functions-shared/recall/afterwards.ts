/** Work that the caller need not wait for. */

import type { Log } from "../observe/log.ts";

interface Runtime {
  EdgeRuntime?: { waitUntil(promise: Promise<unknown>): void };
}

/**
 * Runs `work` after the answer is out; a failure is only logged. The platform keeps the function
 * alive for it. Use it for what may be lost without harm, because something else makes up for it.
 */
export function afterwards(log: Log, work: () => Promise<unknown>): void {
  const running = work().catch((error) =>
    log.warn("afterwards_failed", { reason: (error as Error).message })
  );
  (globalThis as Runtime).EdgeRuntime?.waitUntil(running);
}
