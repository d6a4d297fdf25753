/**
 * Latency side by side: engines that are open at the same time, each in a process of its own on a
 * fresh database, take turns in short slices, so that the machine's moods fall on all alike. A
 * figure of one engine now and of another a minute later would compare the minutes.
 */

import { median } from "../quantile.ts";
import { lastWords } from "./last_words.ts";
import { WARM_UP } from "./latencies.ts";
import { onServer, scratch } from "./scratch.ts";

const SLICES = 100;
const RUNS_PER_SLICE = 20;

/** How quick an engine was in a duel. */
export interface Latency {
  name: string;
  /** Median of all its runs, in milliseconds. */
  p50_ms: number;
  /** Median of each slice; the n-th of each engine were measured within the same second or two. */
  slices_ms: number[];
}

/**
 * Holds a duel on the server; the answer is in the order of the names.
 *
 * @throws {Error} when an engine cannot be opened or fails in a run, with its last words
 */
export async function duel(server: string, names: string[]): Promise<Latency[]> {
  await using open = new AsyncDisposableStack();
  const duellists: Duellist[] = [];
  for (const name of names) {
    const database = open.use(await scratch(server, name.startsWith("mira")));
    duellists.push(open.use(new Duellist(name, database.url)));
  }
  for (const duellist of duellists) await duellist.run(0); // it answers when it is open
  // what setting up has written is nobody's latency; the first writes to a page after this, which
  // cost its whole image in the log, fall into the warm-up
  await onServer(server, "checkpoint");
  for (const duellist of duellists) await duellist.run(WARM_UP);

  const slices: number[][][] = names.map(() => []);
  for (let slice = 0; slice < SLICES; slice++) {
    for (let turn = 0; turn < names.length; turn++) {
      const at = (slice + turn) % names.length; // everybody goes first in turn
      slices[at]!.push(await duellists[at]!.run(RUNS_PER_SLICE));
    }
  }
  return names.map((name, at) => ({
    name,
    p50_ms: median(slices[at]!.flat()),
    slices_ms: slices[at]!.map(median),
  }));
}

/** The process of one side. */
class Duellist implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #words: Promise<string>;

  constructor(name: string, url: string) {
    this.#name = name;
    const script = new URL("./duellist.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, name, url],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(600_000),
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#words = this.#process.stderr.text();
  }

  /** Milliseconds of each of its next runs. */
  async run(count: number): Promise<number[]> {
    let answer = "";
    await this.#orders.write(new TextEncoder().encode(`${count}\n`)).catch(() => {}); // it has ended
    while (!answer.endsWith("\n")) {
      const { value, done } = await this.#answers.read();
      if (done) throw new Error(`${this.#name} ended: ${lastWords(await this.#words)}`);
      answer += value;
    }
    return JSON.parse(answer);
  }

  /** It is a client of a database that is about to go: there is nothing to end in order. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#process.status;
  }
}
