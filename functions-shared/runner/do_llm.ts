/**
 * llm nodes: the conversation of `workflow/tool_loop.ts` with real calls.
 *
 * @module
 */
import { chat, type ChatAnswer } from "../ai/chat.ts";
import type { ChatEndpoint } from "../ai/chat_endpoint.ts";
import { type ConversationRecord, nextMove, type PlannedCall } from "../workflow/tool_loop.ts";
import type { ChatMessage, ModelReply } from "../workflow/chat_messages.ts";
import { estimateTokens, priceOf } from "../workflow/usage.ts";
import {
  type AgentMessage,
  hasEnded,
  type LogLine,
  type Outcome,
  type StepCall,
  type StepUsage,
} from "./engine.ts";
import { type LlmPlan, readEndpoint, readLlmPlan } from "./llm_plan.ts";
import { foreignFetch } from "./net/foreign_fetch.ts";
import { trustedOrigins } from "./net/trusted_origins.ts";
import { reserveSpend } from "./reserve_spend.ts";
import { stepError } from "./step_error.ts";
import { callTool } from "./tools/call_tool.ts";
import { ConfirmationNeeded } from "./tools/may_call.ts";
import { ToolError } from "./tools/tool.ts";
import { toolContext, type Work, workKey, WorkLost } from "./work.ts";

/**
 * Holds the conversation to its end. Every answer and every tool result is recorded before the next
 * move, so a later attempt begins where this one stopped.
 */
export async function doLlm(work: Work): Promise<Outcome> {
  const plan = await readLlmPlan(work);
  const endpoint = await readEndpoint(work);
  const talk = new Talk(work, plan);
  try {
    for (;;) {
      const move = nextMove(plan.conversation, talk.records);
      if (move.do === "finish") return await talk.outcome(move.answer);
      if (move.do === "fail") throw new ToolError(move.code, move.detail);
      if (move.do === "ask") await talk.ask(endpoint, move.messages);
      else await talk.call(move.calls, move.refused);
    }
  } catch (error) {
    const isOver = error instanceof WorkLost || error instanceof ConfirmationNeeded;
    if (isOver || work.signal.aborted) throw error;
    // what was paid for is told even when nothing came of it
    return { error: stepError(error, work.host.unknown), ...talk.unreported() };
  }
}

class Talk {
  readonly records: ConversationRecord[] = [];
  #next = 0;
  /** the newest answer, not recorded yet: it may turn out to be the step's own outcome */
  #fresh: StepCall | undefined;
  /** what has been spent and not told to the engine yet */
  #unreported: StepUsage | undefined;

  constructor(readonly work: Work, readonly plan: LlmPlan) {
    for (const call of (work.item ?? work.task).calls ?? []) {
      this.#next = call.index + 1;
      this.records.push(recordOf(call));
    }
  }

  async ask(endpoint: ChatEndpoint, messages: ChatMessage[]) {
    await this.#flush();
    const { work, plan } = this;
    const prompt = JSON.stringify(messages) + JSON.stringify(plan.offers);
    const price = priceOf(endpoint);
    const most = await reserveSpend(work, estimateTokens(prompt), plan.maxTokens, price);
    const started = performance.now();
    const answer = await chat(endpoint, {
      messages,
      tools: plan.offers,
      max_tokens: most,
      idempotencyKey: `${workKey(work)}:${this.#next}`,
      ...(plan.temperature === undefined ? {} : { temperature: plan.temperature }),
      ...(plan.conversation.answer === undefined
        ? {}
        : { answer: { name: "answer", schema: plan.conversation.answer } }),
    }, {
      signal: work.signal,
      ...(work.onToken ? { onToken: work.onToken } : {}),
      ...(endpoint.isForeign
        ? { fetch: foreignFetch(endpoint.url, trustedOrigins(work.host.read)) }
        : {}),
    });
    this.#spend(usageOf(answer));
    this.#fresh = {
      index: this.#next++,
      kind: "model",
      name: answer.model,
      // the opening once; what follows it is in the calls before this one
      input: { messages: this.records.length === 0 ? messages : messages.length },
      output: answer.reply,
      duration_ms: Math.round(performance.now() - started),
    };
    this.records.push(recordOf(this.#fresh));
  }

  /** Each result is recorded as soon as it is there: a slow tool does not put the others at risk. */
  async call(calls: PlannedCall[], refused: { key: string; name: string; result: unknown }[]) {
    await this.#flush();
    const ends = await Promise.allSettled([
      ...refused.map(({ key, name, result }) => this.#recordTool(key, name, null, result, 0)),
      ...calls.map((call) => this.#callOne(call)),
    ]);
    // what went well is recorded before a person is asked about the rest
    const failures = ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []);
    if (failures.length > 0) throw failures.find((one) => one instanceof WorkLost) ?? failures[0];
  }

  async #callOne({ key, name, args }: PlannedCall) {
    const notes = { logs: [] as LogLine[], messages: [] as AgentMessage[] };
    const context = toolContext(this.work, `${workKey(this.work)}:${key}`, notes);
    const started = performance.now();
    let result: unknown, error: string | undefined;
    try {
      result = await callTool(name, args, context);
    } catch (failure) {
      this.work.signal.throwIfAborted();
      if (failure instanceof ConfirmationNeeded) throw failure;
      const { code, message } = stepError(failure, this.work.host.unknown);
      error = message;
      result = { error: code, detail: message };
    }
    const ms = Math.round(performance.now() - started);
    const row = { tool_name: name, input: args, output: result, duration_ms: ms };
    await this.#recordTool(key, name, args, result, ms, {
      ...notes,
      tools: [error === undefined ? row : { ...row, error }],
    });
  }

  async #recordTool(
    key: string,
    name: string,
    args: unknown,
    output: unknown,
    duration_ms: number,
    notes: Partial<Outcome> = {},
  ) {
    const input = { key, arguments: args };
    await this.#record(
      { index: this.#next++, kind: "tool", name, input, output, duration_ms },
      notes,
    );
  }

  async outcome(answer: unknown): Promise<Outcome> {
    // an element is reported together with others, which may take long: what is paid for is kept now
    if (this.work.item) await this.#flush();
    const { agent, conversation } = this.plan;
    const opening = conversation.opening.findLast((message) => message.role === "user");
    return {
      output: answer,
      ...this.unreported(),
      messages: [
        { agent_name: agent, message_type: "input", content: opening?.content ?? "" },
        {
          agent_name: agent,
          message_type: "output",
          content: typeof answer === "string" ? answer : JSON.stringify(answer),
        },
      ],
    };
  }

  #spend(usage: StepUsage) {
    const before = this.#unreported;
    this.#unreported = before
      ? {
        ...usage,
        input_tokens: usage.input_tokens + before.input_tokens,
        output_tokens: usage.output_tokens + before.output_tokens,
        cost_micros: usage.cost_micros === null || before.cost_micros === null
          ? null
          : usage.cost_micros + before.cost_micros,
      }
      : usage;
  }

  /** Spending that the next outcome must carry. */
  unreported(): { usage?: StepUsage } {
    return this.#unreported ? { usage: this.#unreported } : {};
  }

  async #flush() {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    if (!fresh) return;
    this.records.pop();
    await this.#record(fresh);
  }

  async #record(call: StepCall, notes: Partial<Outcome> = {}) {
    const reply = await this.work.record(call, { ...notes, ...this.unreported() });
    this.#unreported = undefined;
    if (hasEnded(reply.status)) throw new WorkLost(reply.status);
    if (reply.reason && reply.reason !== "call_recorded") throw new WorkLost(reply.reason);
    // somebody whose lease had lapsed may have been first: what is recorded is what happened
    this.records.push(recordOf(reply.call ?? call));
  }
}

/** A recorded call as the conversation knows it. */
function recordOf(call: StepCall): ConversationRecord {
  if (call.kind === "model") return { kind: "model", reply: call.output as ModelReply };
  const { key } = call.input as { key: string };
  return { kind: "tool", key, result: call.output ?? { error: call.error } };
}

function usageOf({ usage, model }: ChatAnswer): StepUsage {
  return {
    input_tokens: usage.input_tokens,
    output_tokens: usage.output_tokens,
    model,
    cost_micros: usage.cost_usd === null ? null : Math.ceil(usage.cost_usd * 1e6),
  };
}
