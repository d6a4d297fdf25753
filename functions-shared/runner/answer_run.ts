/**
 * How `run-workflow` answers: as one JSON value, or as a stream of events.
 *
 * @module
 */
import { rpc } from "../db/rpc.ts";
import { optionalEnv } from "../env.ts";
import { keepAlive } from "../http/afterwards.ts";
import type { MiraContext } from "../http/app.ts";
import { eventStream } from "../http/sse.ts";
import { openSecret } from "../vault/open_secret.ts";
import { driveRun, isSettled } from "./drive_run.ts";
import type { Reply } from "./engine.ts";
import { goOnLater } from "./go_on_later.ts";
import { Happenings, runEvents } from "./run_events.ts";
import { type ReadRun, shown } from "./show_run.ts";
import type { RunnerHost } from "./tools/tool.ts";

/** What the runner works with, for the service that this request reaches. */
export function hostOf(c: MiraContext): RunnerHost {
  const { admin, log } = c.var;
  return {
    admin,
    read: optionalEnv,
    openSecret: (ask) => openSecret(admin, ask),
    unknown: (cause) =>
      log.error("runner_failure", {
        cause: cause instanceof Error ? { message: cause.message, stack: cause.stack } : cause,
      }),
  };
}

/** Whose runs the caller may touch: their own, or anybody's for the service. */
export function ownerOf(c: MiraContext): string | null {
  return c.var.caller.kind === "user" ? c.var.caller.userId : null;
}

/**
 * Drives the run that `reply` is about and answers when it has ended, waits for somebody, or
 * `waitMs` is over: 200 with the run, or 202 while it goes on. With `Accept: text/event-stream` the
 * answer is the run's events from the first one (or after `Last-Event-ID`), until that same moment.
 */
export async function answerRun(
  c: MiraContext,
  reply: Reply,
  waitMs: number,
  more: Record<string, unknown> = {},
): Promise<Response> {
  const host = hostOf(c);
  const happenings = wantsStream(c) ? new Happenings() : undefined;
  const drive = driveRun(
    host,
    reply,
    happenings && {
      onReply: happenings.notify,
      onToken: (task, text) => happenings.write(task.node.name, task.seq, text),
    },
  );
  keepAlive(drive.done.then(({ left }) => {
    if (left.length > 0) goOnLater(host);
  }));
  if (happenings) {
    drive.settled.then(happenings.end);
    c.set("streamOf", reply.run_id);
    return streamRun(c, reply.run_id, happenings);
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, waitMs));
  await Promise.race([drive.settled, patience]);
  clearTimeout(timer);
  const run = await readRun(c, reply.run_id);
  const goesOn = run.status === "pending" || run.status === "running";
  return c.json({ ...run, ...more }, goesOn ? 202 : 200);
}

/** `GET /:run_id`: the run as it stands, or its events. */
export async function showRun(c: MiraContext, runId: string): Promise<Response> {
  // read first, so that somebody else's run is a 404 in either form
  const run = await readRun(c, runId);
  return wantsStream(c) ? streamRun(c, runId) : c.json(run);
}

/** No run has an event after this one. */
const LAST_EVENT = 2 ** 31 - 1;

/** The answer of a request once more: the run as it stands, or its events up to where it rests. */
export async function repeatRun(c: MiraContext, runId: string): Promise<Response> {
  const run = await readRun(c, runId);
  if (!wantsStream(c)) return c.json(run);
  if (!isSettled(run)) return streamRun(c, runId);
  const happenings = new Happenings();
  happenings.end();
  return streamRun(c, runId, happenings);
}

function wantsStream(c: MiraContext): boolean {
  return (c.req.header("accept") ?? "").includes("text/event-stream");
}

function streamRun(c: MiraContext, runId: string, happenings?: Happenings): Response {
  return eventStream(c, ({ lastEventId, signal }) => {
    const after = Number(lastEventId ?? 0);
    return runEvents(c.var.admin, ownerOf(c), runId, {
      after: after > 0 ? Math.min(Math.floor(after), LAST_EVENT) : 0,
      signal,
      ...(happenings ? { happenings } : {}),
    });
  });
}

async function readRun(c: MiraContext, runId: string): Promise<ReadRun> {
  return shown(
    await rpc<ReadRun>(c.var.admin, "mira_read_run", { p_user_id: ownerOf(c), p_run_id: runId }),
  );
}
