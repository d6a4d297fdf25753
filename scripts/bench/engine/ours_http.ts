/**
 * Mira through its public door: `POST /functions/v1/run-workflow` on a stack of its own (gateway, edge
 * function, Data API, all in one process beside the database), one request a run, five tool steps.
 */

import postgres from "postgres";
import { authors } from "./authors.ts";
import type { Subject } from "./subject.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** Starts a stack on a migrated database. */
export async function openOursHttp(url: string): Promise<Subject> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const users = await authors(sql, "tool");
  await sql.end();
  const home = await Deno.makeTempDir({ prefix: "mira-bench-" });
  const file = `${home}/env`;
  const flags = ["--port", "0", "--db-url", url, "--home", home, "--env-out", file, "--no-cron"];
  const stack = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `${ROOT}scripts/start.ts`, ...flags, "--no-watch"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  let env = "";
  for (let tries = 0; !env.includes("DB_URL=") && tries < 600; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    env = await Deno.readTextFile(file).catch(() => "");
  }
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(env)?.[1] ?? "";
  const door = `${value("API_URL")}/functions/v1/run-workflow`;
  return {
    async run(index) {
      const { user, workflow } = users[index % users.length]!;
      const response = await fetch(door, {
        method: "POST",
        headers: { apikey: value("SECRET_KEY"), "content-type": "application/json" },
        body: JSON.stringify({ workflow_id: workflow, user_id: user, input: { x: 1 } }),
      });
      const answer = await response.json();
      if (answer.status !== "completed") throw new Error(JSON.stringify(answer).slice(0, 200));
    },
    async close() {
      stack.kill("SIGTERM");
      await stack.status;
      await Deno.remove(home, { recursive: true });
    },
  };
}
