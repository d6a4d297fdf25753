import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import {
  CancelRequest,
  ForkRequest,
  ResumeRequest,
  RunRequest,
  SignalRequest,
  ValidateRequest,
  WorkRequest,
} from "../../../functions-shared/contracts/run_workflow.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import { readBody, readBytes, uuidParam } from "../../../functions-shared/http/input.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import {
  answerRun,
  hostOf,
  ownerOf,
  repeatRun,
  showRun,
} from "../../../functions-shared/runner/answer_run.ts";
import { checkInput, schemaProblems } from "../../../functions-shared/runner/check_input.ts";
import { checkAnswer } from "../../../functions-shared/runner/check_answer.ts";
import { doDueWork } from "../../../functions-shared/runner/do_due_work.ts";
import type { Reply } from "../../../functions-shared/runner/engine.ts";
import { tellGraphProblems } from "../../../functions-shared/runner/graph_problems.ts";
import { stepNumber } from "../../../functions-shared/runner/step_number.ts";
import { goOnLater } from "../../../functions-shared/runner/go_on_later.ts";
import { maintainVault } from "../../../functions-shared/vault/maintain_vault.ts";
import { drawGraph, type DrawnGraph } from "../../../functions-shared/workflow/diagram.ts";

const LEASE_MS = 30_000;

const app = miraFunction("run-workflow");
const people = allow("user", "secret");
const starting = limit("run-workflow", 120);
/** A conversation with a run: answers and signals come one by one, but programs send them too. */
const steering = limit("run-workflow-steer", 300);
/** Looking is cheap, and pages that watch several runs look often. */
const reading = limit("run-workflow-read", 600);

app.post("/", people, starting, idempotent(), async (c) => {
  const input = await readBody(c, RunRequest);
  const { priority, budget, tools, delay_ms, metadata } = input;
  const userId = subjectUser(c.var.caller, input.user_id);
  await checkInput(c.var.admin, userId, input);
  const reply = await rpc<Reply>(c.var.admin, "mira_start_run", {
    p_user_id: userId,
    p_workflow_id: input.workflow_id ?? null,
    p_workflow: input.workflow ?? null,
    p_input: { value: input.input },
    p_boxed: true,
    p_thread_id: input.thread_id ?? null,
    p_idempotency_key: c.var.effectId ?? null,
    p_options: { priority, budget, tools, delay_ms, metadata },
    p_lease_ms: LEASE_MS,
  }).catch((error) => {
    throw tellGraphProblems(error, input.workflow?.nodes.map(({ name }) => name));
  });
  return await answerRun(c, reply, input.wait_ms);
});

app.post("/work", allow("cron", "secret"), async (c) => {
  const { budget_ms: wallMs, max_steps: maxSteps } = await readBody(c, WorkRequest);
  const host = hostOf(c);
  // beside the runs: tokens are refreshed ahead of their expiry, providers hear of disconnects
  const [report, vault] = await Promise.all([
    doDueWork(host, { wallMs, maxSteps, leaseMs: LEASE_MS }),
    maintainVault(host.admin, { budgetMs: wallMs, onError: host.unknown }),
  ]);
  if (report.more) goOnLater(host);
  return c.json({ ...report, vault });
});

app.post("/workflows/validate", people, reading, async (c) => {
  const input = await readBody(c, ValidateRequest);
  const { valid, problems } = await rpc<{ valid: boolean; problems: { code: string }[] }>(
    c.var.admin,
    "mira_validate_workflow",
    {
      p_user_id: subjectUser(c.var.caller, input.user_id),
      p_workflow_id: input.workflow_id ?? null,
      p_workflow: input.workflow ?? null,
    },
  );
  // of a graph that was sent along every fault of a schema can be pointed at
  const more = input.workflow ? schemaProblems(input.workflow) : [];
  const rest = more.length > 0
    ? problems.filter(({ code }) => code !== "schema_invalid")
    : problems;
  return c.json({ valid: valid && more.length === 0, problems: [...rest, ...more] });
});

app.get("/workflows/:id/diagram", people, reading, async (c) => {
  return c.text(drawGraph(
    await rpc<DrawnGraph>(c.var.admin, "mira_read_graph", {
      p_user_id: ownerOf(c),
      p_workflow_id: uuidParam(c, "id"),
    }),
  ));
});

app.get("/:run_id{[0-9a-fA-F-]{36}}/diagram", people, reading, async (c) => {
  return c.text(drawGraph(
    await rpc<DrawnGraph>(c.var.admin, "mira_read_graph", {
      p_user_id: ownerOf(c),
      p_run_id: uuidParam(c, "run_id"),
    }),
  ));
});

app.get("/:run_id{[0-9a-fA-F-]{36}}", people, reading, async (c) => {
  return await showRun(c, uuidParam(c, "run_id"));
});

app.post(
  "/:run_id{[0-9a-fA-F-]{36}}/resume",
  people,
  steering,
  idempotent(repeatRun),
  async (c) => {
    const input = await readBody(c, ResumeRequest);
    const runId = uuidParam(c, "run_id");
    const seq = input.step_id === undefined ? undefined : stepNumber(input.step_id, runId);
    await checkAnswer(c.var.admin, ownerOf(c), runId, input.value, seq);
    const reply = await rpc<Reply>(c.var.admin, "mira_resume_run", {
      p_user_id: ownerOf(c),
      p_run_id: runId,
      p_value: { value: input.value },
      p_boxed: true,
      p_seq: seq ?? null,
      p_lease_ms: LEASE_MS,
      p_request_id: c.var.effectId ?? null,
    });
    return await answerRun(c, reply, input.wait_ms);
  },
);

app.post(
  "/:run_id{[0-9a-fA-F-]{36}}/signal",
  people,
  steering,
  idempotent(repeatRun),
  async (c) => {
    const input = await readBody(c, SignalRequest);
    const reply = await rpc<Reply & { delivered: boolean; duplicate: boolean }>(
      c.var.admin,
      "mira_signal_run",
      {
        p_user_id: ownerOf(c),
        p_run_id: uuidParam(c, "run_id"),
        p_name: input.name,
        p_payload: { value: input.payload },
        p_boxed: true,
        p_dedup_id: input.dedup_id ?? c.var.effectId ?? null,
        p_lease_ms: LEASE_MS,
      },
    );
    const { delivered, duplicate } = reply;
    return await answerRun(c, reply, input.wait_ms, { delivered, duplicate });
  },
);

app.post("/:run_id{[0-9a-fA-F-]{36}}/cancel", people, steering, idempotent(), async (c) => {
  const hasBody = (await readBytes(c)).byteLength > 0;
  const { reason } = hasBody ? await readBody(c, CancelRequest) : {};
  const reply = await rpc<Reply>(c.var.admin, "mira_cancel_run", {
    p_user_id: ownerOf(c),
    p_run_id: uuidParam(c, "run_id"),
    p_reason: reason ?? null,
  });
  return await answerRun(c, reply, 0);
});

app.post(
  "/:run_id{[0-9a-fA-F-]{36}}/fork",
  people,
  starting,
  idempotent(repeatRun),
  async (c) => {
    const input = await readBody(c, ForkRequest);
    const runId = uuidParam(c, "run_id");
    const reply = await rpc<Reply>(c.var.admin, "mira_fork_run", {
      p_user_id: ownerOf(c),
      p_run_id: runId,
      p_seq: stepNumber(input.step_id, runId),
      p_state: input.state ?? null,
      p_lease_ms: LEASE_MS,
      p_idempotency_key: c.var.effectId ?? null,
    });
    return await answerRun(c, reply, input.wait_ms);
  },
);

export default { fetch: app.fetch };
