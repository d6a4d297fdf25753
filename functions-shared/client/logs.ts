import type { z } from "zod";
import type {
  ExecutionLog,
  LogEntry,
  LogQuery,
  LogReceipt,
  StatisticsQuery,
  TaskQuery,
} from "../contracts/log_execution.ts";
import { follow } from "./event_stream.ts";
import type { Transport } from "./transport.ts";
import { uuid } from "./uuid.ts";

/** One page of lines, and where the next one begins. */
export interface LogPage {
  logs: ExecutionLog[];
  next_cursor?: number | null;
}

/** The record of what runs and agents did. */
export interface Logs {
  write(logs: z.input<typeof LogEntry>[]): Promise<LogReceipt>;
  read(query?: z.input<typeof LogQuery>): Promise<LogPage>;
  /** Lines of one task as they are written, from `after` on, over broken connections. */
  follow(
    taskId: string,
    options?: { after?: number; signal?: AbortSignal },
  ): AsyncGenerator<ExecutionLog>;
  // deno-lint-ignore no-explicit-any -- the contract does not fix these answers yet
  tasks(query?: z.input<typeof TaskQuery>): Promise<any>;
  // deno-lint-ignore no-explicit-any -- the contract does not fix these answers yet
  statistics(query?: z.input<typeof StatisticsQuery>): Promise<any>;
}

/** Calls of `log-execution`. */
export function logs(transport: Transport): Logs {
  const path = "log-execution";
  return {
    write: (logs) =>
      // Ids are given here, so that a retry of the same call is stored once.
      transport.json(path, {
        body: { logs: logs.map((log) => ({ ...log, id: log.id ?? uuid() })) },
      }),
    read: (query) => transport.json(path + search(query)),
    async *follow(taskId, { after, signal } = {}) {
      const at = `${path}/stream?task_id=${taskId}`;
      const lastEventId = after === undefined ? undefined : String(after);
      const open = (headers: Record<string, string>) =>
        transport.open(at, { headers, ...(signal ? { signal } : {}) });
      for await (const { event, data } of follow(open, { lastEventId, signal })) {
        if (event === "log" || event === "message") yield data;
        if (event === "end") return;
      }
    },
    tasks: (query) => transport.json(`${path}/tasks` + search(query)),
    statistics: (query) => transport.json(`${path}/statistics` + search(query)),
  };
}

function search(query: object = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length ? "?" + new URLSearchParams(given.map(([k, v]) => [k, String(v)])) : "";
}
