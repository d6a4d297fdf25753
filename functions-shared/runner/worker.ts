/**
 * The runner: does leased tasks side by side until nothing is left or its budget is near.
 *
 * @module
 */
import { hasEnded, type Reply, type Task } from "./engine.ts";
import { HeldRuns } from "./held_runs.ts";
import { TaskDoer } from "./task_doer.ts";
import type { RunnerHost } from "./tools/tool.ts";
import { WorkLost } from "./work.ts";

/** How long and how much. */
export interface WorkerOptions {
  /** no task is begun after this many milliseconds; default 100 000 */
  wallMs?: number;
  /** running work is stopped this much later and its runs left due; default 35 000 */
  graceMs?: number;
  /** most steps, which keeps a request inside the platform's CPU time; default 400 */
  maxSteps?: number;
  /** most pieces of work at once; default 16 */
  parallel?: number;
  /** default 30 000; renewed every third of it */
  leaseMs?: number;
  /** called after every answer of the engine */
  onReply?(reply: Reply): void;
  /** called with text as models write it */
  onToken?(task: Task, text: string): void;
  /** asked for more work when there is room; `againMs` is when to ask next */
  more?(room: number): Promise<{ tasks: Task[]; againMs?: number }>;
  /** whether to wait for more with nothing to do; default not */
  stay?(): boolean;
  /** stops early: running work is given up and its runs left due */
  signal?: AbortSignal;
}

/** What a worker did. */
export interface WorkerReport {
  steps: number;
  /** run ids that were left due because the budget ended */
  left: string[];
}

/** Does `tasks` and what follows from them. Never throws for what a step does. */
export async function runTasks(
  host: RunnerHost,
  tasks: Task[],
  options: WorkerOptions = {},
): Promise<WorkerReport> {
  const worker = new Worker(host, options);
  return await worker.run(tasks);
}

class Worker {
  readonly #leaseMs: number;
  readonly #tasks: TaskDoer;
  readonly #queue: Task[] = [];
  readonly #held: HeldRuns;
  readonly #active = new Set<Promise<void>>();
  readonly #end: number;
  #steps = 0;
  /** when to ask for more; Infinity: not before something happens */
  #askAt: number;
  #asking = false;
  #asked = Promise.resolve();
  /** ends the current pause */
  #wake = () => {};

  constructor(readonly host: RunnerHost, readonly options: WorkerOptions) {
    this.#leaseMs = options.leaseMs ?? 30_000;
    this.#held = new HeldRuns(host.admin, this.#leaseMs);
    this.#tasks = new TaskDoer(host, this.#held, this.#leaseMs, options);
    this.#askAt = options.more ? 0 : Infinity;
    this.#end = performance.now() + (options.wallMs ?? 100_000);
  }

  async run(tasks: Task[]): Promise<WorkerReport> {
    this.#take(tasks);
    // with work in hand there is no hurry
    if (tasks.length > 0 && this.options.more) this.#askAt = performance.now() + 1000;
    const renewal = setInterval(() => void this.#renew(), this.#leaseMs / 3);
    const stopAll = () => {
      this.#held.stopAll();
      this.#wake();
    };
    this.options.signal?.addEventListener("abort", stopAll);
    let grace: ReturnType<typeof setTimeout> | undefined;
    try {
      while (!this.#isOver()) {
        this.#begin();
        if (!this.#asking) this.#asked = this.#ask();
        const idle = this.#active.size === 0 && !this.#asking;
        if (idle && performance.now() < this.#askAt && !this.options.stay?.()) break;
        await this.#change();
      }
      if (this.#active.size > 0) {
        const left = this.#end - performance.now() + (this.options.graceMs ?? 35_000);
        grace = setTimeout(stopAll, Math.max(0, left));
        await Promise.all(this.#active);
      }
      // what was still being claimed is held now too, and left due with the rest
      await this.#asked;
    } finally {
      clearInterval(renewal);
      clearTimeout(grace);
      this.options.signal?.removeEventListener("abort", stopAll);
    }
    const left = await this.#held.release().catch((error) => (this.host.unknown(error), []));
    return { steps: this.#steps, left };
  }

  #isOver(): boolean {
    return performance.now() >= this.#end || this.#steps >= (this.options.maxSteps ?? 400) ||
      (this.options.signal?.aborted ?? false);
  }

  #room(): number {
    return (this.options.parallel ?? 16) - this.#active.size - this.#queue.length;
  }

  async #ask() {
    const early = performance.now() < this.#askAt;
    if (!this.options.more || early || this.#room() <= 0) return;
    this.#asking = true;
    this.#askAt = Infinity;
    try {
      const { tasks, againMs } = await this.options.more(this.#room());
      this.#take(tasks);
      if (againMs !== undefined) this.#askAt = Math.min(this.#askAt, performance.now() + againMs);
    } catch (error) {
      this.host.unknown(error);
      this.#askAt = performance.now() + 1000;
    }
    this.#asking = false;
    this.#wake();
  }

  /** Begins what there is room for. */
  #begin() {
    const parallel = this.options.parallel ?? 16;
    while (!this.#isOver() && this.#active.size < parallel && this.#queue.length > 0) {
      const task = this.#queue.shift()!;
      if (!this.#held.signalOf(task)) continue;
      this.#steps++;
      const done: Promise<void> = this.#do(task).finally(() => this.#active.delete(done));
      this.#active.add(done);
    }
  }

  /** Waits for a task to end, for the time to ask again, or for the end. */
  async #change() {
    // while all places are taken there is no point in asking, so only an ending counts
    const askAt = this.#asking || this.#room() <= 0 ? Infinity : this.#askAt;
    const until = Math.min(askAt, this.#end) - performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, until));
      this.#wake = resolve;
    });
    await Promise.race([pause, ...this.#active]);
    clearTimeout(timer);
  }

  #take(tasks: Task[]) {
    this.#queue.push(...this.#held.take(tasks));
  }

  async #do(task: Task): Promise<void> {
    const signal = this.#held.signalOf(task);
    if (!signal) return;
    try {
      const reply = await this.#tasks.do(task, signal);
      this.#held.done(task);
      this.#heed(reply);
    } catch (error) {
      if (error instanceof WorkLost) {
        // stopped work stays held, to be left due at the end
        if (!signal.aborted) this.#held.drop(task.run_id);
        return;
      }
      // the engine is out of reach: stop renewing, so that the run is taken up again
      this.host.unknown(error);
      this.#held.drop(task.run_id);
    }
  }

  #heed(reply: Reply) {
    const ended = hasEnded(reply.status);
    if (ended || reply.reason === "stale_epoch" || reply.reason === "run_finished") {
      this.#held.drop(reply.run_id);
    }
    this.#take(reply.tasks ?? []);
    if (this.options.more && reply.wake_at !== undefined && !ended) {
      const wakeAt = performance.now() + Date.parse(reply.wake_at) - Date.now();
      this.#askAt = Math.min(this.#askAt, Math.max(wakeAt, performance.now()) + 5);
    }
    this.options.onReply?.(reply);
    this.#wake();
  }

  async #renew() {
    try {
      this.#take(await this.#held.renew());
      this.#wake();
    } catch (error) {
      // the next renewal may get through; if none does, the lease ends by itself
      this.host.unknown(error);
    }
  }
}
