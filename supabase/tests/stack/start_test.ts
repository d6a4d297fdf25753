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
  return await startIn(ROOT, home, ...args);
}

async function startIn(root: string, home: string, ...args: string[]): Promise<Running> {
  const envFile = `${home}.env`;
  await Deno.remove(envFile).catch(() => {});
  const child = command(root, home, "--port", "0", "--env-out", envFile, "--no-cron", ...args)
    .spawn();
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

function command(root: string, home: string, ...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${root}scripts/start.ts`, "--home", home, "--exit-with-stdin", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

async function fails(home: string, ...args: string[]): Promise<string> {
  const child = command(ROOT, home, ...args).spawn();
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
  const nowhere = ["--port", "0", "--db-url", "postgres://nobody:sesame@127.0.0.1:1/none"];
  const said = await fails(`${file}-home`, ...nowhere);
  match(said, /cannot be reached/);
  ok(!said.includes("sesame"), "the password is not shown");
  await Deno.remove(file);
});

Deno.test("a changed function, or a module it shares, answers anew without a restart; broken code changes nothing", async () => {
  const copy = `${await Deno.makeTempDir({ prefix: "mira-copy-" })}/`;
  for (
    const part of [
      "deno.json",
      "functions-shared",
      "supabase/functions",
      "supabase/migrations",
      "supabase/config.toml",
      "scripts",
    ]
  ) {
    await copyInto(part, copy);
  }
  const stack = await startIn(copy, `${copy}.mira`, "--memory");
  const title = async () => {
    const response = await fetch(`${stack.url}/functions/v1/track-event/none`, {
      headers: { apikey: stack.env["PUBLISHABLE_KEY"]! },
    });
    return (await response.json()).detail as string;
  };
  const until = async (wanted: string) => {
    for (let i = 0; i < 150 && await title() !== wanted; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    equal(await title(), wanted);
  };
  const shared = `${copy}functions-shared/http/app.ts`;
  const original = await Deno.readTextFile(shared);
  ok(original.includes("There is nothing at this path."));
  await until("There is nothing at this path.");
  await Deno.writeTextFile(
    shared,
    original.replace("There is nothing at this path.", "Changed while running."),
  );
  await until("Changed while running.");
  await Deno.writeTextFile(shared, "this is not TypeScript {");
  for (let i = 0; i < 100 && !stack.output().includes("not reloaded"); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  match(stack.output(), /functions not reloaded/);
  equal(await title(), "Changed while running.");
  await stack.end("SIGTERM");
  await Deno.remove(copy, { recursive: true });
});

async function copyInto(path: string, target: string): Promise<void> {
  const info = await Deno.stat(ROOT + path);
  if (info.isFile) {
    await Deno.mkdir((target + path).slice(0, (target + path).lastIndexOf("/")), {
      recursive: true,
    });
    return await Deno.copyFile(ROOT + path, target + path);
  }
  for await (const entry of Deno.readDir(ROOT + path)) {
    await copyInto(`${path}/${entry.name}`, target);
  }
}
