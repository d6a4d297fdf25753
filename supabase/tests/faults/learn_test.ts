/**
 * Learning under SIGKILL, immediate restarts and cut connections: the patterns, counts, trust and
 * watermarks of an undisturbed run, whoever died when. Needs a real server (MIRA_TEST_DB_URL).
 * MIRA_TEST_DB_RESTART, a command that restarts that server at once (`pg_ctl -m immediate restart …`),
 * adds power cuts.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import postgres from "postgres";
import { learnUsers } from "../../../functions-shared/learning/learn_users.ts";
import { hash, seededRandom } from "../../../functions-shared/behaviour/statistics.ts";
import { sqlAdmin } from "../support/sql_admin.ts";
import { openTestDatabase } from "../support/test_database.ts";

const SERVER = Deno.env.get("MIRA_TEST_DB_URL");
const RESTART = Deno.env.get("MIRA_TEST_DB_RESTART");
const WORKER = new URL("./learn_worker.ts", import.meta.url).pathname;
const USERS = 60;
const DAYS = 14;
/** Events arrive in this many parts, the later ones while learners die. */
const WAVES = 6;
const WORKERS = 2;
const KILLS = 30;
const CUTS = 15;
const RESTARTS = RESTART === undefined ? 0 : 8;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** The same id for the same name, in both runs. */
const id = (name: string) => {
  const hex = [0, 1, 2, 3].map((part) => hash(name, part).toString(16).padStart(8, "0")).join("");
  return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})(.{12})/, "$1-$2-4$3-8$4-$5");
};
const userOf = (u: number) => id(`user ${u}`);

/**
 * What one person did in one part of the time: a routine on most days, noise, and a button that
 * does nothing. Everybody works on pages of their own, so that nobody's patterns depend on who was
 * learned first.
 */
function eventsOf(u: number, wave: number): Record<string, unknown>[] {
  const random = seededRandom(hash(`${u}`));
  const days = Array.from({ length: DAYS }, (_, day) => {
    const targets = ["home", "search", ...(random() < 0.4 ? ["help"] : []), "open", "call", "save"];
    if (random() < 0.3) targets.splice(2, 0, `n${Math.floor(random() * 20)}`);
    return targets.flatMap((target, i) => ({
      event_id: id(`${u} ${day} ${i}`),
      session_id: id(`${u} ${day}`),
      event_type: "click",
      module: "crm",
      page: `/area-${u}`,
      target,
      payload: target === "help" ? { dead: true } : {},
      occurred_at: new Date(Date.UTC(2026, 2, 2 + day, 9, u % 60, i * 5)).toISOString(),
    }));
  }).flat();
  // late and early events of a session in different parts
  return days.filter((_, i) => hash(`${u} ${i}`) % WAVES === wave);
}

async function send(sql: postgres.Sql, wave: number): Promise<void> {
  for (let u = 0; u < USERS; u++) {
    const events = eventsOf(u, wave);
    await sql`select public.mira_ingest_events(${userOf(u)}, ${sql.json(events as never)})`;
  }
}

/** The test's own connections: spared by cuts, closed before a restart. */
const connect = (url: string) =>
  postgres(url, { max: 2, onnotice: () => {}, connection: { application_name: "test" } });

/** Everything learning left, without ids and wall-clock times. */
async function learned(sql: postgres.Sql): Promise<Record<string, readonly unknown[]>> {
  return {
    patterns: await sql`select user_id, pattern_type, pattern_key, variant, module, confidence,
        frequency, last_detected_at, metadata, evidence, status
      from mira_learned_patterns where valid_to is null order by 1, 2, 3`,
    sessions: await sql`select user_id, session_id, started_at, until_at, events, digest, counted
      from private.learner_sessions order by 1, 2, 3`,
    states: await sql`select user_id, watermark, contribution, next_model
        from private.learner_state order by 1`,
    population: await sql`select * from private.learner_population
      where (users, n, k, f) <> (0, 0, 0, 0) order by unit`,
    everybody: await sql`select * from private.next_population order by context, action`,
  };
}

async function database() {
  const opened = await openTestDatabase();
  const [{ name } = { name: "" }] = await opened.db.query("select current_database() as name");
  const url = new URL(SERVER!);
  url.pathname = `/${name}`;
  const sql = connect(url.href);
  for (let u = 0; u < USERS; u++) {
    await sql`insert into auth.users (id, email) values (${userOf(u)}, ${`u${u}@example.com`})`;
  }
  return {
    url: url.href,
    sql,
    close: async () => {
      await sql.end({ timeout: 5 }).catch(() => {});
      await opened.close().catch(() => {}); // its session may have died with the server
    },
  };
}

Deno.test({
  name: `${USERS} people learned through ${KILLS} SIGKILLs, ${CUTS} cuts of every connection${
    RESTARTS > 0 ? ` and ${RESTARTS} immediate restarts` : ""
  }: as in an undisturbed run, nothing twice, nothing lost`,
  ignore: SERVER === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const calm = await database();
    for (let wave = 0; wave < WAVES; wave++) await send(calm.sql, wave);
    const { admin, close } = sqlAdmin(calm.url, 1);
    while ((await learnUsers(admin, { max_users: 100, budget_ms: 30_000 })).more);
    await close();
    const expected = await learned(calm.sql);
    await calm.close();
    const kinds = expected["patterns"]!.map((row) =>
      (row as Record<string, string>)["pattern_type"]
    );
    for (const kind of ["workflow_habit", "struggle"]) {
      ok(kinds.filter((k) => k === kind).length >= USERS / 2, `${kind} among what is to be kept`);
    }

    const rough = await database();
    let { sql } = rough;
    const spawn = async (): Promise<Deno.ChildProcess> => {
      const worker = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", WORKER, rough.url],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = worker.stdout.getReader();
      await reader.read();
      reader.releaseLock();
      return worker;
    };
    const end = async (worker: Deno.ChildProcess): Promise<void> => {
      worker.kill("SIGKILL");
      await worker.status;
      await worker.stdout.cancel();
    };
    const learning = async () => {
      const [at] = await sql`select count(*) filter (where leased_until > now())::int as leased,
          count(*)::int as waiting from private.learner_queue`;
      return { leased: at!["leased"] > 0, waiting: at!["waiting"] > 0 };
    };
    /** Waits for a round to begin, then for a moment in it; not where nothing is left to learn. */
    const aim = async (sent: () => boolean) => {
      for (;;) {
        const { leased, waiting } = await learning();
        if (leased || !waiting && sent()) break;
        await pause(2);
      }
      await pause(Math.random() * 15);
    };
    /** A minute passes: who holds a lease and does not come back has lost it. */
    const lapse = () =>
      sql`update private.learner_queue set leased_until = now() - interval '1 second'`;
    const cut = () =>
      sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name <> 'test'`;

    let kills = 0, cuts = 0, restarts = 0, midway = 0;
    const workers = await Promise.all(Array.from({ length: WORKERS }, spawn));
    try {
      for (let wave = 0; wave < WAVES; wave++) {
        let sent = false;
        const sending = send(sql, wave).then(() => sent = true);
        const due = (all: number) => Math.ceil(all * (wave + 1) / WAVES);
        while (kills < due(KILLS) || cuts < due(CUTS) || restarts < due(RESTARTS)) {
          await aim(() => sent);
          if ((await learning()).leased) midway++;
          if (kills < due(KILLS)) {
            const w = kills++ % WORKERS;
            await end(workers[w]!);
            workers[w] = await spawn();
          }
          if (cuts < due(CUTS)) {
            await pause(Math.random() * 40);
            await cut();
            cuts++;
          }
          if (restarts < due(RESTARTS)) {
            await sending;
            await sql.end();
            const { success } = await new Deno.Command("sh", { args: ["-c", RESTART!] }).output();
            ok(success, "the server restarts");
            sql = connect(rough.url);
            restarts++;
          }
          await lapse();
        }
        await sending;
      }
      for (let waiting = true; waiting;) {
        await pause(100);
        await lapse();
        const [left] = await sql`select count(*)::int as n from private.learner_queue`;
        waiting = left!["n"] > 0;
      }
    } finally {
      await Promise.all(workers.map(end));
    }
    console.log(
      `  ${kills} kills, ${cuts} cuts, ${restarts} restarts, ${midway} of them in a round`,
    );
    ok(midway >= KILLS / 2, "the blows fell while somebody was learning");
    const found = await learned(sql);
    for (const [what, rows] of Object.entries(expected)) deepEqual(found[what], rows, what);
    const [twice] = await sql`select count(*)::int as n from (
      select from mira_learned_patterns where valid_to is null
      group by user_id, pattern_type, pattern_key having count(*) > 1) d`;
    equal(twice!["n"], 0);
    await sql.end();
    await rough.close();
  },
});
