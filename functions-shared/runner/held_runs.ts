/**
 * The runs whose lease a worker holds.
 *
 * @module
 */
import { type Admin, type Lease, releaseRuns, renewLeases, type Task } from "./engine.ts";

interface Held {
  epoch: number;
  stop: AbortController;
  tasks: Set<Task>;
}

/** Bookkeeping of leases: what to renew, what to stop, what to leave for others. */
export class HeldRuns {
  readonly #runs = new Map<string, Held>();
  /** when each task was issued, by this machine's monotonic clock */
  readonly #issued = new WeakMap<Task, number>();
  /** tasks seen, so that an answer that was lost does not start its work twice */
  readonly #seen = new Set<string>();

  constructor(readonly admin: Admin, readonly leaseMs: number) {}

  /** Takes tasks in; gives back those that are new. */
  take(tasks: Task[]): Task[] {
    return tasks.filter((task) => {
      const part = task.items?.map(({ idx, attempt }) => `${idx}.${attempt}`).join() ?? task.epoch;
      const key = `${task.run_id}:${task.seq}:${task.attempt}:${part}`;
      if (this.#seen.has(key)) return false;
      this.#seen.add(key);
      const held = this.#runs.get(task.run_id) ??
        { epoch: task.epoch, stop: new AbortController(), tasks: new Set() };
      held.epoch = Math.max(held.epoch, task.epoch);
      held.tasks.add(task);
      this.#runs.set(task.run_id, held);
      this.#issued.set(task, performance.now());
      return true;
    });
  }

  /** The signal that ends the task's work, or undefined when the task is no longer held. */
  signalOf(task: Task): AbortSignal | undefined {
    const held = this.#runs.get(task.run_id);
    return held?.tasks.has(task) ? held.stop.signal : undefined;
  }

  /**
   * Milliseconds until the task's deadline, or undefined without one. Both times of the task are the
   * database's and the lease was as long as it is here, so this machine's clock does not matter.
   */
  timeLeft(task: Task): number | undefined {
    if (task.deadline_at === null) return undefined;
    const atIssue = Date.parse(task.deadline_at) - Date.parse(task.lease_until) + this.leaseMs;
    return Math.max(0, atIssue - (performance.now() - this.#issued.get(task)!));
  }

  /** A task has been recorded. */
  done(task: Task) {
    const held = this.#runs.get(task.run_id);
    held?.tasks.delete(task);
    if (held?.tasks.size === 0) this.#runs.delete(task.run_id);
  }

  /** A run has ended or belongs to somebody else: its work stops. */
  drop(runId: string) {
    this.#runs.get(runId)?.stop.abort();
    this.#runs.delete(runId);
  }

  /** Stops all work and keeps the leases. */
  stopAll() {
    this.#runs.forEach(({ stop }) => stop.abort());
  }

  /** Renews every lease, drops what was lost and gives back tasks whose time has come. */
  async renew(): Promise<Task[]> {
    const leases = this.#leases();
    if (leases.length === 0) return [];
    const { lost, tasks } = await renewLeases(this.admin, leases, this.leaseMs);
    for (const runId of lost) this.drop(runId);
    return tasks ?? [];
  }

  /** Leaves every run due; gives back their ids. */
  async release(): Promise<string[]> {
    const leases = this.#leases();
    if (leases.length > 0) await releaseRuns(this.admin, leases);
    return [...new Set(leases.map(({ run_id }) => run_id))];
  }

  #leases(): Lease[] {
    const leases: Lease[] = [];
    for (const [run_id, { epoch, tasks }] of this.#runs) {
      let whole = false;
      for (const { items, seq } of tasks) {
        if (items) {
          const held = items.map(({ idx, attempt }) => ({ idx, attempt }));
          leases.push({ run_id, seq, items: held });
        } else whole = true;
      }
      if (whole) leases.push({ run_id, epoch });
    }
    return leases;
  }
}
