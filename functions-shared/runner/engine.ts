/**
 * The engine's faces as the runner sees them. The engine itself is SQL (migrations `001000_run_tables` to `001048`).
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";

/** Data API client with the service role. */
export type Admin = SupabaseClient<Database>;

/** Where a run stands. */
export type RunStatus = "pending" | "running" | "waiting" | "completed" | "failed" | "cancelled";

/** Whether a run that stands there has ended: only a re-drive or a fork goes on from it. */
export function hasEnded(status: RunStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** A failure as it is recorded. */
export interface StepError {
  code: string;
  message: string;
  /** default true: the engine retries by the node's rule */
  retryable?: boolean;
  retry_after_ms?: number;
}

/** What may still be spent; null is no limit. */
export interface BudgetLeft {
  steps: number | null;
  tokens: number | null;
  cost_micros: number | null;
  time_ms: number | null;
}

/** Spending of one outcome. */
export interface StepUsage {
  input_tokens: number;
  output_tokens: number;
  /** null when the model's price is not known */
  cost_micros: number | null;
  model?: string;
}

/** A model or tool call inside an llm step, recorded before anything follows from it. */
export interface StepCall {
  index: number;
  kind: "model" | "tool";
  name: string;
  input: unknown;
  output?: unknown;
  error?: StepError;
  duration_ms?: number;
}

/** One element of a map step. */
export interface MapItem {
  idx: number;
  attempt: number;
  value: unknown;
  /** what an earlier attempt recorded */
  calls?: StepCall[];
}

/** Which tools with side effects may be called; the others are refused, or a person is asked. */
export interface ToolGrant {
  allow?: string[];
  otherwise?: "refuse" | "confirm";
}

/** A call that a person must allow first. */
export interface ConfirmationAsk {
  key: string;
  tool: string;
  arguments: unknown;
}

/** Work that has been leased to this runner. */
export interface Task {
  run_id: string;
  seq: number;
  epoch: number;
  attempt: number;
  /** idempotency key of every side effect, the same over attempts */
  key: string;
  user_id: string;
  workflow_id: string | null;
  thread_id: string | null;
  node: { id: string; type: string; name: string; config: Record<string, unknown> };
  state: Record<string, unknown>;
  input: unknown;
  calls?: StepCall[];
  items?: MapItem[];
  budget_left?: BudgetLeft;
  /** what the run may call: all of them must agree; absent means whatever the graph names */
  grants?: ToolGrant[];
  /** what persons said to calls of this step, by the call's idempotency key */
  confirmed?: Record<string, boolean>;
  lease_until: string;
  deadline_at: string | null;
}

/** What a run waits for. */
export interface Waiting {
  seq: number;
  node_id: string;
  node: string;
  kind: "human" | "signal" | "timer" | "child" | "map" | "retry";
  prompt?: unknown;
  schema?: unknown;
  signal?: string;
  until?: string;
}

/** The engine's answer to anything that moves a run. */
export interface Reply {
  run_id: string;
  status: RunStatus;
  accepted?: boolean;
  reason?: string;
  created?: boolean;
  tasks?: Task[];
  wake_at?: string;
  waiting?: Waiting[];
  output?: unknown;
  error?: StepError;
  /** the call as it was recorded first, when this one came second */
  call?: StepCall;
}

/** A message for `agent_messages`. */
export interface AgentMessage {
  agent_name?: string;
  message_type: "input" | "output" | "system" | "error" | "tool_call";
  content: string;
  tool_calls?: unknown;
  context_data?: unknown;
}

/** A line for `execution_logs`. */
export interface LogLine {
  level: "info" | "success" | "warning" | "error";
  message: string;
  metadata?: Record<string, unknown>;
  agent_type?: string;
}

/** How a step ended, or a call inside it. Exactly one of output, error, call and confirm. */
export interface Outcome {
  output?: unknown;
  error?: StepError;
  call?: StepCall;
  /** the step waits until a person has said whether this may be called */
  confirm?: ConfirmationAsk;
  arguments?: unknown;
  usage?: StepUsage;
  messages?: AgentMessage[];
  tools?: unknown[];
  logs?: LogLine[];
  duration_ms?: number;
}

/** One step for the engine. */
export interface Step {
  run_id: string;
  epoch: number;
  seq: number;
  outcome: Outcome;
}

/** How one map element ended. */
export interface ItemResult extends Omit<Outcome, "call" | "confirm"> {
  idx: number;
  attempt: number;
}

/** A lease on a run, or on some elements of a map. */
export type Lease =
  | { run_id: string; epoch: number }
  | { run_id: string; seq: number; items: { idx: number; attempt: number }[] };

/** Due and abandoned work, fairly across users. */
export function claimTasks(
  admin: Admin,
  args: { p_limit: number; p_lease_ms: number; p_user_id?: string; p_run_id?: string },
): Promise<{ tasks: Task[]; rests?: boolean }> {
  return rpc(admin, "mira_claim_tasks", args);
}

/**
 * Records steps, many in one transaction; answers in the same order. The next task of a run may come
 * without what the one before it said: {@link wholeReply} gives it back.
 */
export async function recordSteps(admin: Admin, steps: Step[], leaseMs: number): Promise<Reply[]> {
  if (steps.length !== 1) {
    return await rpc(admin, "mira_advance_batch", {
      p_steps: steps,
      p_lease_ms: leaseMs,
      p_lean: true,
    });
  }
  const { run_id, epoch, seq, outcome } = steps[0]!;
  return [
    await rpc(admin, "mira_advance", {
      p_run_id: run_id,
      p_epoch: epoch,
      p_seq: seq,
      p_outcome: outcome,
      p_lease_ms: leaseMs,
      p_lean: true,
    }),
  ];
}

/** A lean reply to the report on `task`, with whole tasks. */
export function wholeReply(task: Task, reply: Reply): Reply {
  const { run_id, epoch, user_id, workflow_id, thread_id, input } = task;
  const known = { run_id, epoch, attempt: 1, user_id, workflow_id, thread_id, input };
  // a task that says whose it is was told in full
  const whole = (next: Task): Task =>
    next.key === undefined ? { ...known, ...next, key: `${run_id}:${next.seq}` } : next;
  return reply.tasks ? { ...reply, tasks: reply.tasks.map(whole) } : reply;
}

/**
 * Records elements of a map and takes the next ones. Their task comes without what the first one of
 * the same step brought (state, input, node) and gets it from there.
 */
export async function advanceItems(
  admin: Admin,
  task: Task,
  results: ItemResult[],
  leaseMs: number,
): Promise<Reply> {
  const reply = await rpc<Reply>(admin, "mira_advance_items", {
    p_run_id: task.run_id,
    p_seq: task.seq,
    p_results: results,
    p_lease_ms: leaseMs,
    p_lean: true,
  });
  const { state, input, node } = task;
  const isLean = (next: Task) => next.run_id === task.run_id && next.seq === task.seq;
  const whole = (next: Task) => isLean(next) ? { ...next, state, input, node } : next;
  return { ...reply, tasks: (reply.tasks ?? []).map(whole) };
}

/** Records a call inside an element of a map. */
export function recordItemCall(
  admin: Admin,
  task: Task,
  item: MapItem,
  outcome: Outcome,
): Promise<Reply> {
  return rpc(admin, "mira_record_item_call", {
    p_run_id: task.run_id,
    p_seq: task.seq,
    p_item: item.idx,
    p_attempt: item.attempt,
    p_outcome: outcome,
  });
}

/** Keeps leases; names the runs that were lost or cancelled, and timers that fell due. */
export function renewLeases(
  admin: Admin,
  leases: Lease[],
  leaseMs: number,
): Promise<{ lost: string[]; tasks?: Task[] }> {
  return rpc(admin, "mira_renew_leases", { p_leases: leases, p_lease_ms: leaseMs });
}

/** Leaves runs due now for whoever comes next; no crash is counted. */
export function releaseRuns(admin: Admin, leases: Lease[]): Promise<unknown> {
  return rpc(admin, "mira_release_runs", { p_leases: leases });
}
