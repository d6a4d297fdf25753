/** A joined channel of Realtime, and what can be sent to it. */

import { encodeFrame, type Frame, type Version } from "./phoenix_frame.ts";
import type { Identity } from "./realtime_identity.ts";
import { parseFilter, type RowFilter } from "./row_filter.ts";

// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

/** One wish for postgres_changes. */
export interface Binding {
  id: number;
  event: string;
  schema: string;
  table: string | undefined;
  filter: string | undefined;
  test: RowFilter | undefined;
}

/** A subscriber of one topic on one socket. */
export interface Channel {
  socket: WebSocket;
  version: Version;
  topic: string;
  joinRef: string | null;
  identity: Identity;
  bindings: Binding[];
  isPrivate: boolean;
}

let lastId = 0;

/**
 * The wish as the client sent it, with an id.
 *
 * @throws {Error} when its filter cannot be read.
 */
export function bindingOf(wish: Row): Binding {
  return {
    id: ++lastId,
    event: wish["event"],
    schema: wish["schema"],
    table: wish["table"],
    filter: wish["filter"],
    test: wish["filter"] ? parseFilter(wish["filter"]) : undefined,
  };
}

/** Whether the stack publishes what the binding asks for. */
export function isServed({ event, schema, table }: Binding): boolean {
  return (event === "INSERT" || event === "*") && (schema === "public" || schema === "*") &&
    (table === "execution_logs" || table === "*" || table === undefined);
}

/** Whether the channel's token has run out. */
export function isOver({ identity }: Channel): boolean {
  return identity.expiresAt !== undefined && identity.expiresAt * 1000 <= Date.now();
}

/** Sends an event to a channel. */
export function push({ socket, version, topic }: Channel, event: string, payload: Row): void {
  send(socket, version, { joinRef: null, ref: null, topic, event, payload });
}

/** Tells a channel how its subscription stands. */
export function pushSystem(
  channel: Channel,
  extension: "system" | "postgres_changes",
  status: "ok" | "error",
  message: string,
): void {
  const topic = channel.topic.replace(/^realtime:/, "");
  push(channel, "system", { channel: topic, extension, status, message });
}

/** Answers a message. */
export function reply(
  socket: WebSocket,
  version: Version,
  { joinRef, ref, topic }: Frame,
  status: "ok" | "error",
  response: Row,
): void {
  const payload = { status, response };
  send(socket, version, { joinRef, ref, topic, event: "phx_reply", payload });
}

/** Sends a frame, if the socket still is open. */
export function send(socket: WebSocket, version: Version, frame: Frame): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(encodeFrame(frame, version));
}
