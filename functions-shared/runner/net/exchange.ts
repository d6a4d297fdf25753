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
}

/** What came back. */
export interface ExchangeReply {
  status: number;
  headers: Headers;
  body: Bytes;
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
 * Sends a request and reads the whole answer. Never follows a redirect, never decompresses.
 *
 * @throws {ExchangeError}, the signal's reason, or the connection's error
 */
export async function exchange(request: Exchange): Promise<ExchangeReply> {
  const { url, signal } = request;
  signal.throwIfAborted();
  let connection: Deno.Conn | undefined;
  const close = () => {
    try {
      connection?.close();
    } catch {
      // closed already
    }
  };
  signal.addEventListener("abort", close);
  try {
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
    return await receive(new Reader(connection, request.maxBytes), request.method);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
    close();
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

async function receive(reader: Reader, method: string): Promise<ExchangeReply> {
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
  if (method === "HEAD" || status === 204 || status === 304) {
    return { status, headers, body: new Uint8Array() };
  }
  const body = await readBody(reader, headers);
  return { status, headers, body };
}

async function readBody(reader: Reader, headers: Headers): Promise<Bytes> {
  if (/\bchunked$/i.test(headers.get("transfer-encoding") ?? "")) {
    const parts: Uint8Array[] = [];
    for (;;) {
      const size = parseInt(await reader.line(), 16);
      if (!(size >= 0)) throw new ExchangeError("response_invalid", "A chunk has no size.");
      if (size === 0) return join(parts);
      parts.push(await reader.take(size));
      await reader.line();
    }
  }
  const length = headers.get("content-length");
  if (length === null) return await reader.rest();
  if (!/^\d{1,15}$/.test(length)) {
    throw new ExchangeError("response_invalid", "The answer's length is not a number.");
  }
  return await reader.take(Number(length));
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

  /** Exactly `count` bytes. */
  async take(count: number): Promise<Bytes> {
    if (count > this.maxBytes) throw tooLarge(this.maxBytes);
    while (this.#held.byteLength < count) if (!await this.#more()) throw cutOff();
    const taken = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return taken;
  }

  /** Everything until the connection closes. */
  async rest(): Promise<Bytes> {
    while (await this.#more());
    if (this.#held.byteLength > this.maxBytes) throw tooLarge(this.maxBytes);
    return this.#held;
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
