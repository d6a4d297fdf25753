/** Frames of the Phoenix channel protocol, as supabase-js speaks it: versions 1.0.0 and 2.0.0. */

/** One message, either way. */
export interface Frame {
  joinRef: string | null;
  ref: string | null;
  topic: string;
  event: string;
  // deno-lint-ignore no-explicit-any
  payload: any;
}

/** Version 2 sends arrays, version 1 objects. */
export type Version = "1.0.0" | "2.0.0";

/** Text of a frame. */
export function encodeFrame(frame: Frame, version: Version): string {
  const { joinRef, ref, topic, event, payload } = frame;
  return JSON.stringify(
    version === "2.0.0"
      ? [joinRef, ref, topic, event, payload]
      : { join_ref: joinRef, ref, topic, event, payload },
  );
}

/** Frame of a text; undefined when it is none (binary broadcasts between clients are not served). */
export function decodeFrame(data: unknown): Frame | undefined {
  if (typeof data !== "string") return undefined;
  let read: unknown;
  try {
    read = JSON.parse(data);
  } catch {
    return undefined;
  }
  const parts = Array.isArray(read)
    ? read
    : typeof read === "object" && read !== null
    ? ["join_ref", "ref", "topic", "event", "payload"].map((name) =>
      (read as Record<string, unknown>)[name]
    )
    : [];
  const [joinRef, ref, topic, event, payload] = parts;
  if (typeof topic !== "string" || typeof event !== "string") return undefined;
  return {
    joinRef: typeof joinRef === "string" ? joinRef : null,
    ref: typeof ref === "string" ? ref : null,
    topic,
    event,
    payload: payload ?? {},
  };
}
