import type { Transport } from "./transport.ts";

/** Calls of `log-execution`. */
export interface Logs {
  write(logs: Record<string, unknown>[]): Promise<unknown>;
}

/** Calls of `log-execution`. */
export function logs(transport: Transport): Logs {
  return { write: (logs) => transport.json("log-execution", { body: { logs } }) };
}
