/**
 * The stack's Realtime: the part of Supabase's that Mira promises.
 *
 * `postgres_changes` for INSERTs on `execution_logs`, read as the subscriber so that row-level
 * security decides, with `column=op.value` filters; and the private broadcast topic
 * `user:<id>:executions` with the same lines. Presence and messages between clients are not served.
 */

import { LogFeed } from "./log_feed.ts";
import { decodeFrame, type Frame, type Version } from "./phoenix_frame.ts";
import {
  type Binding,
  bindingOf,
  type Channel,
  isServed,
  push,
  pushSystem,
  reply,
  type Row,
  send,
} from "./realtime_channel.ts";
import { delivery, type RealtimeDatabase } from "./realtime_delivery.ts";
import { type Claims, identify } from "./realtime_identity.ts";

/** The endpoint. */
export interface Realtime {
  /** Answers a request for `/realtime/v1/websocket`. */
  upgrade(request: Request): Response;
  close(): void;
}

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
  const sockets = new Set<WebSocket>();
  const channels = new Set<Channel>();
  const feed = new LogFeed(
    options.database.sql,
    delivery(options.database, channels, expire),
  );

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
    let wishes: Binding[];
    try {
      wishes = asked.map(bindingOf);
    } catch (error) {
      return refuse((error as Error).message);
    }
    leave(socket, topic);
    const bindings = wishes.filter(isServed);
    const channel = { socket, version, topic, joinRef, identity, isPrivate, bindings };
    await feed.start();
    channels.add(channel);
    reply(socket, version, frame, "ok", {
      postgres_changes: wishes.map(({ test: _test, ...binding }) => binding),
    });
    if (wishes.length === 0) return;
    if (bindings.length === wishes.length) {
      pushSystem(channel, "postgres_changes", "ok", "Subscribed to PostgreSQL");
    } else {
      const why = "Unable to subscribe: this stack publishes INSERTs on public.execution_logs only";
      pushSystem(channel, "postgres_changes", "error", why);
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
    pushSystem(channel, "system", "error", "Token has expired");
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
