/**
 * A whole stack for a test file, through its public door: its own process, its own database.
 *
 * Embedded by default (from a migrated template, about a second); on a fresh database of a real
 * server when MIRA_TEST_DB_URL names one.
 */

import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import postgres from "postgres";

const ROOT = new URL("../../../", import.meta.url).pathname;
const READY_WITHIN_MS = 60_000;
/** Closing a database that others keep busy takes a while; more than this is a fault. */
const END_WITHIN_MS = 20_000;
/** The platform ends every request at 150 s, streams too: what takes longer here never answers. */
const ANSWER_WITHIN_MS = 170_000;

/** A signed-up person with a client of their own. */
export interface TestUser {
  id: string;
  email: string;
  jwt: string;
  // deno-lint-ignore no-explicit-any
  client: SupabaseClient<any>;
}

/** The stack as a test sees it. */
export interface TestStack {
  url: string;
  publishableKey: string;
  secretKey: string;
  cronKey: string;
  jwtSecret: string;
  /** The server's URL when the lane is native, else undefined. */
  dbUrl: string | undefined;
  /** Client without a user. */
  // deno-lint-ignore no-explicit-any
  anon: SupabaseClient<any>;
  /** Client with the secret key. */
  // deno-lint-ignore no-explicit-any
  service: SupabaseClient<any>;
  /** SQL as the owner. */
  // deno-lint-ignore no-explicit-any
  sql<T = any>(text: string, params?: unknown[]): Promise<T[]>;
  /** SQL as the Data API would run it for `user` (or for anon when null). */
  // deno-lint-ignore no-explicit-any
  sqlAs<T = any>(user: TestUser | null, text: string, params?: unknown[]): Promise<T[]>;
  newUser(): Promise<TestUser>;
  /** HTTP to the stack; `as` adds the user's token or a key. */
  fetch(
    path: string,
    init?: RequestInit & { as?: TestUser | "secret" | "cron" | "anon"; json?: unknown },
  ): Promise<Response>;
  /** Everything the stack printed so far. */
  output(): string;
  /** Ends it as Ctrl-C would. */
  close(): Promise<void>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

/**
 * Starts a stack.
 *
 * @param options.env further variables for the functions (an LLM endpoint, say).
 * @param options.cron run the schedule; off by default so that tests decide what happens when.
 * @param options.args further flags of `deno task start`.
 * @param options.dbUrl run on this very database (native lane, restarts).
 */
export async function startStack(
  options: { env?: Record<string, string>; cron?: boolean; args?: string[]; dbUrl?: string } = {},
): Promise<TestStack> {
  const folder = await Deno.makeTempDir({ prefix: "mira-test-" });
  const envFile = `${folder}/env`;
  const server = options.dbUrl === undefined ? Deno.env.get("MIRA_TEST_DB_URL") : undefined;
  const fresh = server === undefined ? undefined : await freshDatabase(server);
  const dbUrl = options.dbUrl ?? fresh?.url;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      `${ROOT}scripts/start.ts`,
      "--port",
      "0",
      "--env-out",
      envFile,
      "--no-watch",
      "--exit-with-stdin",
      ...(dbUrl === undefined ? ["--memory"] : ["--db-url", dbUrl, "--home", folder]),
      ...(options.cron ? [] : ["--no-cron"]),
      ...(options.args ?? []),
    ],
    env: { ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let printed = "";
  const gather = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream() as never)) printed += text;
  };
  const gathered = Promise.all([gather(child.stdout), gather(child.stderr)]);
  let ended = false;
  const status = child.status.then((result) => {
    ended = true;
    return result;
  });

  const giveUpAt = Date.now() + READY_WITHIN_MS;
  let env: Record<string, string> | undefined;
  while (env === undefined) {
    if (ended || Date.now() > giveUpAt) {
      // a child that is late goes on printing: without its end this would wait for ever
      if (!ended) child.kill("SIGKILL");
      await gathered;
      throw new Error(`the stack did not start:\n${printed}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    env = await readEnv(envFile);
  }
  const ready = env;
  const url = ready["API_URL"]!;
  const publishableKey = ready["PUBLISHABLE_KEY"]!;
  const secretKey = ready["SECRET_KEY"]!;
  const client = (key: string) =>
    createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    });

  const query = async (body: Record<string, unknown>) => {
    const response = await fetch(`${url}/pg/query`, {
      method: "POST",
      headers: { apikey: secretKey, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.message), { code: answer.code });
    return answer;
  };

  const end = async (signal: Deno.Signal) => {
    if (!ended) child.kill(signal);
    const tooLong = setTimeout(() => child.kill("SIGKILL"), END_WITHIN_MS);
    await status;
    clearTimeout(tooLong);
    await child.stdin.close().catch(() => {});
    await gathered;
    if (fresh) await fresh.drop();
    await Deno.remove(folder, { recursive: true });
  };

  return {
    url,
    publishableKey,
    secretKey,
    cronKey: ready["CRON_KEY"]!,
    jwtSecret: ready["JWT_SECRET"]!,
    dbUrl,
    anon: client(publishableKey),
    service: client(secretKey),
    sql: (text, parameters = []) => query({ query: text, parameters }),
    sqlAs: (user, text, parameters = []) =>
      query({
        query: text,
        parameters,
        role: user ? "authenticated" : "anon",
        claims: user ? { sub: user.id, email: user.email } : {},
      }),
    newUser: async () => {
      const own = client(publishableKey);
      const email = `${crypto.randomUUID()}@example.com`;
      const { data, error } = await own.auth.signUp({ email, password: crypto.randomUUID() });
      if (error || !data.session) throw error ?? new Error("sign-up gave no session");
      return { id: data.session.user.id, email, jwt: data.session.access_token, client: own };
    },
    fetch: (path, init = {}) => {
      const { as = "anon", json, ...rest } = init;
      const headers = new Headers(rest.headers);
      const key = as === "secret" ? secretKey : as === "cron" ? ready["CRON_KEY"]! : publishableKey;
      if (!headers.has("apikey")) headers.set("apikey", key);
      if (typeof as === "object") headers.set("authorization", `Bearer ${as.jwt}`);
      if (json !== undefined) headers.set("content-type", "application/json");
      const tooLong = AbortSignal.timeout(ANSWER_WITHIN_MS);
      return fetch(`${url}${path}`, {
        ...rest,
        signal: rest.signal ? AbortSignal.any([rest.signal, tooLong]) : tooLong,
        headers,
        ...(json === undefined
          ? {}
          : { method: rest.method ?? "POST", body: JSON.stringify(json) }),
      });
    },
    output: () => printed,
    close: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

async function readEnv(file: string): Promise<Record<string, string> | undefined> {
  try {
    const lines = (await Deno.readTextFile(file)).trim().split("\n");
    return Object.fromEntries(lines.map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Makes an empty database on the server and tells how to drop it. */
export async function freshDatabase(
  server: string,
): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `mira_test_${crypto.randomUUID().slice(0, 8)}`;
  const run = async (statement: string) => {
    const admin = postgres(server, { max: 1, onnotice: () => {} });
    try {
      await admin.unsafe(statement);
    } finally {
      await admin.end();
    }
  };
  await run(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`drop database if exists ${name} with (force)`) };
}
