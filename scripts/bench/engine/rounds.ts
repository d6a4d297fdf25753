import { median } from "../quantile.ts";

/** What one engine's process measures in a round. */
export interface Measured {
  name: string;
  steps_per_s: number;
  wal_per_step: number;
  p50_ms: number;
  statements_per_step?: number;
}

/**
 * How a metric is told of several rounds, for every engine alike. A busy neighbour on the machine
 * can only slow an engine down: rates and times are those of the best round, of each metric its
 * own. The log and the statements cost what they cost: there the best would be luck.
 */
const TOLD: Record<Exclude<keyof Measured, "name">, (values: number[]) => number> = {
  steps_per_s: (values) => Math.max(...values),
  wal_per_step: median,
  p50_ms: (values) => Math.min(...values),
  statements_per_step: median,
};

/** One engine's figures over its rounds; a metric it has not is left out. */
export function overRounds(rounds: Measured[]): Measured {
  const told = { ...rounds[0]! };
  for (const [metric, tell] of Object.entries(TOLD)) {
    const key = metric as keyof typeof TOLD;
    if (key in told) told[key] = tell(rounds.map((round) => round[key]!));
  }
  return told;
}
