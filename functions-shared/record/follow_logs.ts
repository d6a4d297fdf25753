/**
 * Following tasks' logs live, for any number of viewers, without a database connection for each.
 *
 * One follower per process polls all watched tasks in a single call: often while something
 * happens, seldom while nothing does. Viewers share what it reads; one that is behind the shared
 * window reads its own pages until it has caught up. A line's `seq` grows in commit order within a
 * task (see the execution migration), so "everything after the last one" misses nothing.
 */

import type { ExecutionLog } from "../contracts/log_execution.ts";
import { inTime, settled, sleep } from "./wait.ts";

/** What a poll answers for one watch. */
export interface Followed {
  user_id: string;
  task_id: string;
  /** The task's status; null when no such task is on record. */
  status: string | null;
  /** The next lines, in order. */
  logs: ExecutionLog[];
}

/** Where one watch stands. */
export interface Watch {
  user_id: string;
  task_id: string;
  after: number;
}

/** Reads what is new for every watch, in one call. */
export type Poll = (watches: Watch[], limit: number) => Promise<Followed[]>;

/** Reads one page of a task's lines after `after`. */
export type ReadPage = (watch: Watch, limit: number) => Promise<ExecutionLog[]>;

/** Statuses after which nothing more is expected. */
const ENDS = new Set(["completed", "failed", "cancelled"]);

/** Lines kept in memory per task for viewers that are a little behind. */
const WINDOW = 1000;
const PAGE = 500;
const BUSY_MS = 50;
const IDLE_MS = 500;
/** A call that takes longer is given up: its connection may have died without a word. */
const CALL_MS = 5000;
/** How long a task counts as busy after its last line. */
const BUSY_FOR_MS = 3000;

interface Room {
  watch: Watch;
  /** Lines with `floor < seq <= watch.after`, in order. */
  lines: ExecutionLog[];
  floor: number;
  status: string | null;
  viewers: number;
  /** The shared window holds everything there is. */
  isCurrent: boolean;
  changed: PromiseWithResolvers<void>;
}

/** One per process. */
export class LogFollower {
  readonly #poll: Poll;
  readonly #readPage: ReadPage;
  readonly #onError: (error: unknown) => void;
  readonly #rooms = new Map<string, Room>();
  #isRunning = false;
  #lastLineAt = 0;
  #wake = Promise.withResolvers<void>();

  constructor(poll: Poll, readPage: ReadPage, onError: (error: unknown) => void = () => {}) {
    this.#poll = (watches, limit) => inTime(poll(watches, limit), CALL_MS);
    this.#readPage = (watch, limit) => inTime(readPage(watch, limit), CALL_MS);
    this.#onError = onError;
  }

  /** Says that something was just written here, so that viewers need not wait for the next poll. */
  poke(): void {
    if (this.#rooms.size === 0) return;
    this.#lastLineAt = Date.now();
    this.#wake.resolve();
  }

  /**
   * The lines of a task after `after`, as they come, each once and in order; returns when the task
   * has ended and everything was given, with its last status, or when `signal` aborts.
   */
  async *follow(watch: Watch, signal: AbortSignal): AsyncGenerator<ExecutionLog[], string | null> {
    const room = this.#enter(watch);
    let after = watch.after;
    try {
      while (!signal.aborted) {
        if (after < room.floor) {
          const page = await this.#page({ ...watch, after }, signal);
          const last = page.at(-1);
          if (last === undefined) after = room.floor; // what lay below has been retired
          else {
            yield page;
            after = last.seq;
          }
          continue;
        }
        const { changed } = room;
        const news = room.lines.filter((line) => line.seq > after);
        const last = news.at(-1);
        if (last !== undefined) {
          yield news;
          after = last.seq;
          continue;
        }
        if (room.isCurrent && room.status !== null && ENDS.has(room.status)) return room.status;
        await settled(changed.promise, signal);
      }
      return room.status;
    } finally {
      if (--room.viewers === 0) {
        this.#rooms.delete(key(watch));
        this.#wake.resolve();
      }
    }
  }

  async #page(watch: Watch, signal: AbortSignal): Promise<ExecutionLog[]> {
    for (;;) {
      try {
        return await this.#readPage(watch, PAGE);
      } catch (error) {
        this.#onError(error);
        if (signal.aborted) return [];
        await sleep(IDLE_MS);
      }
    }
  }

  #enter(watch: Watch): Room {
    let room = this.#rooms.get(key(watch));
    if (room === undefined) {
      room = {
        watch: { ...watch },
        lines: [],
        floor: watch.after,
        status: null,
        viewers: 0,
        isCurrent: false,
        changed: Promise.withResolvers(),
      };
      this.#rooms.set(key(watch), room);
      this.#wake.resolve();
    }
    room.viewers++;
    if (!this.#isRunning) this.#run();
    return room;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#rooms.size > 0) {
      this.#wake = Promise.withResolvers();
      let isMore = false;
      try {
        isMore = await this.#round();
      } catch (error) {
        this.#onError(error); // the database is restarting, perhaps; viewers wait, the loop goes on
      }
      if (isMore) continue;
      const pause = Date.now() - this.#lastLineAt < BUSY_FOR_MS ? BUSY_MS : IDLE_MS;
      const timer = setTimeout(() => this.#wake.resolve(), pause);
      await this.#wake.promise;
      clearTimeout(timer);
    }
    this.#isRunning = false;
  }

  async #round(): Promise<boolean> {
    const rooms = [...this.#rooms.values()];
    const answers = await this.#poll(rooms.map((room) => room.watch), PAGE);
    let isMore = false;
    answers.forEach((answer, index) => {
      const room = rooms[index]!;
      const isFull = answer.logs.length === PAGE;
      isMore ||= isFull;
      const isNews = answer.logs.length > 0 || answer.status !== room.status || !room.isCurrent;
      if (!isNews) return;
      if (answer.logs.length > 0) this.#lastLineAt = Date.now();
      room.lines.push(...answer.logs);
      room.watch.after = answer.logs.at(-1)?.seq ?? room.watch.after;
      if (room.lines.length > WINDOW) {
        room.floor = room.lines.splice(0, room.lines.length - WINDOW).at(-1)!.seq;
      }
      room.status = answer.status;
      room.isCurrent = !isFull;
      const { changed } = room;
      room.changed = Promise.withResolvers();
      changed.resolve();
    });
    return isMore;
  }
}

const key = (watch: Watch) => `${watch.user_id}/${watch.task_id}`;
