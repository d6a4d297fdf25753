import { extname } from "node:path";

/** One request the client made to track-event, as it arrived. */
export interface Received {
  user: string;
  body: { sent_at: string; events: Record<string, unknown>[] };
}

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
};

/**
 * The other end of the wire while recording: serves the pages, signs anybody in, and keeps every
 * track-event request. Nothing is stored or judged here; the log is replayed against the real
 * functions.
 */
export function startBackend(root: URL) {
  const received: Received[] = [];
  let open = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      open++;
      try {
        return await answer(request, root, received);
      } finally {
        open--;
      }
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    received,
    /** Resolves when no request has been under way for a moment. */
    async idle(): Promise<void> {
      for (let quiet = 0; quiet < 3; quiet = open === 0 ? quiet + 1 : 0) {
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
    },
    stop: () => server.shutdown(),
  };
}

async function answer(request: Request, root: URL, received: Received[]): Promise<Response> {
  const url = new URL(request.url);
  if (url.pathname === "/functions/v1/track-event") {
    const body = await request.json();
    received.push({ user: userOf(request), body });
    return Response.json({ accepted: body.events.length, duplicates: 0, rejected: [] });
  }
  if (url.pathname.startsWith("/auth/v1/token")) {
    const asked = await request.json();
    return Response.json(session(asked.email ?? atob(asked.refresh_token)));
  }
  if (url.pathname === "/console/config.json") {
    return Response.json({ url: url.origin, publishableKey: "recording" });
  }
  const path = url.pathname.endsWith("/") ? url.pathname + "index.html" : url.pathname;
  try {
    const file = await Deno.readFile(new URL("." + path, root));
    return new Response(file, {
      headers: { "content-type": TYPES[extname(path)] ?? "application/octet-stream" },
    });
  } catch {
    return new Response("not found", { status: 404 });
  }
}

/** A session good for a year of the simulated clock. */
function session(email: string) {
  const expires_in = 365 * 86_400;
  const claims = btoa(JSON.stringify({ sub: userId(email), email, exp: 4_000_000_000 }));
  return {
    access_token: `e30.${claims}.recording`,
    token_type: "bearer",
    expires_in,
    refresh_token: btoa(email),
    user: { id: userId(email), aud: "authenticated", email },
  };
}

function userOf(request: Request): string {
  const claims = request.headers.get("authorization")?.split(".")[1] ?? "";
  return JSON.parse(atob(claims)).email.split("@")[0];
}

/** A uuid that is always the same for an address. */
function userId(email: string): string {
  const hex = [...new TextEncoder().encode(email.padEnd(16, "."))].slice(0, 16)
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})(.{12})/, "$1-$2-4$3-8$4-$5");
}
