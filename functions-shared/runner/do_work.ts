/**
 * Any piece of work, by the type of its node.
 *
 * @module
 */
import { doLlm } from "./do_llm.ts";
import { doRouter } from "./do_router.ts";
import { doTool } from "./do_tool.ts";
import type { Outcome } from "./engine.ts";
import { stepError } from "./step_error.ts";
import { ConfirmationNeeded } from "./tools/may_call.ts";
import { type Work, WorkLost } from "./work.ts";

const BY_TYPE: Record<string, (work: Work) => Promise<Outcome>> = {
  llm: doLlm,
  tool: doTool,
  router: doRouter,
};

/**
 * Does the work within its deadline; a failure becomes an outcome like any other.
 *
 * @throws {WorkLost} when the work stopped being ours meanwhile
 */
export async function doWork(work: Work): Promise<Outcome> {
  const { task } = work;
  const started = performance.now();
  const { timeLeftMs: left } = work;
  // longer timers than 2^31 ms end at once
  const deadline = left === undefined || left > 2 ** 30 ? undefined : AbortSignal.timeout(left);
  const signal = deadline ? AbortSignal.any([work.signal, deadline]) : work.signal;
  const ended = () => {
    if (work.signal.aborted) throw new WorkLost("stopped");
    return deadline?.aborted ?? false;
  };
  const late = {
    error: { code: "timed_out", message: `The node "${task.node.name}" took too long.` },
  };
  let outcome: Outcome;
  try {
    const handler = Object.hasOwn(BY_TYPE, task.node.type) ? BY_TYPE[task.node.type] : undefined;
    outcome = handler ? await unlessOver(handler({ ...work, signal }), signal) : {
      error: { code: "node_type_unknown", message: `Nothing here does ${task.node.type} nodes.` },
    };
    if (outcome.error && ended()) outcome = { ...outcome, ...late };
  } catch (error) {
    if (error instanceof WorkLost) throw error;
    if (ended()) outcome = late;
    else if (error instanceof ConfirmationNeeded) outcome = { confirm: error.ask };
    else outcome = { error: stepError(error, work.host.unknown) };
  }
  return { ...outcome, duration_ms: Math.round(performance.now() - started) };
}

/**
 * The work's outcome, or the signal's reason if that comes first: a step ends at its deadline even
 * when something in it waits for an answer that never comes and does not heed the signal.
 */
async function unlessOver(outcome: Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
  let stop = () => {};
  const over = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([outcome, over]);
  } finally {
    signal.removeEventListener("abort", stop);
    // what it says from now on is heard by nobody
    outcome.catch(() => {});
  }
}
