/**
 * One at a time, in order of arrival.
 *
 * PGlite has a single session and `@supabase/lite` opens transactions on it without a lock of its
 * own: two requests at once would run inside each other's transaction, under each other's role.
 */
export class Exclusive {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `work` when everything before it has ended, whether well or badly. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work, work);
    this.#tail = turn.catch(() => {});
    return turn;
  }
}
