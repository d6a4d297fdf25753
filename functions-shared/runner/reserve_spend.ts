/**
 * What a model call may cost, set aside before it is made.
 *
 * @module
 */
import { rpc } from "../db/rpc.ts";
import type { Price } from "../workflow/usage.ts";
import { ToolError } from "./tools/tool.ts";
import { type Work, WorkLost } from "./work.ts";

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

const REFUSALS: Record<string, (inputTokens: number) => string> = {
  budget_exceeded: (input) =>
    `The prompt needs about ${input} tokens and the budget left does not cover an answer.`,
  llm_price_unknown: () =>
    "The run has a money budget and the model has no known price: name it in MIRA_LLM_PRICES as " +
    '{"model": {"input": usd, "output": usd}} per million tokens.',
};

/**
 * How many tokens a call may answer with so that every budget it counts against (the run's, its
 * parents', its user's day) holds in the worst case: all of the prompt and all of the answer paid.
 * The database decides, since siblings may be at work anywhere. A call that finds too little waits for
 * others to end, since they rarely cost what they may. The report of the answer settles it; a lease
 * that dies gives it back.
 *
 * @param wanted the most that the node would like
 * @throws {ToolError} `budget_exceeded`, `llm_price_unknown`; {WorkLost} when the lease is gone
 */
export async function reserveSpend(
  work: Work,
  inputTokens: number,
  wanted: number,
  price: Price | undefined,
): Promise<number> {
  const { task, item, signal, host } = work;
  const { tokens = null, cost_micros: micros = null } = task.budget_left ?? {};
  if (tokens === null && micros === null) return wanted;
  for (let wait = FIRST_WAIT_MS;; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const reply = await rpc<{ most?: number; wait?: true; refused?: string }>(
      host.admin,
      "mira_reserve_spend",
      {
        p_run_id: task.run_id,
        p_seq: task.seq,
        p_item: item?.idx ?? -1,
        p_holder: item?.attempt ?? task.epoch,
        p_input_tokens: inputTokens,
        p_answer_tokens: wanted,
        p_input_price: price?.input,
        p_output_price: price?.output,
      },
    );
    if (reply.most !== undefined) return reply.most;
    if (reply.refused !== undefined) {
      const detail = REFUSALS[reply.refused];
      if (!detail) throw new WorkLost(reply.refused);
      throw new ToolError(reply.refused, detail(inputTokens));
    }
    await pause(wait * (0.75 + Math.random() / 2), signal);
  }
}

/** Waits, unless the work is over first. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
