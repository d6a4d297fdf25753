/** Runs the edge functions as written, in a worker of their own, behind a loopback port. */

/// <reference lib="deno.worker" />

/** What the host sends first. */
export interface WorkerOrder {
  /** slug → file URL of its index.ts */
  functions: Record<string, string>;
}

/** What the worker answers. */
export type WorkerAnswer = { port: number } | { failed: string };

type Handler = (request: Request) => Response | Promise<Response>;

self.onmessage = async ({ data }: MessageEvent<WorkerOrder>) => {
  try {
    const handlers = new Map<string, Handler>();
    for (const [slug, url] of Object.entries(data.functions)) {
      const module = await import(url) as { default?: { fetch?: Handler } };
      if (typeof module.default?.fetch !== "function") {
        throw new Error(`${slug}/index.ts must export default { fetch }`);
      }
      handlers.set(slug, module.default.fetch);
    }
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      onError: () => new Response(null, { status: 500 }),
    }, (request) => {
      const slug = new URL(request.url).pathname.split("/")[1] ?? "";
      const handler = handlers.get(slug);
      return handler ? handler(request) : new Response(null, { status: 404 });
    });
    answer({ port: server.addr.port });
  } catch (error) {
    answer({ failed: error instanceof Error ? error.message : String(error) });
  }
};

function answer(message: WorkerAnswer): void {
  self.postMessage(message);
}
