import type { Transport } from "./transport.ts";

/** Calls of `run-workflow`. */
export interface Runs {
  start(request: Record<string, unknown>): Promise<unknown>;
}

/** Calls of `run-workflow`. */
export function runs(transport: Transport): Runs {
  return { start: (body) => transport.json("run-workflow", { body }) };
}
