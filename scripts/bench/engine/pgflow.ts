/**
 * pgflow: its own SQL from npm, driven with the three statements its worker sends (read, start,
 * complete). Two workers that take fifty messages at a time, which is near its best here.
 */

import postgres from "postgres";
import { step, STEPS, type Subject } from "./subject.ts";

const PACKAGE = "npm:@pgflow/core@0.8.1";
const WORKERS = 2;

interface Claimed {
  run_id: string;
  step_slug: string;
  task_index: number;
  input: unknown;
}

/** Opens pgflow on an empty database. */
export async function openPgflow(url: string): Promise<Subject> {
  const sql = postgres(url, { max: 24, onnotice: () => {} });
  await sql.unsafe(await Deno.readTextFile(new URL("pgmq.sql", import.meta.url)));
  for (const file of await migrations()) {
    // the extension itself is stood in for; concurrent indexes cannot be made inside a batch
    await sql.unsafe(
      (await Deno.readTextFile(file)).replace(/CREATE (EXTENSION|SCHEMA)[^;]*"pgmq"[^;]*;/gi, ""),
    );
  }
  await sql`select pgflow.create_flow('chain')`;
  for (const [at, name] of STEPS.entries()) {
    await sql`select pgflow.add_step('chain', ${name}, ${
      at === 0 ? [] : [STEPS[at - 1]!]
    }::text[])`;
  }
  await sql`select pgflow.create_flow('fan')`;
  await sql`select pgflow.add_step('fan', 'items', '{}'::text[], step_type => 'map')`;
  await sql`select pgflow.add_step('fan', 'done', '{items}'::text[])`;
  await sql`analyze`;

  const waiting = new Map<string, () => void>();
  let sent = 0;
  let open = true;
  async function work(flow: string, last: string, batch: number): Promise<void> {
    const worker = crypto.randomUUID();
    await sql`insert into pgflow.workers (worker_id, queue_name, function_name)
      values (${worker}, ${flow}, 'bench')`;
    while (open) {
      sent++;
      const messages =
        await sql`select msg_id from pgmq.read_with_poll(${flow}, 30, ${batch}, 1, 20)`;
      if (messages.length === 0) continue;
      sent++;
      const tasks = await sql<Claimed[]>`select * from pgflow.start_tasks(${flow},
        ${messages.map((message) => message.msg_id)}::bigint[], ${worker}::uuid)`;
      await Promise.all(tasks.map(async (task) => {
        sent++;
        await sql`select pgflow.complete_task(${task.run_id}::uuid, ${task.step_slug}, ${task.task_index}::int,
          ${sql.json(step({}, task.step_slug) as never)})`;
        if (task.step_slug === last) waiting.get(task.run_id)?.();
      }));
    }
  }
  const loops = Array.from({ length: WORKERS }, () => work("chain", STEPS.at(-1)!, 50));

  async function start(flow: string, input: unknown): Promise<void> {
    sent++;
    const id = crypto.randomUUID();
    const done = new Promise<void>((resolve) => waiting.set(id, resolve));
    await sql`select pgflow.start_flow(${flow}, ${sql.json(input as never)}, ${id}::uuid)`;
    await done;
    waiting.delete(id);
  }

  let fanWorkers = false;
  return {
    run: () => start("chain", { x: 1 }),
    async fanOut(items, workers) {
      if (!fanWorkers) {
        fanWorkers = true;
        loops.push(...Array.from({ length: workers }, () => work("fan", "done", 10)));
      }
      await start("fan", Array.from({ length: items }, (_, i) => i));
    },
    statements: () => sent,
    async close() {
      open = false;
      await Promise.all(loops);
      await sql.end();
    },
  };
}

/** The package's migration files, in order, as Deno's cache keeps them. */
async function migrations(): Promise<string[]> {
  await import(PACKAGE);
  const home = new TextDecoder().decode(
    (await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], stdout: "piped" })
      .output())
      .stdout,
  );
  const cache = (JSON.parse(home) as { npmCache: string }).npmCache;
  const found: string[] = [];
  for await (const registry of Deno.readDir(cache)) {
    const folder = `${cache}/${registry.name}/@pgflow/core/0.8.1/dist/supabase/migrations`;
    try {
      for await (const file of Deno.readDir(folder)) found.push(`${folder}/${file.name}`);
    } catch {
      continue; // another registry's folder
    }
  }
  return found.filter((file) => file.endsWith(".sql")).sort();
}
