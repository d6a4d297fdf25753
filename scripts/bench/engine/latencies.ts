import type { Subject } from "./subject.ts";

/** Runs before an engine's latency counts: until then the compiler still makes its code quicker. */
export const WARM_UP = 300;

/** Milliseconds of each of `count` runs, one at a time. */
export async function latencies(subject: Subject, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await subject.run(i);
    times.push(performance.now() - began);
  }
  return times;
}
