/**
 * Engines side by side: open at the same time, each in a process of its own on a fresh database, they
 * take turns in short slices, so that the machine's moods fall on all alike. A figure of one engine
 * now and of another a minute later would compare the minutes.
 */

import { median } from "../quantile.ts";
import { lastWords } from "./last_words.ts";
import { onServer, scratch } from "./scratch.ts";
import { WARM_UP, type WORKS } from "./works.ts";

/** An engine, what it is to do, and how much of it in a slice. */
export interface Side {
  name: string;
  work: keyof typeof WORKS;
  count: number;
}

/** How a side did: milliseconds of a run, or things per second. */
export interface Outcome {
  name: string;
  /** Median of all its figures. */
  figure: number;
  /** Median of each slice; the n-th of each side were measured within the same second or two. */
  slices: number[];
}

/**
 * Holds a duel on the server; the answer is in the order of the sides.
 *
 * @throws {Error} when an engine cannot be opened or fails in a run, with its last words
 */
export async function duel(server: string, sides: Side[], slices: number): Promise<Outcome[]> {
  await using open = new AsyncDisposableStack();
  const duellists: Duellist[] = [];
  for (const side of sides) {
    const database = open.use(await scratch(server, side.name.startsWith("mira")));
    duellists.push(open.use(new Duellist(side, database.url)));
  }
  for (const duellist of duellists) await duellist.does(0); // it answers when it is open
  // what setting up has written is nobody's doing; the first writes to a page after this, which
  // cost its whole image in the log, fall into the warm-up
  await onServer(server, "checkpoint");
  for (const duellist of duellists) await duellist.does(WARM_UP);

  const figures: number[][][] = sides.map(() => []);
  for (let slice = 0; slice < slices; slice++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const at = (slice + turn) % sides.length; // everybody goes first in turn
      figures[at]!.push(await duellists[at]!.does(sides[at]!.count));
    }
  }
  return sides.map(({ name }, at) => ({
    name,
    figure: median(figures[at]!.flat()),
    slices: figures[at]!.map(median),
  }));
}

/** The process of one side. */
class Duellist implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #words: Promise<string>;

  constructor({ name, work }: Side, url: string) {
    this.#name = name;
    const script = new URL("./duellist.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, name, url, work],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(600_000),
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#words = this.#process.stderr.text();
  }

  /** The figures of so much of its work. */
  async does(count: number): Promise<number[]> {
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
