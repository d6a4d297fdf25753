/** New lines to the channels that may see them. */

import type { SqlExecutor } from "../db/executor.ts";
import type { NewLog } from "./log_feed.ts";
import { type Channel, isOver, push, type Row } from "./realtime_channel.ts";
import type { Identity } from "./realtime_identity.ts";
import { matchesFilter } from "./row_filter.ts";

/** What Realtime needs of the stack's database. */
export interface RealtimeDatabase {
  sql: SqlExecutor;
  session<T>(work: (sql: SqlExecutor) => Promise<T>): Promise<T>;
}

const READ = `select to_jsonb(l) as row from public.execution_logs l
  where l.seq = any ($1::bigint[]) order by l.seq`;
const COLUMNS = `select a.attname as name, t.typname as type from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  where a.attrelid = 'public.execution_logs'::regclass and a.attnum > 0 and not a.attisdropped
  order by a.attnum`;

/** A function that gives new lines to `channels`; calls `expire` for those whose token ran out. */
export function delivery(
  database: RealtimeDatabase,
  channels: Set<Channel>,
  expire: (channel: Channel) => void,
): (news: NewLog[]) => Promise<void> {
  let columns: Promise<Row[]> | undefined;
  return async (news) => {
    columns ??= database.sql.query(COLUMNS);
    const byIdentity = Map.groupBy(channels, (channel) => channel.identity.key);
    for (const listeners of byIdentity.values()) {
      const { identity } = listeners[0]!;
      // a cheap first cut; what is left is read with the subscriber's own rights
      const near = identity.userId === undefined
        ? news
        : news.filter((log) => log.userId === identity.userId);
      if (near.length === 0 || identity.role === "anon") continue;
      const seqs = near.map((log) => log.seq);
      const rows = await patiently(() => readAs(database, identity, seqs));
      for (const channel of listeners) {
        if (isOver(channel)) expire(channel);
        else give(channel, rows, await columns);
      }
    }
  };
}

async function readAs(database: RealtimeDatabase, who: Identity, seqs: number[]): Promise<Row[]> {
  return await database.session(async (sql) => {
    await sql.exec("begin read only");
    try {
      await sql.query(
        `select set_config('request.jwt.claims', $1, true),
          set_config('request.jwt.claim.sub', $2, true), set_config('role', $3, true)`,
        [JSON.stringify(who.claims), who.userId ?? "", who.role],
      );
      const rows = await sql.query(READ, [`{${seqs.join()}}`]);
      return rows.map((found) => found["row"] as Row);
    } finally {
      await sql.exec("rollback");
    }
  });
}

function give(channel: Channel, rows: Row[], columns: Row[]): void {
  for (const row of rows) {
    const ids = channel.bindings
      .filter(({ test }) => test === undefined || matchesFilter(row, test))
      .map(({ id }) => id);
    if (ids.length === 0) continue;
    push(channel, "postgres_changes", {
      ids,
      data: {
        schema: "public",
        table: "execution_logs",
        commit_timestamp: row["created_at"],
        type: "INSERT",
        columns,
        record: row,
        errors: null,
      },
    });
  }
  if (channel.isPrivate && rows.length > 0) {
    const logs = rows.map(({ user_id: _user, is_keyed: _keyed, ...log }) => log);
    push(channel, "broadcast", { type: "broadcast", event: "execution_logs", payload: { logs } });
  }
}

/** Tries for five seconds: a database that restarts must not make others hear a line twice. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0;; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
