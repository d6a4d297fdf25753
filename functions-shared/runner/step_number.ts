/**
 * Which step of a run a request means.
 *
 * @module
 */
import type { StepId } from "../contracts/run_workflow.ts";
import { Problem } from "../http/problem.ts";

/**
 * The number of the step that `id` names.
 *
 * @throws {Problem} 404 `step_not_found` when it names a step of another run
 */
export function stepNumber(id: StepId, runId: string): number {
  const [number, run = runId] = String(id).split(":").reverse();
  if (run.toLowerCase() === runId) return Number(number);
  throw new Problem(404, "step_not_found", "This is a step of another run.");
}
