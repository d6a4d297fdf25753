/** A stack that may be killed and comes back at the same address over the same database. */

import { createClient } from "@supabase/supabase-js";
import { freshDatabase } from "../support/stack.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** The stack, with one signed-up person. */
export interface FaultStack {
  url: string;
  databaseUrl: string;
  home: string;
  key: string;
  jwt: string;
  headers: Record<string, string>;
  /** Calls log-execution until it answers well. */
  // deno-lint-ignore no-explicit-any
  send(method: string, path: string, body: unknown): Promise<any>;
  /** SIGKILL, and a new process at once. */
  killServer(): Promise<void>;
  close(): Promise<void>;
}

/** Waits. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** @param server URL of a PostgreSQL server on which a fresh database may be made. */
export async function bootStack(server: string): Promise<FaultStack> {
  const database = await freshDatabase(server);
  const home = await Deno.makeTempDir({ prefix: "mira-fault-" });
  // below the ephemeral range: a client that retries a dead port up there may connect to itself
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  const url = `http://127.0.0.1:${port}`;
  let child = await boot(home, port, database.url);
  const keys = JSON.parse(await Deno.readTextFile(`${home}/keys.json`));
  const client = createClient(url, keys.publishable, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await client.auth.signUp({
    email: "f@example.com",
    password: "pass-word-1",
  });
  if (error || !data.session) throw error ?? new Error("sign-up gave no session");
  const jwt = data.session.access_token;
  const headers = { apikey: keys.publishable, authorization: `Bearer ${jwt}` };
  return {
    url,
    databaseUrl: database.url,
    home,
    key: keys.publishable,
    jwt,
    headers,
    send: async (method, path, body) => {
      for (;;) {
        try {
          const response = await fetch(`${url}/functions/v1/log-execution${path}`, {
            method,
            headers: { ...headers, "content-type": "application/json" },
            body: JSON.stringify(body),
            signal: AbortSignal.timeout(10_000),
          });
          const answer = await response.json();
          if (response.ok) return answer;
        } catch {
          // restarting
        }
        await pause(100);
      }
    },
    killServer: async () => {
      child.kill("SIGKILL");
      await child.status;
      child = await boot(home, port, database.url);
    },
    close: async () => {
      child.kill("SIGKILL");
      await child.status;
      await database.drop();
      await Deno.remove(home, { recursive: true });
    },
  };
}

async function boot(home: string, port: number, dbUrl: string): Promise<Deno.ChildProcess> {
  const envFile = `${home}/env`;
  await Deno.remove(envFile).catch(() => {});
  for (;;) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", `${ROOT}scripts/start.ts`],
        ...["--home", home, "--port", String(port), "--db-url", dbUrl, "--env-out", envFile],
        ...["--no-cron", "--no-watch", "--quiet", "--exit-with-stdin"],
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let isEnded = false;
    child.status.then(() => isEnded = true);
    while (!isEnded) {
      if (await Deno.stat(envFile).then(() => true, () => false)) return child;
      await pause(30);
    }
  }
}
