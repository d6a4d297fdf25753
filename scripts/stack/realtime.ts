/**
 * The stack's Realtime: the part of Supabase's that Mira promises.
 *
 * `postgres_changes` for INSERTs on `execution_logs`, read as the subscriber so that row-level
 * security decides, with `column=op.value` filters; and the private broadcast topic
 * `user:<id>:executions` with the same lines. Presence and messages between clients are not served.
 */

import { type Claims, identify, type Identity } from "./realtime_identity.ts";
import { LogFeed, type NewLog } from "./log_feed.ts";
import { decodeFrame, encodeFrame, type Frame, type Version } from "./phoenix_frame.ts";
import { matchesFilter, parseFilter, type RowFilter } from "./row_filter.ts";
import type { SqlExecutor } from "../db/executor.ts";

/** What Realtime needs of the stack's database. */
export interface RealtimeDatabase {
  sql: SqlExecutor;
  session<T>(work: (sql: SqlExecutor) => Promise<T>): Promise<T>;
}

/** The endpoint. */
export interface Realtime {
  /** Answers a request for `/realtime/v1/websocket`. */
  upgrade(request: Request): Response;
  close(): void;
}

interface Binding {
  id: number;
  event: string;
  schema: string;
  table: string | undefined;
  filter: string | undefined;
  test: RowFilter | undefined;
}

interface Channel {
  socket: WebSocket;
  version: Version;
  topic: string;
  joinRef: string | null;
  identity: Identity;
  bindings: Binding[];
  isPrivate: boolean;
}

// deno-lint-ignore no-explicit-any
type Row = Record<string, any>;

const READ = `select to_jsonb(l) as row from public.execution_logs l
  where l.seq = any ($1::bigint[]) order by l.seq`;
const COLUMNS = `select a.attname as name, t.typname as type from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  where a.attrelid = 'public.execution_logs'::regclass and a.attnum > 0 and not a.attisdropped
  order by a.attnum`;

/**
 * @param options.database PGlite or a server.
 * @param options.verifyJwt claims of a valid token of this stack, else undefined.
 * @param options.keys the stack's API keys; one of them must come with the request.
 */
export function createRealtime(options: {
  database: RealtimeDatabase;
  verifyJwt: (token: string) => Promise<Claims | undefined>;
  keys: { publishable: string; secret: string };
}): Realtime {
  const { database } = options;
  const sockets = new Set<WebSocket>();
  const channels = new Set<Channel>();
  const feed = new LogFeed(database.sql, deliver);
  let columns: Promise<Row[]> | undefined;
  let lastId = 0;

  async function deliver(news: NewLog[]): Promise<void> {
    columns ??= database.sql.query(COLUMNS);
    const byIdentity = Map.groupBy(channels, (channel) => channel.identity.key);
    for (const listeners of byIdentity.values()) {
      const { identity } = listeners[0]!;
      // a cheap first cut; what is left is read with the subscriber's own rights
      const near = identity.userId === undefined
        ? news
        : news.filter((log) => log.userId === identity.userId);
      if (near.length === 0 || identity.role === "anon") continue;
      const rows = await patiently(() => readAs(identity, near.map((log) => log.seq)));
      for (const channel of listeners) {
        if (isOver(channel)) expire(channel);
        else give(channel, rows, await columns);
      }
    }
  }

  async function readAs(identity: Identity, seqs: number[]): Promise<Row[]> {
    return await database.session(async (sql) => {
      await sql.exec("begin read only");
      try {
        await sql.query(
          `select set_config('request.jwt.claims', $1, true),
            set_config('request.jwt.claim.sub', $2, true), set_config('role', $3, true)`,
          [JSON.stringify(identity.claims), identity.userId ?? "", identity.role],
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

  async function join(socket: WebSocket, version: Version, frame: Frame): Promise<void> {
    const { topic, joinRef, payload } = frame;
    const config = payload.config ?? {};
    const refuse = (reason: string) => reply(socket, version, frame, "error", { reason });
    const identity = await identify(payload.access_token, options);
    if (identity === undefined) return refuse("InvalidJWTToken: the token is not valid here");
    const isPrivate = config.private === true;
    if (isPrivate && topic !== `realtime:user:${identity.userId}:executions`) {
      return refuse(`Unauthorized: You do not have permissions to read from this topic: ${topic}`);
    }
    const asked: Row[] = Array.isArray(config.postgres_changes) ? config.postgres_changes : [];
    let bindings: Binding[];
    try {
      bindings = asked.map((wish) => ({
        id: ++lastId,
        event: wish["event"],
        schema: wish["schema"],
        table: wish["table"],
        filter: wish["filter"],
        test: wish["filter"] ? parseFilter(wish["filter"]) : undefined,
      }));
    } catch (error) {
      return refuse((error as Error).message);
    }
    leave(socket, topic);
    const channel: Channel = {
      socket,
      version,
      topic,
      joinRef,
      identity,
      isPrivate,
      bindings: bindings.filter(isServed),
    };
    await feed.start();
    channels.add(channel);
    reply(socket, version, frame, "ok", {
      postgres_changes: bindings.map(({ test: _test, ...binding }) => binding),
    });
    if (bindings.length > 0) {
      const isWhole = channel.bindings.length === bindings.length;
      push(channel, "system", {
        channel: topic.replace(/^realtime:/, ""),
        extension: "postgres_changes",
        status: isWhole ? "ok" : "error",
        message: isWhole
          ? "Subscribed to PostgreSQL"
          : "Unable to subscribe: this stack publishes INSERTs on public.execution_logs only",
      });
    }
  }

  function leave(socket: WebSocket, topic?: string): void {
    for (const channel of channels) {
      if (channel.socket === socket && (topic === undefined || channel.topic === topic)) {
        channels.delete(channel);
      }
    }
    if (channels.size === 0) feed.stop();
  }

  function expire(channel: Channel): void {
    push(channel, "system", {
      channel: channel.topic.replace(/^realtime:/, ""),
      extension: "system",
      status: "error",
      message: "Token has expired",
    });
    push(channel, "phx_close", {});
    leave(channel.socket, channel.topic);
  }

  async function receive(socket: WebSocket, version: Version, frame: Frame): Promise<void> {
    switch (frame.event) {
      case "phx_join":
        return await join(socket, version, frame);
      case "access_token": {
        const identity = await identify(frame.payload.access_token, options);
        for (const channel of channels) {
          if (channel.socket !== socket || channel.topic !== frame.topic) continue;
          if (identity) channel.identity = identity;
          else expire(channel);
        }
        return;
      }
      case "phx_leave":
        leave(socket, frame.topic);
        reply(socket, version, frame, "ok", {});
        return send(socket, version, { ...frame, ref: null, event: "phx_close", payload: {} });
      default: // heartbeats, and pushes that nobody here serves
        return reply(socket, version, frame, "ok", {});
    }
  }

  return {
    upgrade(request) {
      const { searchParams } = new URL(request.url);
      const key = searchParams.get("apikey");
      if (key !== options.keys.publishable && key !== options.keys.secret) {
        return new Response(null, { status: 401 });
      }
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return new Response(null, { status: 426, headers: { upgrade: "websocket" } });
      }
      const version = searchParams.get("vsn") === "1.0.0" ? "1.0.0" : "2.0.0";
      const { socket, response } = Deno.upgradeWebSocket(request);
      sockets.add(socket);
      socket.onmessage = ({ data }) => {
        const frame = decodeFrame(data);
        if (frame) receive(socket, version, frame).catch(() => socket.close(1011));
      };
      socket.onclose = () => {
        sockets.delete(socket);
        leave(socket);
      };
      socket.onerror = () => {};
      return response;
    },
    close() {
      feed.stop();
      channels.clear();
      for (const socket of sockets) socket.close(1001);
    },
  };
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

function isServed({ event, schema, table }: Binding): boolean {
  return (event === "INSERT" || event === "*") && (schema === "public" || schema === "*") &&
    (table === "execution_logs" || table === "*" || table === undefined);
}

function isOver({ identity }: Channel): boolean {
  return identity.expiresAt !== undefined && identity.expiresAt * 1000 <= Date.now();
}

function push({ socket, version, topic }: Channel, event: string, payload: Row): void {
  send(socket, version, { joinRef: null, ref: null, topic, event, payload });
}

function reply(
  socket: WebSocket,
  version: Version,
  { joinRef, ref, topic }: Frame,
  status: "ok" | "error",
  response: Row,
): void {
  send(socket, version, {
    joinRef,
    ref,
    topic,
    event: "phx_reply",
    payload: { status, response },
  });
}

function send(socket: WebSocket, version: Version, frame: Frame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(encodeFrame(frame, version));
}
