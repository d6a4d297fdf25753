/**
 * Ingestion under SIGKILL: nothing lost, nothing doubled, receipts that add up.
 * Needs a real server: MIRA_TEST_DB_URL.
 */

import { equal, ok } from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { freshDatabase } from "../support/stack.ts";

const SERVER = Deno.env.get("MIRA_TEST_DB_URL");
const ROOT = new URL("../../../", import.meta.url).pathname;
const BATCHES = 100;
const BATCH = 100;
const KILLS = 20;

interface Receipt {
  accepted: number;
  duplicates: number;
  rejected: unknown[];
}

Deno.test({
  name: "10,000 events, a fifth of the batches twice, the server killed 20 times: each stored once",
  ignore: SERVER === undefined,
  fn: async () => {
    const database = await freshDatabase(SERVER!);
    const home = await Deno.makeTempDir({ prefix: "mira-fault-" });
    // below the ephemeral range: a client that retries a dead port up there may connect to itself
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    let server = await boot(home, port, database.url);
    const user = await signUp(home, port);

    const batches = Array.from({ length: BATCHES }, () =>
      Array.from({ length: BATCH }, () => ({
        event_id: crypto.randomUUID(),
        session_id: crypto.randomUUID(),
        event_type: "click",
        module: "m",
        page: "/p",
      })));
    // a fifth of the batches is sent twice: half of those at the same moment, half later
    const work = batches.flatMap((events, i) =>
      i % 10 === 0 ? [[events, events]] : i % 10 === 5 ? [[events], [events]] : [[events]]
    );

    let retries = 0;
    const receipts: Receipt[] = [];
    const send = async (events: unknown[]): Promise<void> => {
      for (;;) {
        try {
          const response = await fetch(`http://127.0.0.1:${port}/functions/v1/track-event`, {
            method: "POST",
            headers: {
              apikey: user.key,
              authorization: `Bearer ${user.jwt}`,
              "content-type": "application/json",
            },
            body: JSON.stringify({ events }),
            signal: AbortSignal.timeout(10_000),
          });
          const body = await response.json();
          if (response.status === 200) {
            receipts.push(body as Receipt);
            return;
          }
          ok(
            response.status >= 500 || response.status === 429,
            `${response.status} ${JSON.stringify(body)}`,
          );
        } catch (error) {
          if ((error as Error).name === "AssertionError") throw error;
        }
        retries++;
        await pause(50 + Math.random() * 100);
      }
    };

    const queue = [...work];
    let done = false;
    let sentGroups = 0;
    const sender = async () => {
      for (let group = queue.shift(); group; group = queue.shift()) {
        await Promise.all(group.map(send));
        sentGroups++;
        // paced so that the kills fall across the whole load
        await pause(30);
      }
    };
    const killer = async () => {
      let kills = 0;
      while (kills < KILLS) {
        await pause(50 + Math.random() * 150);
        server.kill("SIGKILL");
        await server.status;
        kills++;
        server = await boot(home, port, database.url);
        if (done && kills < KILLS) queue.push(...work.splice(0, 5)); // keep load under every kill
      }
      return kills;
    };
    const senders = Promise.all([sender(), sender(), sender(), sender()]).then(() => done = true);
    const kills = await killer();
    await senders;
    await Promise.all([sender(), sender()]); // whatever was queued at the very end

    const sql = postgres(database.url, { max: 1 });
    const [row] = await sql`
      select count(*)::int as rows, count(distinct event_id)::int as ids, max(ingest_seq)::int as last
      from mira_behavioral_events`;
    const [head] = await sql`select events::int, last_seq::int from private.behaviour_heads`;
    await sql.end();
    server.kill("SIGTERM");
    await server.status;

    console.log(
      `  ${kills} kills, ${retries} retries, ${sentGroups} groups, ${receipts.length} receipts`,
    );
    ok(kills >= 20);
    equal(row!["rows"], BATCHES * BATCH, "0 lost, 0 doubled");
    equal(row!["ids"], BATCHES * BATCH);
    equal(head!["events"], BATCHES * BATCH, "the counter did not drift");
    equal(head!["last_seq"], row!["last"]);
    for (const receipt of receipts) {
      equal(receipt.accepted + receipt.duplicates, BATCH, "receipts add up");
    }
    ok(receipts.reduce((sum, r) => sum + r.accepted, 0) <= BATCHES * BATCH);

    await database.drop();
    await Deno.remove(home, { recursive: true });
  },
  sanitizeOps: false,
  sanitizeResources: false,
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function boot(home: string, port: number, dbUrl: string): Promise<Deno.ChildProcess> {
  const envFile = `${home}/env`;
  await Deno.remove(envFile).catch(() => {});
  for (;;) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        `${ROOT}scripts/start.ts`,
        ...["--home", home, "--port", String(port), "--db-url", dbUrl, "--env-out", envFile],
        ...["--no-cron", "--no-watch", "--quiet", "--exit-with-stdin"],
      ],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let ended = false;
    child.status.then(() => ended = true);
    while (!ended) {
      if (await Deno.stat(envFile).then(() => true, () => false)) return child;
      await pause(30);
    }
  }
}

async function signUp(home: string, port: number): Promise<{ key: string; jwt: string }> {
  const keys = JSON.parse(await Deno.readTextFile(`${home}/keys.json`));
  const client = createClient(`http://127.0.0.1:${port}`, keys.publishable, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await client.auth.signUp({
    email: "f@example.com",
    password: "password-1",
  });
  if (error || !data.session) throw error ?? new Error("no session");
  return { key: keys.publishable, jwt: data.session.access_token };
}
