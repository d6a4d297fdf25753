/** `deno task start` as a person meets it: one line for each way it can fail, and data that stays. */

import { equal, match, ok } from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const ROOT = new URL("../../../", import.meta.url).pathname;

interface Running {
  url: string;
  env: Record<string, string>;
  output: () => string;
  end(signal: Deno.Signal): Promise<number>;
}

async function start(home: string, ...args: string[]): Promise<Running> {
  const envFile = `${home}.env`;
  await Deno.remove(envFile).catch(() => {});
  const child = command(home, "--port", "0", "--env-out", envFile, "--no-cron", ...args).spawn();
  let printed = "";
  const gather = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) printed += new TextDecoder().decode(chunk);
  };
  const gathered = Promise.all([gather(child.stdout), gather(child.stderr)]);
  for (let i = 0; i < 600; i++) {
    const text = await Deno.readTextFile(envFile).catch(() => "");
    if (text.includes("DB_URL=")) {
      const env = Object.fromEntries(
        text.trim().split("\n").map((
          l,
        ) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]),
      );
      return {
        url: env["API_URL"]!,
        env,
        output: () => printed,
        end: async (signal) => {
          child.kill(signal);
          const { code } = await child.status;
          await gathered;
          await child.stdin.close().catch(() => {});
          return code;
        },
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not started: ${printed}`);
}

function command(home: string, ...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${ROOT}scripts/start.ts`, "--home", home, "--exit-with-stdin", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

async function fails(home: string, ...args: string[]): Promise<string> {
  const child = command(home, ...args).spawn();
  const [status, error] = await Promise.all([child.status, new Response(child.stderr).text()]);
  await child.stdin.close().catch(() => {});
  await child.stdout.cancel();
  equal(status.code, 1, error);
  equal(error.trim().split("\n").length, 1, `one line expected:\n${error}`);
  return error.trim();
}

Deno.test("what was committed survives kill -9, the keys stay, and a second start on the data is refused", async () => {
  const home = await Deno.makeTempDir({ prefix: "mira-home-" });
  const first = await start(home);
  equal((await Deno.stat(`${home}/keys.json`)).mode! & 0o777, 0o600);

  const client = createClient(first.url, first.env["PUBLISHABLE_KEY"]!, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const login = { email: "stays@example.com", password: "password-1" };
  equal((await client.auth.signUp(login)).error, null);
  const { data } = await client.functions.invoke("track-event", {
    body: {
      events: Array.from({ length: 20 }, () => ({
        event_id: crypto.randomUUID(),
        session_id: crypto.randomUUID(),
        event_type: "click",
        module: "m",
        page: "/",
      })),
    },
  });
  equal(data.accepted, 20);
  match(await fails(home, "--port", "0"), /another Mira runs on/);
  match(
    await fails(`${home}-2`, "--memory", "--port", new URL(first.url).port),
    /port \d+ is taken/,
  );
  await first.end("SIGKILL");

  const second = await start(home);
  equal(second.env["SECRET_KEY"], first.env["SECRET_KEY"]);
  const again = createClient(second.url, second.env["PUBLISHABLE_KEY"]!, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  equal((await again.auth.signInWithPassword(login)).error, null);
  equal((await again.from("mira_behavioral_events").select("*", { count: "exact" })).count, 20);
  equal(await second.end("SIGTERM"), 0);
  match(second.output(), /database is closed/);
  await Deno.remove(home, { recursive: true });
});

Deno.test("a folder that cannot be written and a database that cannot be reached are said in one line", async () => {
  const file = await Deno.makeTempFile();
  match(await fails(`${file}/inside`), /cannot be written/);
  match(
    await fails(`${file}-home`, "--db-url", "postgres://nobody:sesame@127.0.0.1:1/none"),
    /cannot be reached/,
  );
  const said = await fails(`${file}-home`, "--db-url", "postgres://nobody:sesame@127.0.0.1:1/none");
  ok(!said.includes("sesame"), "the password is not shown");
  await Deno.remove(file);
});
