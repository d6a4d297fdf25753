/** New rows of `execution_logs`, each once, found by polling while somebody listens. */

import type { SqlExecutor } from "../db/executor.ts";

/** Number and owner of a new row. */
export interface NewLog {
  seq: number;
  userId: string;
}

const POLL_MS = 100;
const PAGE = 1000;

// Supabase's Realtime reads the write-ahead log; who polls needs an index by number, which nobody else does
const INDEX = "create index if not exists execution_logs_feed_idx on public.execution_logs (seq)";

// numbers of different tasks may commit out of order: what is read is remembered until every
// transaction that was open at the time has ended, and only then becomes the floor
const NEXT = `
  select pg_snapshot_xmin(s)::text as xmin, pg_snapshot_xmax(s)::text as xmax, coalesce((
    select jsonb_agg(jsonb_build_array(n.seq, n.user_id) order by n.seq) from (
      select l.seq, l.user_id from public.execution_logs l
      where l.seq > $1 and not (l.seq = any ($2::bigint[])) order by l.seq limit ${PAGE}
    ) n), '[]') as rows
  from pg_current_snapshot() s`;

/** Polls only between `start` and `stop`. */
export class LogFeed {
  readonly #sql: SqlExecutor;
  readonly #deliver: (logs: NewLog[]) => Promise<void>;
  #stop: (() => void) | undefined;
  #started: Promise<void> | undefined;

  constructor(sql: SqlExecutor, deliver: (logs: NewLog[]) => Promise<void>) {
    this.#sql = sql;
    this.#deliver = deliver;
  }

  /** Follows from now on; resolves when the starting point is fixed. */
  start(): Promise<void> {
    this.#started ??= (async () => {
      let isOn = true;
      this.#stop = () => isOn = false;
      try {
        // another process may make it at this moment, or may not be allowed to: polling works without it
        await this.#sql.exec(INDEX).catch(() => {});
        const [head] = await this.#sql.query(
          "select coalesce(max(seq), 0)::text as seq from public.execution_logs",
        );
        this.#run(Number(head!["seq"]), () => isOn);
      } catch (error) {
        this.stop();
        throw error;
      }
    })();
    return this.#started;
  }

  /** Stops after the poll that is under way. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#started = undefined;
  }

  async #run(start: number, isOn: () => boolean): Promise<void> {
    let floor = start;
    let seen: number[] = [];
    let marks: { upTo: number; xmax: bigint }[] = [];
    while (isOn()) {
      try {
        const [answer] = await this.#sql.query(NEXT, [floor, `{${seen.join()}}`]);
        const rows = (answer!["rows"] as [number, string][])
          .map(([seq, userId]) => ({ seq, userId }));
        if (rows.length > 0) {
          await this.#deliver(rows);
          seen.push(...rows.map((row) => row.seq));
          marks.push({ upTo: Math.max(...seen), xmax: BigInt(answer!["xmax"] as string) });
        }
        const xmin = BigInt(answer!["xmin"] as string);
        const settled = marks.filter((mark) => mark.xmax <= xmin).at(-1);
        if (settled) {
          floor = settled.upTo;
          seen = seen.filter((seq) => seq > floor);
          marks = marks.filter((mark) => mark.upTo > floor);
        }
        if (rows.length === PAGE) continue;
      } catch {
        // the database is restarting or closing; the next poll sees
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
