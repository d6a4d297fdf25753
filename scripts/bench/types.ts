/** What every benchmark area takes and gives. */

/** Settings of one run. */
export interface BenchContext {
  /** A real server to measure on; embedded when undefined. */
  dbUrl: string | undefined;
  /** Arguments after the area's name. */
  args: string[];
  log(message: string): void;
}

/** One comparison, both sides measured in this run. */
export interface BenchRow {
  metric: string;
  ours: number;
  /** Name of what we compare with. */
  baseline: string;
  baseline_value: number;
  /** Above 1 is better for us, whatever the unit. */
  ratio: number;
  unit: string;
  /** What the ratio (or ours, where the metric is absolute) should reach. */
  goal: string;
  pass: boolean;
}

/** One area of `deno task bench`. */
export type Bench = (context: BenchContext) => Promise<BenchRow[]>;
