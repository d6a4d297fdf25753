/** What an engine can be told to do, and the figures it answers with. */

import { STEPS, type Subject } from "./subject.ts";

const IN_FLIGHT = 16;

/** A piece of work of a size; its figures. */
export type Work = (subject: Subject, count: number) => Promise<number[]>;

/** What it takes before figures count: until then the compiler still makes an engine's code quicker. */
export const WARM_UP = 300;

/** The works by name. */
export const WORKS = {
  /** Runs, one at a time: the milliseconds of each. */
  async alone(subject, count) {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const began = performance.now();
      await subject.run(i);
      times.push(performance.now() - began);
    }
    return times;
  },

  /** Runs, sixteen in flight: steps per second. */
  async chain(subject, count) {
    let next = 0;
    const began = performance.now();
    await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
      while (next < count) await subject.run(next++);
    }));
    return [perSecond(count * STEPS.length, began)];
  },

  /** Runs, many in one call: steps per second. */
  async batched(subject, count) {
    const began = performance.now();
    await subject.runMany!(count);
    return [perSecond(count * STEPS.length, began)];
  },

  /** One fan-out of so many items, by two workers, and its join: items per second. */
  async fanOut(subject, count) {
    const began = performance.now();
    await subject.fanOut!(count, 2);
    return [perSecond(count, began)];
  },
} satisfies Record<string, Work>;

function perSecond(things: number, began: number): number {
  return things / (performance.now() - began) * 1000;
}
