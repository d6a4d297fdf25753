import type { MiraOptions, SessionLike, SupabaseLike } from "./options.ts";

/** An answer the caller could not use, in the words of the server's problem document. */
export class MiraError extends Error {
  constructor(
    /** HTTP status, 0 when no answer came. */
    readonly status: number,
    /** Stable code, e.g. `run_not_found`; `unreachable` when no answer came. */
    readonly code: string,
    detail: string,
    /** What was wrong with which part of the input. */
    readonly errors: { pointer: string; code: string; detail: string }[] = [],
    /** Names the request in the server's logs. */
    readonly requestId: string | null = null,
    /** Seconds the server asks to wait. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
    this.name = "MiraError";
  }
}

/** One call of an edge function. */
export interface Call {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  keepalive?: boolean;
}

/** Reaches the six functions as the signed-in person. */
export interface Transport {
  /** Parsed body of a 2xx answer (undefined for 204); throws {@link MiraError} otherwise. */
  json<T>(path: string, call?: Call): Promise<T>;
  /** The raw 2xx answer, for streams. */
  open(path: string, call?: Call): Promise<Response>;
  /** Sends with the session at hand and does not wait for another: for pages that are closing. */
  lastCall(path: string, body: string, session: SessionLike): Promise<Response>;
}

/** Makes a transport from a supabase-js client; `url` and `key` are read off it unless given. */
export function createTransport(supabase: SupabaseLike, options: MiraOptions): Transport {
  const made = supabase as unknown as { supabaseUrl?: string; supabaseKey?: string };
  const base = (options.url ?? made.supabaseUrl ?? "").replace(/\/+$/, "");
  const key = options.key ?? made.supabaseKey ?? "";
  if (!base || !key) throw new TypeError("createMira needs a supabase-js client, or url and key.");
  const send = options.fetch ?? ((input, init) => fetch(input, init));
  const headers = (token: string, extra?: Record<string, string>) => ({
    apikey: key,
    authorization: `Bearer ${token}`,
    ...extra,
  });

  const open = async (path: string, call: Call = {}): Promise<Response> => {
    const { data } = await supabase.auth.getSession();
    if (!data.session) throw new MiraError(401, "signed_out", "Nobody is signed in.");
    let response: Response;
    try {
      response = await send(`${base}/functions/v1/${path}`, {
        method: call.method ?? (call.body === undefined ? "GET" : "POST"),
        headers: headers(data.session.access_token, {
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...call.headers,
        }),
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.signal ? { signal: call.signal } : {}),
        ...(call.keepalive ? { keepalive: true } : {}),
      });
    } catch (cause) {
      if (call.signal?.aborted) throw cause;
      throw new MiraError(0, "unreachable", "The server could not be reached.");
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  };

  return {
    open,
    async json<T>(path: string, call?: Call) {
      const response = await open(path, call);
      const text = await response.text();
      return (text ? JSON.parse(text) : undefined) as T;
    },
    lastCall: (path, body, session) =>
      send(`${base}/functions/v1/${path}`, {
        method: "POST",
        headers: headers(session.access_token, { "content-type": "application/json" }),
        body,
        keepalive: true,
      }),
  };
}

async function problemOf(response: Response): Promise<MiraError> {
  const body = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after") ?? NaN);
  return new MiraError(
    response.status,
    typeof body.code === "string" ? body.code : `http_${response.status}`,
    body.detail ?? body.message ?? `The server answered ${response.status}.`,
    body.errors ?? [],
    response.headers.get("x-request-id"),
    Number.isFinite(wait) ? wait : null,
  );
}
