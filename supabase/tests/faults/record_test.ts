/**
 * The record under SIGKILL: every viewer sees every line once and in order, whoever dies.
 * Needs a real server: MIRA_TEST_DB_URL.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import postgres from "postgres";
import { applyMigrations } from "../../../scripts/db/apply_migrations.ts";
import { postgresExecutor } from "../../../scripts/db/executor.ts";
import { readEvents } from "../support/sse.ts";
import { freshDatabase } from "../support/stack.ts";
import { bootStack, type FaultStack, pause } from "./fault_stack.ts";

const SERVER = Deno.env.get("MIRA_TEST_DB_URL");
const ignore = SERVER === undefined;
const WRITER = new URL("./record_writer.ts", import.meta.url).pathname;

for (
  const { batches, viewers, kills } of [
    { batches: 15, viewers: 100, kills: 9 },
    { batches: 250, viewers: 3, kills: 30 },
  ]
) {
  Deno.test({
    name: `${viewers} viewers see ${batches * 200} lines once and in order through ${kills} kills`,
    ignore,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const stack = await bootStack(SERVER!);
      try {
        await watchThroughKills(stack, batches, viewers, kills);
      } finally {
        await stack.close();
      }
    },
  });
}

async function watchThroughKills(
  stack: FaultStack,
  batches: number,
  viewers: number,
  kills: number,
): Promise<void> {
  const { task_id } = await stack.send("POST", "/tasks", { description: "Watched" });
  const expected = Array.from({ length: batches * 200 }, (_, i) => String(i));
  let reconnects = 0;
  let isGivenUp = false;
  const view = async (): Promise<string[]> => {
    const heard: string[] = [];
    let last = "";
    while (!isGivenUp) {
      try {
        const response = await fetch(
          `${stack.url}/functions/v1/log-execution/stream?task_id=${task_id}`,
          { headers: { ...stack.headers, ...(last ? { "last-event-id": last } : {}) } },
        );
        if (!response.ok) {
          await response.body?.cancel();
          throw new Error(String(response.status));
        }
        for await (const { id, event, data } of readEvents(response)) {
          if (event === "end") return heard;
          if (event !== "log") continue;
          heard.push(data.message);
          last = id!;
        }
      } catch {
        // the server was killed; the viewer comes back as a browser does
      }
      reconnects++;
      await pause(300 + Math.random() * 1200);
    }
    return heard;
  };
  const watching = Promise.all(Array.from({ length: viewers }, view));

  const progress = `${stack.home}/progress`;
  let isDone = false;
  let writer: Deno.ChildProcess | undefined;
  const writing = (async () => {
    while (!isDone) {
      writer = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", WRITER, stack.url, stack.key, stack.jwt],
          ...[task_id, String(batches), progress, String(viewers)],
        ],
        stdout: "null",
        stderr: "inherit",
      }).spawn();
      isDone = (await writer.status).code === 0;
    }
  })();
  const killWriter = () => {
    try {
      writer?.kill("SIGKILL");
    } catch {
      // it had just ended
    }
  };
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    for (let done = 0; done < kills;) {
      await pause(50);
      // spread over the whole load by progress, not by time
      const reached = Number(await Deno.readTextFile(progress).catch(() => "0"));
      if (!isDone && reached < done * batches / kills) continue;
      await pause(Math.random() * 100);
      if (done % 3 === 0) await stack.killServer();
      else if (done % 3 === 1) killWriter();
      else {
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`;
      }
      done++;
    }
    await writing;
    await stack.send("PATCH", `/tasks/${task_id}`, { status: "completed" });
    const heard = await watching;
    const [row] = await sql`select count(*)::int as rows, count(distinct id)::int as ids
      from execution_logs where task_id = ${task_id}`;
    console.log(`  ${kills} kills, ${reconnects} reconnects of ${viewers} viewers`);
    deepEqual({ ...row }, { rows: expected.length, ids: expected.length });
    for (const lines of heard) {
      equal(lines.length, expected.length);
      ok(lines.every((line, i) => line === expected[i]), "in order");
    }
  } finally {
    isGivenUp = isDone = true;
    killWriter();
    await sql.end();
  }
}

Deno.test({
  name: "sixteen writers on one task: numbers commit in order, a follower misses nothing",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const stack = await bootStack(SERVER!);
    try {
      const { task_id } = await stack.send("POST", "/tasks", { description: "Crowded" });
      const sql = postgres(stack.databaseUrl, { max: 20, onnotice: () => {} });
      const [owner] = await sql`select user_id::text as id from task_history`;
      const user = owner!["id"] as string;
      const per = 200;
      const write = async (_: unknown, w: number) => {
        for (let i = 0; i < per; i++) {
          await sql.begin(async (tx) => {
            await tx`set local role service_role`;
            await tx`select insert_execution_log(${task_id}, ${`${w}:${i}`}, p_user_id => ${user})`;
            if (i % 10 === 0) await pause(Math.random() * 5); // commits late on purpose
          });
        }
      };
      let isOver = false;
      const read: { seq: number; message: string }[] = [];
      const follow = (async () => {
        let last = 0;
        for (;;) {
          const wasOver = isOver;
          const page = await sql`select seq::int, message from execution_logs
            where user_id = ${user} and task_id = ${task_id} and seq > ${last} order by seq limit 500`;
          read.push(...page as unknown as typeof read);
          last = read.at(-1)?.seq ?? 0;
          if (wasOver && page.length === 0) return;
        }
      })();
      await Promise.all(Array.from({ length: 16 }, write));
      isOver = true;
      await follow;
      equal(read.length, 16 * per);
      for (let w = 0; w < 16; w++) {
        deepEqual(
          read.filter(({ message }) => message.startsWith(`${w}:`)).map(({ message }) => message),
          Array.from({ length: per }, (_, i) => `${w}:${i}`),
        );
      }
      await sql.end();
    } finally {
      await stack.close();
    }
  },
});

Deno.test({
  name: "an outside agent's line waits for the step that holds the run, and gets a later number",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const stack = await bootStack(SERVER!);
    const sql = postgres(stack.databaseUrl, { max: 3, onnotice: () => {} });
    try {
      const [owner] = await sql`select id::text as id from auth.users`;
      const user = owner!["id"] as string;
      const graph = {
        name: "asks",
        nodes: [
          { name: "start", type: "start" },
          { name: "ask", type: "human", config: { prompt: "Go on?" } },
          { name: "end", type: "end" },
        ],
        edges: [{ source: "start", target: "ask" }, { source: "ask", target: "end" }],
      };
      const [started] = await sql`select mira_start_run(${user}, p_workflow => ${
        sql.json(graph)
      }) ->> 'run_id' as run`;
      const run = started!["run"] as string;
      let outside: Promise<unknown> = Promise.resolve();
      let isOutsideDone = false;
      await sql.begin(async (step) => {
        await step`select from mira_workflow_state where id = ${run} for update`;
        outside = sql`select insert_execution_log(${run}, 'outside', p_user_id => ${user})`
          .then(() => isOutsideDone = true);
        await pause(300);
        equal(isOutsideDone, false, "it waits");
        await step`insert into execution_logs (user_id, task_id, message)
          values (${user}, ${run}, 'inside')`;
      });
      await outside;
      const lines = await sql`select message from execution_logs
        where task_id = ${run} and message in ('inside', 'outside') order by seq`;
      deepEqual(lines.map(({ message }) => message), ["inside", "outside"]);
    } finally {
      await sql.end();
      await stack.close();
    }
  },
});

Deno.test({
  name: "where Supabase's Realtime is, lines reach the publication and the owner's private topic",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const stack = await bootStack(SERVER!); // its roles and schema auth are what a project has
    const bare = await freshDatabase(SERVER!);
    const from = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
    const sql = postgres(bare.url, { max: 1, onnotice: () => {} });
    try {
      await sql.unsafe(`
        create schema auth; create schema realtime; create publication supabase_realtime;
        create table auth.users (id uuid primary key, email text, phone text, raw_user_meta_data jsonb,
          raw_app_meta_data jsonb, is_anonymous boolean default false, created_at timestamptz default now());
        create function auth.uid() returns uuid language sql stable as
          $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
        create function auth.jwt() returns jsonb language sql stable as
          $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;
        create function auth.role() returns text language sql stable as
          $$ select current_setting('request.jwt.claim.role', true) $$;
        create table realtime.messages (topic text, event text, payload jsonb, private boolean);
        alter table realtime.messages enable row level security;
        create function realtime.topic() returns text language sql stable as
          $$ select current_setting('realtime.topic', true) $$;
        create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
          returns void language sql as
          $$ insert into realtime.messages values (topic, event, payload, private) $$;
        grant usage on schema auth, realtime to authenticated, service_role;
        grant execute on all functions in schema auth, realtime to authenticated, service_role;
        grant select on realtime.messages to authenticated`);
      await applyMigrations(postgresExecutor(sql));
      const user = "a0000000-0000-4000-8000-000000000001";
      await sql`insert into auth.users (id, email) values (${user}, 'ann@example.com')`;
      await sql`insert into execution_logs (user_id, task_id, message)
        select ${user}::uuid, gen_random_uuid(), 'line ' || n from generate_series(1, 120) n`;
      const published = await sql`select tablename, attnames from pg_publication_tables
        where pubname = 'supabase_realtime'`;
      deepEqual(published.map(({ tablename }) => tablename), ["execution_logs"]);
      const sent = await sql`select topic, event, private, payload from realtime.messages`;
      deepEqual(sent.map(({ payload }) => payload["logs"].length), [50, 50, 20]);
      ok(
        sent.every((message) =>
          message["topic"] === `user:${user}:executions` && message["private"] === true &&
          message["event"] === "execution_logs" &&
          message["payload"]["logs"][0].user_id === undefined
        ),
      );
      const hear = (topic: string) =>
        sql.begin(async (tx) => {
          await tx`select set_config('request.jwt.claim.sub', ${user}, true),
            set_config('realtime.topic', ${topic}, true)`;
          await tx`set local role authenticated`;
          return (await tx`select from realtime.messages`).length;
        });
      equal(await hear(`user:${user}:executions`), 3);
      equal(await hear(`user:${crypto.randomUUID()}:executions`), 0);
    } finally {
      await Promise.all([from.end(), sql.end()]);
      await bare.drop();
      await stack.close();
    }
  },
});
