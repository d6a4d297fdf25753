/**
 * A run as people see it.
 *
 * @module
 */
import { render, TemplateError } from "../workflow/template.ts";
import type { RunStatus, Waiting } from "./engine.ts";

/** What the engine reads of a run, as far as it matters here. */
export interface ReadRun {
  run_id: string;
  status: RunStatus;
  state: Record<string, unknown>;
  input: unknown;
  waiting?: Waiting[];
}

/**
 * The run with the prompts of its human steps as a person should read them. One that cannot be
 * rendered is shown as it was written.
 */
export function shown<R extends ReadRun>(run: R): R {
  if (!run.waiting) return run;
  const scope = { ...run.state, input: run.input, run: { id: run.run_id } };
  const waiting = run.waiting.map((one) => {
    try {
      return one.prompt === undefined ? one : { ...one, prompt: render(one.prompt, scope) };
    } catch (error) {
      if (error instanceof TemplateError) return one;
      throw error;
    }
  });
  return { ...run, waiting };
}
