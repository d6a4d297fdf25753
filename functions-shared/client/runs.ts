import type { z } from "zod";
import type {
  ForkRequest,
  RunEventKind,
  RunRequest,
  RunView,
  SignalRequest,
} from "../contracts/run_workflow.ts";
import { follow } from "./event_stream.ts";
import type { Call, Transport } from "./transport.ts";
import { uuid } from "./uuid.ts";

/** One thing that happened in a run. `token` is text as a model writes it; it has no id. */
export interface RunEvent {
  id: string | undefined;
  event: RunEventKind;
  // deno-lint-ignore no-explicit-any -- depends on the kind and on what the node put out
  data: any;
}

/** A run to follow: iterate it for its events, await `result` for where it ended up. */
export interface RunHandle extends AsyncIterable<RunEvent> {
  /** The run's id, as soon as the server has given it one. */
  readonly id: Promise<string>;
  /** The run when it has ended, or when `for await` was left. */
  readonly result: Promise<RunView>;
}

/** What may be done with runs. */
export interface Runs {
  /**
   * Starts a run. Starting is idempotent over retries. The events come whether or not anybody
   * iterates yet; a broken connection is taken up again without a gap.
   */
  start(
    request: z.input<typeof RunRequest>,
    options?: { signal?: AbortSignal; idempotencyKey?: string },
  ): RunHandle;
  /** Follows a run that was started before, from its beginning. */
  follow(runId: string, options?: { signal?: AbortSignal }): RunHandle;
  get(runId: string): Promise<RunView>;
  /** Answers a waiting human step. */
  resume(runId: string, value: unknown, stepId?: number): Promise<RunView>;
  signal(runId: string, signal: z.input<typeof SignalRequest>): Promise<RunView>;
  cancel(runId: string, reason?: string): Promise<RunView>;
  /** A new run that does one step of `runId` again. */
  fork(runId: string, fork: z.input<typeof ForkRequest>): Promise<RunView>;
  /** The graph as Mermaid text. */
  diagram(workflowId: string): Promise<string>;
}

const ENDED = ["completed", "failed", "cancelled"];

/** Calls of `run-workflow`. */
export function runs(transport: Transport): Runs {
  const path = "run-workflow";
  const get = (id: string) => transport.json<RunView>(`${path}/${id}`);
  const act = (id: string, verb: string, body: unknown) =>
    transport.json<RunView>(`${path}/${id}/${verb}`, {
      body,
      headers: { "idempotency-key": uuid() },
    });

  const handle = (
    knownId: string | undefined,
    begin: Call,
    signal: AbortSignal | undefined,
  ): RunHandle => {
    const events: RunEvent[] = [];
    const id = Promise.withResolvers<string>();
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    let runId = knownId;
    if (runId) id.resolve(runId);
    let wake = () => {};
    let over = false;
    let failure: unknown;

    const named = (found: unknown) => {
      if (!runId && typeof found === "string") id.resolve(runId = found);
    };
    const open = async (headers: Record<string, string>) => {
      const call = { signal: stop.signal };
      if (runId) return await transport.open(`${path}/${runId}`, { ...call, headers });
      const response = await transport.open(path, {
        ...begin,
        ...call,
        headers: { ...headers, ...begin.headers },
      });
      if (response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
      // The start was answered before and this is the stored answer: go on with the run it names.
      named((await response.json()).run_id);
      return await transport.open(`${path}/${runId}`, { ...call, headers });
    };
    const pump = async (): Promise<RunView> => {
      for (let lastEventId: string | undefined;;) {
        for await (const event of follow(open, { lastEventId, signal: stop.signal, once: true })) {
          if (event.id !== undefined) lastEventId = event.id;
          named(event.data?.run_id);
          events.push(event as RunEvent);
          wake();
        }
        const view = await get(runId!);
        if (ENDED.includes(view.status) || stop.signal.aborted) return view;
      }
    };
    const result = pump().catch((error) => {
      failure = error;
      id.reject(error);
      throw error;
    }).finally(() => {
      over = true;
      signal?.removeEventListener("abort", abort);
      wake();
    });
    for (const promise of [result, id.promise]) promise.catch(() => {}); // nobody has to listen

    return {
      id: id.promise,
      result,
      async *[Symbol.asyncIterator]() {
        try {
          for (let next = 0;;) {
            if (next < events.length) yield events[next++]!;
            else if (failure) throw failure;
            else if (over) return;
            else await new Promise<void>((resolve) => wake = resolve);
          }
        } finally {
          stop.abort();
        }
      },
    };
  };

  return {
    start: (body, { signal, idempotencyKey = uuid() } = {}) =>
      handle(undefined, { body, headers: { "idempotency-key": idempotencyKey } }, signal),
    follow: (runId, { signal } = {}) => handle(runId, {}, signal),
    get,
    resume: (id, value, stepId) =>
      act(id, "resume", { value, ...(stepId === undefined ? {} : { step_id: stepId }) }),
    signal: (id, signal) => act(id, "signal", signal),
    cancel: (id, reason) => act(id, "cancel", reason ? { reason } : {}),
    fork: (id, fork) => act(id, "fork", fork),
    diagram: async (id) => await (await transport.open(`${path}/workflows/${id}/diagram`)).text(),
  };
}
