/**
 * A run as a stream of events.
 *
 * @module
 */
import { rpc } from "../db/rpc.ts";
import type { ServerEvent } from "../http/sse.ts";
import type { Admin } from "./engine.ts";
import { type ReadRun, shown } from "./show_run.ts";

interface Page {
  status: string;
  last_event: number;
  finished: boolean;
  events: { id: number; event: string; data: Record<string, unknown>; at: string }[];
}

/** Things that happen in this process and are worth a look at the database, or are text already. */
export class Happenings {
  #texts: { node: string; seq: number; text: string }[] = [];
  #isNews = false;
  #isOver = false;
  #wake = () => {};

  /** Something may have been recorded. */
  notify = () => {
    this.#isNews = true;
    this.#wake();
  };

  /** Nothing more will happen here before somebody else acts. */
  end = () => {
    this.#isOver = true;
    this.notify();
  };

  /** Whether {@link end} has been called. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** A model wrote `text`; pieces of one step are joined until they are read. */
  write(node: string, seq: number, text: string) {
    const last = this.#texts.at(-1);
    if (last?.seq === seq) last.text += text;
    else this.#texts.push({ node, seq, text });
    this.notify();
  }

  /** Takes what was written since the last time; what happens from here on is news. */
  read() {
    this.#isNews = false;
    return this.#texts.splice(0);
  }

  /** Waits until something happens, at most `ms`. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted || this.#isNews) resolve();
    });
    clearTimeout(timer);
  }
}

/**
 * Every event of a run after `from.after`, in order and without gaps, as it happens, until the run
 * ends. With `happenings` it follows this process closely, adds `token` events and ends with it;
 * otherwise it looks every half second.
 */
export async function* runEvents(
  admin: Admin,
  userId: string | null,
  runId: string,
  from: { after: number; signal: AbortSignal; happenings?: Happenings },
): AsyncGenerator<ServerEvent> {
  const { signal, happenings = new Happenings() } = from;
  const near = from.happenings !== undefined;
  let { after } = from;
  while (!signal.aborted) {
    const isLast = happenings.isOver;
    const texts = happenings.read();
    const page = await rpc<Page>(admin, "mira_run_events", {
      p_user_id: userId,
      p_run_id: runId,
      p_after: after,
      p_limit: 200,
    });
    for (const { node, seq, text } of texts) {
      yield { event: "token", data: { run_id: runId, node, seq, text } };
    }
    for (const { id, event, data, at } of page.events) {
      const prompt = data["prompt"] === undefined
        ? {}
        : { prompt: await promptOf(admin, userId, runId, data) };
      yield { id: String(id), event, data: { ...data, ...prompt, at } };
      after = id;
    }
    const isRead = page.events.length === 0 || after >= page.last_event;
    if (isRead && (page.finished || isLast)) return;
    if (isRead) await happenings.wait(near ? 2000 : 500, signal);
    // tokens come faster than anybody reads
    if (near) await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** The prompt of a step that waits, rendered; as it was written once the step has been answered. */
async function promptOf(
  admin: Admin,
  userId: string | null,
  runId: string,
  data: Record<string, unknown>,
): Promise<unknown> {
  const run = await rpc<ReadRun>(admin, "mira_read_run", { p_user_id: userId, p_run_id: runId });
  const open = shown(run).waiting?.find(({ seq }) => seq === data["seq"]);
  return open?.prompt ?? data["prompt"];
}
