/** Contract of `run-workflow`: start, follow and steer runs. */

import { z } from "zod";

const JsonObject = z.record(z.string(), z.json());
const Name = z.string().regex(
  /^[A-Za-z_][A-Za-z0-9_ -]{0,99}$/,
  "must be 1 to 100 letters, digits, spaces, _ or -, starting with a letter or _",
);

/** A graph sent with the request instead of one that is stored. The engine checks what it means. */
export const InlineWorkflow = z.strictObject({
  name: z.string().trim().min(1).max(200).default("inline"),
  nodes: z.array(z.strictObject({
    id: z.string().min(1).max(100).optional(),
    type: z.enum([
      "start",
      "llm",
      "tool",
      "router",
      "end",
      "human",
      "wait",
      "map",
      "subworkflow",
    ]),
    name: Name,
    config: JsonObject.default({}),
  })).min(2).max(500),
  edges: z.array(z.strictObject({
    /** Node name or id. */
    source: z.string().min(1).max(100),
    target: z.string().min(1).max(100),
    condition_label: z.string().min(1).max(100).nullish(),
  })).max(2000),
  /** How outputs are joined into the state, by key. */
  reducers: z.record(z.string().max(100), z.enum(["replace", "append", "add", "merge", "messages"]))
    .optional(),
  /** JSON Schema of the run's input. */
  input_schema: JsonObject.optional(),
  limits: JsonObject.optional(),
});
export type InlineWorkflow = z.output<typeof InlineWorkflow>;

/** What a run may spend; the run stops before it spends more. */
export const RunBudget = z.strictObject({
  steps: z.number().int().min(1).max(1_000_000).optional(),
  tokens: z.number().int().min(0).max(1_000_000_000).optional(),
  /** Millionths of a US dollar. */
  cost_micros: z.number().int().min(0).max(1_000_000_000_000).optional(),
  /** Milliseconds from start to end, waiting included. */
  time_ms: z.number().int().min(1).max(31_536_000_000).optional(),
});
export type RunBudget = z.output<typeof RunBudget>;

/**
 * Which of the graph's tools with side effects the run may call (those that only read need no grant).
 * The strictest of this, the workflow's `limits.tools` and a parent run's holds: nobody widens another's.
 */
export const ToolGrant = z.strictObject({
  /** Names of tools. */
  allow: z.array(z.string().min(1).max(64)).max(200).default([]),
  /** The others: `refuse` fails the step as `tool_not_granted`; `confirm` waits for a person's yes. */
  otherwise: z.enum(["refuse", "confirm"]).default("refuse"),
});
export type ToolGrant = z.output<typeof ToolGrant>;

/** How long the answer may be waited for; the run goes on without it. */
const WaitMs = z.number().int().min(0).max(120_000).default(55_000);

/** For services: whose run it is. */
const UserId = z.uuid().optional();

/** `POST /run-workflow` */
export const RunRequest = z.strictObject({
  workflow_id: z.uuid().optional(),
  workflow: InlineWorkflow.optional(),
  /** The state begins with these keys. */
  input: z.json().default({}),
  /** The conversation the run belongs to. */
  thread_id: z.uuid().optional(),
  /** 9 (first) to 0 (last), among one's own runs; 5 when left out. */
  priority: z.number().int().min(0).max(9).optional(),
  budget: RunBudget.optional(),
  /** Absent: every tool that the graph names and the workflow's own limits do not withhold. */
  tools: ToolGrant.optional(),
  /** Begin this much later. */
  delay_ms: z.number().int().min(0).max(31_536_000_000).optional(),
  metadata: JsonObject.optional(),
  wait_ms: WaitMs,
  user_id: UserId,
}).refine((input) => (input.workflow_id === undefined) !== (input.workflow === undefined), {
  path: ["workflow_id"],
  message: "give either workflow_id or workflow",
});
export type RunRequest = z.output<typeof RunRequest>;

/** A step's number in its run, or `<run id>:<number>`. */
export const StepId = z.union([
  z.number().int().min(0).max(2_147_483_647),
  z.string().regex(/^([0-9a-f-]{36}:)?\d{1,9}$/i),
]);
export type StepId = z.output<typeof StepId>;

/** `POST /run-workflow/:run_id/resume`: the answer to a waiting human step. */
export const ResumeRequest = z.strictObject({
  value: z.json(),
  /** Which step, when several wait. */
  step_id: StepId.optional(),
  wait_ms: WaitMs,
});
export type ResumeRequest = z.output<typeof ResumeRequest>;

/** `POST /run-workflow/:run_id/signal`: something happened outside. Kept when it comes early. */
export const SignalRequest = z.strictObject({
  name: z.string().trim().min(1).max(200),
  payload: z.json().default(null),
  /** The same id counts once. */
  dedup_id: z.string().min(1).max(255).optional(),
  wait_ms: WaitMs,
});
export type SignalRequest = z.output<typeof SignalRequest>;

/** `POST /run-workflow/:run_id/cancel` */
export const CancelRequest = z.strictObject({ reason: z.string().max(1000).optional() });
export type CancelRequest = z.output<typeof CancelRequest>;

/** `POST /run-workflow/:run_id/fork`: a new run that does a step again. */
export const ForkRequest = z.strictObject({
  step_id: StepId,
  /** Instead of the state that the step had. */
  state: JsonObject.optional(),
  wait_ms: WaitMs,
});
export type ForkRequest = z.output<typeof ForkRequest>;

/** `POST /run-workflow/workflows/validate` */
export const ValidateRequest = z.strictObject({
  workflow_id: z.uuid().optional(),
  workflow: InlineWorkflow.optional(),
  user_id: UserId,
}).refine((input) => (input.workflow_id === undefined) !== (input.workflow === undefined), {
  path: ["workflow_id"],
  message: "give either workflow_id or workflow",
});

/** `POST /run-workflow/work` */
export const WorkRequest = z.strictObject({
  /** No step is begun after this long. */
  budget_ms: z.number().int().min(100).max(120_000).default(50_000),
  /** Most steps of this call. */
  max_steps: z.number().int().min(1).max(2_000).default(400),
});

/** Where a run stands. */
export const RunStatus = z.enum([
  "pending",
  "running",
  "waiting",
  "completed",
  "failed",
  "cancelled",
]);
export type RunStatus = z.output<typeof RunStatus>;

/** Why a step or run failed. */
export const RunError = z.looseObject({
  code: z.string(),
  message: z.string(),
  node: z.string().optional(),
  seq: z.number().optional(),
});

/** What a run waits for. `prompt` of a human step is ready to be shown. */
export const RunWaiting = z.looseObject({
  seq: z.number(),
  node: z.string(),
  kind: z.enum(["human", "signal", "timer", "child", "map", "retry"]),
  prompt: z.unknown().optional(),
  schema: z.unknown().optional(),
  /** The call that waits for a yes (`true`) or no (`false`). */
  confirm: z.looseObject({ tool: z.string(), arguments: z.unknown() }).optional(),
  signal: z.string().optional(),
  until: z.string().optional(),
});

/** One visit of a node. */
export const RunStep = z.looseObject({
  seq: z.number(),
  node: z.string(),
  type: z.string(),
  status: z.string(),
  attempt: z.number(),
  output: z.unknown().optional(),
  /** Instead of the output, when newer steps have filled 4 MiB: its size. Its event has it whole. */
  output_bytes: z.number().optional(),
});

/** Answer of every route that moves or reads a run: 200 when it has ended or waits, else 202. */
export const RunView = z.looseObject({
  run_id: z.uuid(),
  status: RunStatus,
  state: z.unknown(),
  output: z.unknown().optional(),
  error: RunError.nullish(),
  waiting: z.array(RunWaiting).optional(),
  usage: z.looseObject({
    steps: z.number(),
    tokens: z.number(),
    cost_micros: z.number(),
    /** False when a model answered whose price is not known: `cost_micros` leaves it out. */
    is_priced: z.boolean(),
  }).optional(),
  steps: z.array(RunStep).optional(),
});
export type RunView = z.output<typeof RunView>;

/** Answer of `POST /work`: `more` says that due work was left for the next call. */
export const WorkReport = z.looseObject({
  steps: z.number(),
  left: z.array(z.uuid()),
  more: z.boolean(),
});
export type WorkReport = z.output<typeof WorkReport>;

/**
 * Events of `Accept: text/event-stream`. Those with an id are kept and can be followed from
 * `Last-Event-ID`; `token` is text as a model writes it, without an id and never sent twice.
 */
export const RunEventKind = z.enum([
  "run",
  "step",
  "call",
  "waiting",
  "retry",
  "end",
  "token",
]);
export type RunEventKind = z.output<typeof RunEventKind>;
