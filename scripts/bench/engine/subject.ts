/** What every engine under measurement can do. */
export interface Subject {
  /** Starts and finishes one run of five trivial steps. */
  run(index: number): Promise<void>;
  /** Many runs at once, for engines with a batched form; the number of runs is up to the caller. */
  runMany?(count: number): Promise<void>;
  /** One fan-out of `items` trivial items and its join, by `workers` loops that take ten at a time. */
  fanOut?(items: number, workers: number): Promise<void>;
  /** Client statements sent so far, where the subject can count them. */
  statements?(): number;
  close(): Promise<void>;
}

/** Connects a subject to an empty database. */
export type OpenSubject = (url: string) => Promise<Subject>;

/** The five trivial steps every engine runs. */
export const STEPS = ["s1", "s2", "s3", "s4", "s5"];

/** The work of a step. */
export function step(state: Record<string, unknown>, name: string): Record<string, unknown> {
  return { n: Object.keys(state).length, name };
}
