/**
 * Does one leased task and tells the engine.
 *
 * @module
 */
import { Problem } from "../http/problem.ts";
import { doWork } from "./do_work.ts";
import {
  advanceItems,
  type ItemResult,
  type MapItem,
  type Outcome,
  recordItemCall,
  recordSteps,
  type Reply,
  type StepCall,
  type Task,
  wholeReply,
} from "./engine.ts";
import type { HeldRuns } from "./held_runs.ts";
import { Recorder, retried } from "./recorder.ts";
import type { RunnerHost } from "./tools/tool.ts";
import type { Work } from "./work.ts";

/** Who likes to hear of it. */
export interface Listeners {
  /** called after every answer of the engine to a call inside a step */
  onReply?(reply: Reply): void;
  /** called with text as models write it */
  onToken?(task: Task, text: string): void;
}

/** Tasks, and the elements of map tasks, from lease to record. */
export class TaskDoer {
  readonly #recorder: Recorder;

  constructor(
    readonly host: RunnerHost,
    readonly held: HeldRuns,
    readonly leaseMs: number,
    readonly listeners: Listeners,
  ) {
    this.#recorder = new Recorder((steps) => recordSteps(host.admin, steps, leaseMs));
  }

  /**
   * Does the task and gives back what the engine says to it.
   *
   * @throws {WorkLost} when it stopped being ours; {Problem} when the engine is out of reach
   */
  do(task: Task, signal: AbortSignal): Promise<Reply> {
    return task.items ? this.#items(task, signal) : this.#one(task, signal);
  }

  async #one(task: Task, signal: AbortSignal): Promise<Reply> {
    const { run_id, epoch, seq } = task;
    const send = async (outcome: Outcome) =>
      wholeReply(task, await this.#recorder.record({ run_id, epoch, seq, outcome }));
    const outcome = await doWork(this.#work(task, signal, send));
    try {
      return await send(outcome);
    } catch (error) {
      if (!(error instanceof Problem) || error.status >= 500) throw error;
      // the database cannot hold this outcome; doing the step again would not change that
      this.host.unknown(error.cause ?? error);
      const { code, message } = error;
      const { usage } = outcome;
      return await send({
        error: { code, message, retryable: false },
        ...(usage ? { usage } : {}),
      });
    }
  }

  async #items(task: Task, signal: AbortSignal): Promise<Reply> {
    const results = await Promise.all(task.items!.map(async (item): Promise<ItemResult> => {
      const send = (outcome: Outcome) =>
        retried(() => recordItemCall(this.host.admin, task, item, outcome));
      const outcome = await doWork(this.#work(task, signal, send, item));
      const { idx, attempt } = item;
      return {
        ...outcome,
        idx,
        attempt,
        ...(outcome.error ? {} : { output: outcome.output ?? null }),
      };
    }));
    return await retried(() => advanceItems(this.host.admin, task, results, this.leaseMs));
  }

  #work(
    task: Task,
    signal: AbortSignal,
    send: (outcome: Outcome) => Promise<Reply>,
    item?: MapItem,
  ): Work {
    const { onToken, onReply } = this.listeners;
    const timeLeftMs = this.held.timeLeft(task);
    return {
      host: this.host,
      task,
      signal,
      record: async (call: StepCall, more: Partial<Outcome>) => {
        const reply = await send({ ...more, call });
        onReply?.(reply);
        return reply;
      },
      ...(item ? { item } : {}),
      ...(timeLeftMs === undefined ? {} : { timeLeftMs }),
      ...(onToken ? { onToken: (text: string) => onToken(task, text) } : {}),
    };
  }
}
