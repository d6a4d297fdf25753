/**
 * Due and abandoned runs of everybody: what cron calls.
 *
 * @module
 */
import { claimTasks } from "./engine.ts";
import type { RunnerHost } from "./tools/tool.ts";
import { runTasks, type WorkerOptions } from "./worker.ts";

/** What was done. */
export interface DueWork {
  steps: number;
  /** run ids left due because the budget ended */
  left: string[];
  /** whether due work was left */
  more: boolean;
}

/** Claims and does due work, fairly across users, until there is none or the budget is near. */
export async function doDueWork(host: RunnerHost, options: WorkerOptions = {}): Promise<DueWork> {
  const leaseMs = options.leaseMs ?? 30_000;
  let dry = false;
  const report = await runTasks(host, [], {
    ...options,
    leaseMs,
    more: async (room) => {
      const { tasks } = await claimTasks(host.admin, { p_limit: room, p_lease_ms: leaseMs });
      dry = tasks.length === 0;
      return { tasks, againMs: dry ? 1000 : 0 };
    },
  });
  return { ...report, more: report.left.length > 0 || !dry };
}
