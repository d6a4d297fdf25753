/** A task's log as server-sent events. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { ExecutionLog } from "../contracts/log_execution.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import { eventText, type ServerEvent } from "../http/sse.ts";
import type { Log } from "../observe/log.ts";
import { type Followed, LogFollower } from "./follow_logs.ts";

let follower: LogFollower | undefined;

/** The follower of this process; it polls only while somebody watches. */
export function followerOf(admin: SupabaseClient<Database>, log: Log): LogFollower {
  follower ??= new LogFollower(
    (watches, limit) =>
      rpc<Followed[]>(admin, "mira_follow_execution_logs", {
        p_watches: watches,
        p_limit: limit,
      }),
    async (watch, limit) => {
      const [answer] = await rpc<Followed[]>(admin, "mira_follow_execution_logs", {
        p_watches: [watch],
        p_limit: limit,
      });
      return answer?.logs ?? [];
    },
    (error) => log.warn("follow_failed", { message: (error as Error).message }),
  );
  return follower;
}

/**
 * Events `log` (id = seq, data = the line), from after `lastEventId` on, and a last event `end`
 * with the task's status.
 */
export async function* streamEvents(
  logs: LogFollower,
  watch: { user_id: string; task_id: string },
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent | string> {
  const following = logs.follow({ ...watch, after: seqOf(lastEventId) }, signal);
  while (true) {
    const { done, value } = await following.next();
    if (done) {
      if (!signal.aborted) yield { event: "end", data: { status: value } };
      return;
    }
    yield (value as ExecutionLog[]).map(textOf).join("");
  }
}

const texts = new WeakMap<ExecutionLog, string>();

/** A line as an event; viewers that share the follower's lines share their wording too. */
function textOf(line: ExecutionLog): string {
  let text = texts.get(line);
  if (text === undefined) {
    text = eventText({ id: String(line.seq), event: "log", data: line });
    texts.set(line, text);
  }
  return text;
}

/**
 * The `seq` a viewer has seen last; 0 when it has seen none.
 *
 * @throws {Problem} 422 `invalid_last_event_id`.
 */
export function seqOf(lastEventId: string | undefined): number {
  if (lastEventId === undefined || lastEventId === "") return 0;
  if (!/^\d{1,15}$/.test(lastEventId)) {
    throw new Problem(422, "invalid_last_event_id", "Last-Event-ID is the number of a log line.");
  }
  return Number(lastEventId);
}
