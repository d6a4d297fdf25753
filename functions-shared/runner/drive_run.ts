/**
 * Driving one run from inside the request that started or woke it.
 *
 * @module
 */
import { rpc } from "../db/rpc.ts";
import { claimTasks, hasEnded, type Reply, type RunStatus } from "./engine.ts";
import type { RunnerHost } from "./tools/tool.ts";
import { runTasks, type WorkerOptions, type WorkerReport } from "./worker.ts";

/** A run on its way. */
export interface Drive {
  /** resolves when the run has ended or waits for somebody, or when the worker is done with it */
  settled: Promise<void>;
  /** resolves when the worker has nothing left */
  done: Promise<WorkerReport>;
}

/** True when nothing more happens before somebody else acts. */
export function isSettled(reply: Pick<Reply, "status" | "waiting">): boolean {
  if (hasEnded(reply.status)) return true;
  return reply.status === "waiting" &&
    (reply.waiting ?? []).some(({ kind }) => kind === "human" || kind === "signal");
}

/** Does the tasks of `reply` and whatever they lead to. Back-offs and short waits are waited out. */
export function driveRun(host: RunnerHost, reply: Reply, options: WorkerOptions = {}): Drive {
  const runId = reply.run_id;
  let over = isSettled(reply);
  let settle = () => {};
  const settled = new Promise<void>((resolve) => settle = resolve);
  const heed = (news: Reply) => {
    if (news.run_id === runId) {
      over = isSettled(news);
      if (over) settle();
    }
    options.onReply?.(news);
  };
  if (over) settle();
  const leaseMs = options.leaseMs ?? 30_000;
  // a run that another worker drives tells us nothing by itself
  const look = async () => {
    const { status } = await rpc<{ status: RunStatus }>(host.admin, "mira_run_events", {
      p_user_id: null,
      p_run_id: runId,
      p_after: 2 ** 31 - 1,
      p_limit: 1,
    });
    const isElsewhere = reply.created === false && status === "waiting";
    over = hasEnded(status) || isElsewhere;
    if (over) settle();
  };
  const done = runTasks(host, reply.tasks ?? [], {
    ...options,
    leaseMs,
    onReply: heed,
    stay: () => !over,
    more: async (room) => {
      if (over) return { tasks: [], againMs: Infinity };
      const { tasks, rests } = await claimTasks(host.admin, {
        p_limit: room,
        p_lease_ms: leaseMs,
        p_run_id: runId,
      });
      if (rests) {
        over = true;
        settle();
      } else if (tasks.length === 0) await look();
      return { tasks, againMs: 1000 };
    },
  });
  return { settled: Promise.race([settled, done.then(() => {})]), done };
}
