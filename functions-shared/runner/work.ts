/**
 * One piece of work: a task, or one element of a map task.
 *
 * @module
 */
import { Problem } from "../http/problem.ts";
import type { AgentMessage, LogLine, MapItem, Outcome, Reply, StepCall, Task } from "./engine.ts";
import type { RunnerHost, ToolContext } from "./tools/tool.ts";

/** What a piece of work is given. */
export interface Work {
  host: RunnerHost;
  task: Task;
  item?: MapItem;
  /** ends when the lease is lost, the run cancelled or the time over */
  signal: AbortSignal;
  /** records a call inside the step, or inside the element, before anything follows from it */
  record: (call: StepCall, more: Partial<Outcome>) => Promise<Reply>;
  /** milliseconds until its deadline, if it has one */
  timeLeftMs?: number;
  /** shows text as a model writes it */
  onToken?: (text: string) => void;
}

/** The work is no longer ours, or its run has ended: stop and say nothing. */
export class WorkLost extends Error {
  override readonly name = "WorkLost";
}

/** Idempotency key of the work: `run:step`, and `run:step:item` inside a map. */
export function workKey(work: Work): string {
  return work.item ? `${work.task.key}:${work.item.idx}` : work.task.key;
}

/** The context of a tool call that is part of this work. */
export function toolContext(
  work: Work,
  key: string,
  notes: { logs: LogLine[]; messages: AgentMessage[] },
): ToolContext {
  const { task } = work;
  return {
    ...work.host,
    userId: task.user_id,
    runId: task.run_id,
    workflowId: task.workflow_id,
    threadId: task.thread_id,
    node: task.node.name,
    key,
    signal: work.signal,
    ...(task.grants ? { grants: task.grants } : {}),
    ...(work.item ? {} : { confirmed: task.confirmed ?? {} }),
    ...notes,
  };
}

/** A node's setting that must be text when it is there. */
export function textSetting(config: Record<string, unknown>, name: string): string | undefined {
  const value = config[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw new Problem(422, "config_invalid", `The node's "${name}" must be text.`);
}

/** A node's setting that must be a number from `low` to `high` when it is there. */
export function numberSetting(
  config: Record<string, unknown>,
  name: string,
  low: number,
  high: number,
): number | undefined {
  const value = config[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw new Problem(422, "config_invalid", `The node's "${name}" must be from ${low} to ${high}.`);
}
