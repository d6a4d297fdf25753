/**
 * Sends steps to the engine, together when they come together.
 *
 * @module
 */
import { Problem } from "../http/problem.ts";
import type { Reply, Step } from "./engine.ts";

const MOST = 50;
const ATTEMPTS = 6;

interface Waiting {
  step: Step;
  resolve(reply: Reply): void;
  reject(reason: unknown): void;
}

/**
 * Group commit for steps: while one call to the database is under way, finished steps gather, and
 * the next call takes them all. A lone step waits for nobody.
 */
export class Recorder {
  #waiting: Waiting[] = [];
  #busy = false;

  /** @param send one call of the engine for one step or many; replies in the order of the steps */
  constructor(readonly send: (steps: Step[]) => Promise<Reply[]>) {}

  /**
   * Records a step. Lost connections and a busy database are tried again: the engine knows a step
   * it has already recorded.
   *
   * @throws {Problem} when the database stays unreachable or refuses the step itself
   */
  record(step: Step): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ step, resolve, reject });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain() {
    this.#busy = true;
    // steps that finish in the same turn go together
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST);
      try {
        const replies = await retried(() => this.send(batch.map(({ step }) => step)));
        batch.forEach(({ resolve }, i) => resolve(replies[i]!));
      } catch (error) {
        if (batch.length === 1) batch[0]!.reject(error);
        // one bad step must not take the others with it
        else await Promise.all(batch.map((one) => this.#alone(one)));
      }
    }
    this.#busy = false;
  }

  async #alone({ step, resolve, reject }: Waiting) {
    try {
      resolve((await retried(() => this.send([step])))[0]!);
    } catch (error) {
      reject(error);
    }
  }
}

/** Repeats a call that the database could not take, for some six seconds in all. */
export async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await call();
    } catch (error) {
      // the gateway in between has its own words for "not now"; the engine knows repeats
      const passing = error instanceof Problem && error.status >= 500;
      if (!passing || attempt >= ATTEMPTS) throw error;
      await new Promise((resolve) =>
        setTimeout(resolve, 100 * 2 ** attempt * (0.5 + Math.random()))
      );
    }
  }
}
