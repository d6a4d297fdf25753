/** The stack's front door: routes as the hosted gateway does. */

import type { App } from "@supabase/lite";
import type { StackDatabase } from "./database.ts";
import type { FunctionHost } from "./functions.ts";
import type { Keys } from "./keys.ts";
import { runQuery } from "./sql_endpoint.ts";
import { serveStatic } from "./static_files.ts";
import type { Tokens } from "./tokens.ts";

const CONSOLE = new URL("../console/", import.meta.url);
const SAMPLE = new URL("../sample/", import.meta.url);

/** What the gateway stands in front of. */
export interface Gateway {
  url: string;
  keys: Keys;
  tokens: Tokens;
  database: StackDatabase;
  lite: App;
  functions: FunctionHost;
  verifyJwt: Map<string, boolean>;
  realtime?: { upgrade(request: Request): Response | Promise<Response> };
  embedder?: { handle(request: Request): Promise<Response> };
}

/** Answers one request. `peer` is the client's address, as the listener knows it. */
export async function route(gate: Gateway, request: Request, peer: string): Promise<Response> {
  const { pathname } = new URL(request.url);
  const [, area = "", version, rest = ""] = pathname.split("/");
  switch (area) {
    case "rest":
      return await gate.database.exclusive(() => gate.lite.fetch(request, { peerAddress: peer }));
    case "auth":
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
      // the only key is a shared secret: there is nothing public to show
      if (pathname.endsWith("/.well-known/jwks.json")) return Response.json({ keys: [] });
      return withCors(
        await gate.database.exclusive(() => gate.lite.fetch(request, { peerAddress: peer })),
      );
    case "functions":
      return version === "v1" ? await callFunction(gate, request, rest) : notFound();
    case "realtime":
      return await gate.realtime?.upgrade(request) ?? notFound();
    case "embeddings":
      return await gate.embedder?.handle(request) ?? notFound();
    case "pg":
      if (request.headers.get("apikey") !== gate.keys.secret) return unauthorized("secret key");
      return await runQuery(gate.database, request);
    case "console":
      if (pathname === "/console") return redirect("/console/");
      if (pathname === "/console/config.json") {
        return Response.json({ url: gate.url, publishableKey: gate.keys.publishable });
      }
      return await serveStatic(CONSOLE, pathname.slice("/console/".length));
    case "sample":
      if (pathname === "/sample") return redirect("/sample/");
      return await serveStatic(SAMPLE, pathname.slice("/sample/".length));
    case "health":
      return Response.json({ status: "ok" });
    case "":
      return redirect("/console/");
    default:
      return notFound();
  }
}

/** Lite's Auth sends no CORS headers of its own, and apps on other ports sign in too. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
  "access-control-allow-headers":
    "authorization, apikey, content-type, x-client-info, x-supabase-api-version",
  "access-control-expose-headers": "x-sb-error-code",
  "access-control-max-age": "86400",
};

function withCors(response: Response): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(CORS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

/** Passes a request on to its function, with the token re-signed and verify_jwt honoured. */
async function callFunction(gate: Gateway, request: Request, slug: string): Promise<Response> {
  if (!gate.functions.slugs.includes(slug)) return notFound();
  const headers = new Headers(request.headers);
  headers.delete("host");
  const token = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (token !== undefined) {
    headers.set("authorization", `Bearer ${await gate.tokens.forFunctions(token)}`);
  }
  if ((gate.verifyJwt.get(slug) ?? true) && request.method !== "OPTIONS") {
    // like the hosted gateway: any key or any valid token opens the door, the function decides
    const known = [gate.keys.publishable, gate.keys.secret, gate.keys.cron];
    const credentials = [token, headers.get("apikey")].filter((value) => value !== undefined);
    const opens = credentials.some((value) => value !== null && known.includes(value)) ||
      (token !== undefined && await gate.tokens.verify(token) !== undefined);
    if (!opens) return unauthorized("valid JWT or API key");
  }
  const url = new URL(request.url);
  const target = await gate.functions.origin() + url.pathname.slice("/functions/v1".length) +
    url.search;
  try {
    return await fetch(target, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: request.signal,
    });
  } catch {
    return problem(503, "function_unavailable", "The function is restarting; try again.");
  }
}

function problem(status: number, code: string, detail: string): Response {
  return new Response(
    JSON.stringify({ type: `urn:mira:problem:${code}`, title: detail, status, detail, code }),
    {
      status,
      headers: { "content-type": "application/problem+json", "access-control-allow-origin": "*" },
    },
  );
}

const unauthorized = (what: string) => problem(401, "unauthorized", `Send a ${what}.`);
const notFound = () => problem(404, "not_found", "There is nothing at this path.");
const redirect = (location: string) => new Response(null, { status: 302, headers: { location } });
