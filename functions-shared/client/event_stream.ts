import { MiraError } from "./transport.ts";

/** One server-sent event with its data parsed. */
export interface StreamEvent {
  id: string | undefined;
  event: string;
  // deno-lint-ignore no-explicit-any -- each stream knows its own data
  data: any;
}

/** Reads `text/event-stream` from an answer until it ends. */
export async function* readEvents(response: Response): AsyncGenerator<StreamEvent> {
  const reader = response.body!.pipeThrough(new TextDecoderStream() as never).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // an event without its blank line is not complete: it comes again
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop()!;
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** What {@link follow} needs to know besides how to ask. */
export interface FollowOptions {
  /** The last event that was seen before. */
  lastEventId?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Stop when the server ends the stream in good order, instead of asking again. */
  once?: boolean;
}

/**
 * Follows a stream across broken connections: `open` is asked again for what comes after the last
 * event that was seen, after a pause that grows while nothing comes, until the consumer stops,
 * `signal` aborts, the server answers 204, or the request is wrong (4xx, thrown).
 */
export async function* follow(
  open: (headers: Record<string, string>) => Promise<Response>,
  options: FollowOptions = {},
): AsyncGenerator<StreamEvent> {
  let { lastEventId } = options;
  const { signal } = options;
  for (let silent = 0; !signal?.aborted; silent++) {
    try {
      const response = await open({
        accept: "text/event-stream",
        ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
      });
      if (response.status === 204) return;
      for await (const event of readEvents(response)) {
        silent = 0;
        if (event.id !== undefined) lastEventId = event.id;
        yield event;
      }
      if (options.once) return;
    } catch (error) {
      if (signal?.aborted) return;
      const passes = !(error instanceof MiraError) || error.status === 0 || error.status === 429 ||
        error.status >= 500;
      if (!passes) throw error;
    }
    await pause(Math.min(30_000, 500 * 2 ** Math.min(silent, 6)), signal);
  }
}

function parse(block: string): StreamEvent | null {
  let id: string | undefined;
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length ? { id, event, data: JSON.parse(data.join("\n")) } : null;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
