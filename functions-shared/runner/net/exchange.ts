/**
 * One HTTP/1.1 request over one connection to one address.
 *
 * `fetch` looks a name up again when it connects, so an address that was checked is not the address
 * that is reached (DNS rebinding). Here the connection goes to the checked address, and the name is
 * used for TLS and `Host` only.
 *
 * @module
 */

/** Bytes of their own buffer, in old and new TypeScript libraries alike. */
export type Bytes = ReturnType<TextEncoder["encode"]>;

/** What is sent. */
export interface Exchange {
  method: string;
  url: URL;
  /** the address to connect to; the certificate must still be the host's */
  address: string;
  headers: Headers;
  body?: Bytes;
  /** most bytes of the answer's body */
  maxBytes: number;
  signal: AbortSignal;
  /** what is thrown instead of a failure, now or from the body; default the failure itself */
  explain?: (failure: unknown) => unknown;
}

/** What came back, whole. */
export interface ExchangeReply {
  status: number;
  headers: Headers;
  body: Bytes;
}

/** What is coming back. The connection lives until `body` has been read or cancelled. */
export interface OpenReply {
  status: number;
  headers: Headers;
  body: ReadableStream<Bytes>;
}

/** The other side broke a rule. `code` is `response_too_large` or `response_invalid`. */
export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
  constructor(readonly code: "response_too_large" | "response_invalid", message: string) {
    super(message);
  }
}

const MAX_HEAD = 32 * 1024;

/**
 * Sends a request and answers when the head of the reply is in. Never follows a redirect, never
 * decompresses.
 *
 * @throws {ExchangeError}, the signal's reason, or the connection's error, as `explain` puts it; what
 *   happens later is thrown by the body
 */
export async function openExchange(request: Exchange): Promise<OpenReply> {
  const { url, signal, explain = (failure: unknown) => failure } = request;
  let connection: Deno.Conn | undefined;
  const close = () => {
    signal.removeEventListener("abort", close);
    try {
      connection?.close();
    } catch {
      // closed already
    }
  };
  signal.addEventListener("abort", close);
  /** Whatever fails closes the connection. */
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      close();
      throw explain(signal.aborted ? signal.reason : error);
    }
  };
  return await guarded(async () => {
    signal.throwIfAborted();
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    const raw = await aborted(Deno.connect({ hostname: request.address, port }), signal);
    connection = raw;
    if (url.protocol === "https:") {
      connection = await Deno.startTls(raw, {
        hostname: url.hostname,
        alpnProtocols: ["http/1.1"],
      });
    }
    await send(connection, request);
    const reader = new Reader(connection, request.maxBytes);
    const { status, headers } = await receiveHead(reader);
    const parts = request.method === "HEAD" || status === 204 || status === 304
      ? nothing()
      : bodyParts(reader, headers, request.maxBytes);
    const body = new ReadableStream<Bytes>({
      pull: (controller) =>
        guarded(async () => {
          const { done, value } = await parts.next();
          if (!done) return controller.enqueue(value);
          close();
          controller.close();
        }),
      cancel: close,
    }, { highWaterMark: 0 });
    return { status, headers, body };
  });
}

/** Reads a reply to its end. */
export async function readWhole({ status, headers, body }: OpenReply): Promise<ExchangeReply> {
  const parts: Bytes[] = [];
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { status, headers, body: join(parts) };
    parts.push(value);
  }
}

/** The connection, unless the signal ends first; one that is made too late is closed. */
async function aborted(
  connecting: Promise<Deno.TcpConn>,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  let stop = () => {};
  const ended = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([connecting, ended]);
  } catch (error) {
    connecting.then((late) => late.close(), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function send(connection: Deno.Conn, request: Exchange): Promise<void> {
  const { url, body } = request;
  const headers = new Headers(request.headers);
  headers.set("host", url.host);
  headers.set("connection", "close");
  headers.set("accept-encoding", "identity");
  if (body || /^(POST|PUT|PATCH)$/.test(request.method)) {
    headers.set("content-length", String(body?.byteLength ?? 0));
  }
  // Headers has refused line breaks in names and values, URL has escaped them in the path
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `${request.method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines}\r\n`;
  for (const part of [new TextEncoder().encode(head), body]) {
    for (let at = 0; part && at < part.byteLength;) at += await connection.write(part.subarray(at));
  }
}

async function receiveHead(reader: Reader): Promise<{ status: number; headers: Headers }> {
  let status = 0;
  let headers = new Headers();
  do {
    const first = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(await reader.line());
    if (!first) throw new ExchangeError("response_invalid", "The answer is not HTTP/1.1.");
    status = Number(first[1]);
    headers = new Headers();
    for (let line = await reader.line(); line !== ""; line = await reader.line()) {
      const colon = line.indexOf(":");
      try {
        headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
      } catch {
        throw new ExchangeError("response_invalid", "The answer has a malformed header.");
      }
    }
  } while (status >= 100 && status < 200);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") {
    throw new ExchangeError(
      "response_invalid",
      "The answer is compressed, which was not asked for.",
    );
  }
  return { status, headers };
}

async function* nothing(): AsyncGenerator<Bytes> {}

/** The body in pieces as they come, in whichever of HTTP's three ways it is framed. */
async function* bodyParts(
  reader: Reader,
  headers: Headers,
  maxBytes: number,
): AsyncGenerator<Bytes> {
  if (/\bchunked$/i.test(headers.get("transfer-encoding") ?? "")) {
    for (let left = maxBytes;;) {
      const size = parseInt(await reader.line(), 16);
      if (!(size >= 0)) throw new ExchangeError("response_invalid", "A chunk has no size.");
      if (size === 0) return;
      left -= size;
      if (left < 0) throw tooLarge(maxBytes);
      yield* reader.take(size);
      await reader.line();
    }
  }
  const length = headers.get("content-length");
  if (length === null) return yield* reader.rest();
  if (!/^\d{1,15}$/.test(length)) {
    throw new ExchangeError("response_invalid", "The answer's length is not a number.");
  }
  if (Number(length) > maxBytes) throw tooLarge(maxBytes);
  yield* reader.take(Number(length));
}

/** Bytes of a connection, counted: more than head and body may have ends the reading. */
class Reader {
  #held: Bytes = new Uint8Array();
  #total = 0;
  constructor(readonly connection: Deno.Conn, readonly maxBytes: number) {}

  async #more(): Promise<boolean> {
    const chunk = new Uint8Array(16 * 1024);
    const count = await this.connection.read(chunk);
    if (count === null) return false;
    this.#total += count;
    if (this.#total > this.maxBytes + MAX_HEAD) throw tooLarge(this.maxBytes);
    this.#held = join([this.#held, chunk.subarray(0, count)]);
    return true;
  }

  /** The next line without its end. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end >= 0) {
        const line = new TextDecoder().decode(this.#held.subarray(0, end));
        this.#held = this.#held.slice(end + 1);
        return line.replace(/\r$/, "");
      }
      if (this.#held.byteLength > MAX_HEAD) {
        throw new ExchangeError("response_invalid", "The answer's head is too long.");
      }
      if (!await this.#more()) throw cutOff();
    }
  }

  /** Exactly `count` bytes, in pieces as they come. */
  async *take(count: number): AsyncGenerator<Bytes> {
    while (count > 0) {
      if (this.#held.byteLength === 0 && !await this.#more()) throw cutOff();
      const piece = this.#held.slice(0, count);
      this.#held = this.#held.slice(piece.byteLength);
      count -= piece.byteLength;
      yield piece;
    }
  }

  /** Everything until the connection closes. */
  async *rest(): AsyncGenerator<Bytes> {
    let left = this.maxBytes;
    do {
      const piece = this.#held;
      this.#held = new Uint8Array();
      left -= piece.byteLength;
      if (left < 0) throw tooLarge(this.maxBytes);
      if (piece.byteLength > 0) yield piece;
    } while (await this.#more());
  }
}

function join(parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

function tooLarge(max: number): ExchangeError {
  return new ExchangeError("response_too_large", `The answer has more than ${max} bytes.`);
}

function cutOff(): ExchangeError {
  return new ExchangeError(
    "response_invalid",
    "The connection closed in the middle of the answer.",
  );
}
