/** A web service on this machine that counts what reaches it, by idempotency key. */

/** One request that arrived. */
export interface Arrival {
  method: string;
  path: string;
  headers: Headers;
  body: string;
}

/** Starts the service. `answer` decides what it says; by default 200 and an echo of the count. */
export function startCountingServer(
  answer: (arrival: Arrival, count: number) => Response | Promise<Response> = (_, count) =>
    Response.json({ count }),
) {
  const arrivals: Arrival[] = [];
  const stop = new AbortController();
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: stop.signal };
  const server = Deno.serve(options, async (raw) => {
    const url = new URL(raw.url);
    const body = await raw.text().catch(() => undefined);
    if (body === undefined) return new Response(null, { status: 400 }); // the client died while it spoke
    const arrival = {
      method: raw.method,
      path: url.pathname + url.search,
      headers: new Headers(raw.headers),
      body,
    };
    arrivals.push(arrival);
    return await answer(arrival, arrivals.length);
  });
  const { port } = server.addr as Deno.NetAddr;
  return {
    origin: `http://127.0.0.1:${port}`,
    host: "127.0.0.1",
    arrivals,
    /** How often each idempotency key arrived. */
    keys: () => {
      const counts = new Map<string, number>();
      for (const { headers } of arrivals) {
        const key = headers.get("idempotency-key") ?? "none";
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      return counts;
    },
    // kept-alive connections are not waited for
    close: () => {
      stop.abort();
      return server.finished;
    },
  };
}
