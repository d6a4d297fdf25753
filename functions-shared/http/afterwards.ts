/** Life after the answer. */

import type { Log } from "../observe/log.ts";

interface Runtime {
  EdgeRuntime?: { waitUntil(promise: Promise<unknown>): void };
}

/** Keeps the function alive for `promise` where the platform allows; elsewhere it just runs. */
export function keepAlive(promise: Promise<unknown>): void {
  (globalThis as Runtime).EdgeRuntime?.waitUntil(promise);
}

/**
 * Runs `work` after the answer is out; a failure is only logged. Use it for what may be lost without
 * harm, because something else makes up for it.
 */
export function afterwards(log: Log, work: () => Promise<unknown>): void {
  keepAlive(
    work().catch((error) => log.warn("afterwards_failed", { reason: (error as Error).message })),
  );
}
