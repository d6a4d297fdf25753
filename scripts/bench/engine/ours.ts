/**
 * Mira's engine through SQL, as a worker drives it: start with a lease, then report after report. The
 * worker's own recorder sends steps that finish while a call is under way together in the next.
 */

import postgres from "postgres";
import type { Reply, Step, Task } from "../../../functions-shared/runner/engine.ts";
import { Recorder } from "../../../functions-shared/runner/recorder.ts";
import { step, STEPS, type Subject } from "./subject.ts";

const USERS = 16;

const tasksOf = (replies: Reply[]) => replies.flatMap((reply) => reply.tasks ?? []);

/** Sixteen users, each with an active workflow of five steps. */
export async function authors(
  sql: postgres.Sql,
  kind: "llm" | "tool",
): Promise<{ user: string; workflow: string }[]> {
  await sql`insert into public.mira_tool_definitions (name, schema, function_path)
    values ('bench_echo', '{"type":"object"}', 'internal:compose') on conflict do nothing`;
  const users: { user: string; workflow: string }[] = [];
  const config = kind === "tool" ? { tool: "bench_echo" } : { prompt: "x" };
  for (let i = 0; i < USERS; i++) {
    const user = crypto.randomUUID();
    await sql`insert into auth.users (id, email) values (${user}, ${`${user}@bench.example`})`;
    const [workflow] = await sql`insert into public.mira_workflows (user_id, name)
      values (${user}, 'bench') returning id`;
    const names = ["start", ...STEPS, "end"];
    const ids = names.map(() => crypto.randomUUID());
    for (const [at, name] of names.entries()) {
      const isStep = STEPS.includes(name);
      await sql`insert into public.mira_workflow_nodes (id, workflow_id, type, name, config)
        values (${ids[at]!}, ${workflow!.id}, ${isStep ? kind : name}, ${name},
          ${sql.json(isStep ? config : {})})`;
      if (at > 0) {
        await sql`insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id)
          values (${workflow!.id}, ${ids[at - 1]!}, ${ids[at]!})`;
      }
    }
    await sql`update public.mira_workflows set is_active = true where id = ${workflow!.id}`;
    users.push({ user, workflow: workflow!.id });
  }
  await sql`analyze`;
  return users;
}

/**
 * Opens Mira on a migrated database. `kind` is the type of the five nodes: an llm step that reports
 * only its output is what every peer's step is; a tool step also has its row in tool_executions.
 * `together`: reports go through the worker's recorder; otherwise each is a statement of its own.
 */
export async function openOurs(
  url: string,
  kind: "llm" | "tool",
  together = true,
): Promise<Subject> {
  // reports that go together need one connection, starts a few; each has caches of its own to keep warm
  const sql = postgres(url, { max: together ? 4 : 16, prepare: true, onnotice: () => {} });
  let sent = 0;
  const send = async (steps: Step[]): Promise<Reply[]> => {
    sent++;
    if (steps.length > 1) {
      const [row] = await sql`select public.mira_advance_batch(${
        sql.json(steps as never)
      }) as replies`;
      return row!.replies;
    }
    const { run_id, epoch, seq, outcome } = steps[0]!;
    const [row] = await sql`select public.mira_advance(${run_id}, ${epoch}, ${seq},
      ${sql.json(outcome as never)}) as reply`;
    return [row!.reply];
  };
  const recorder = new Recorder(send);
  const record = async (step: Step) =>
    together ? await recorder.record(step) : (await send([step]))[0]!;
  const users = await authors(sql, kind);
  const of = (index: number) => users[index % USERS]!;

  return {
    async run(index) {
      const { user, workflow } = of(index);
      sent++;
      const [started] = await sql`select public.mira_start_run(p_user_id => ${user},
        p_workflow_id => ${workflow}, p_input => '{"x":1}', p_lease_ms => 60000) as reply`;
      let reply = started!.reply as Reply;
      for (let task = reply.tasks?.[0]; task; task = reply.tasks?.[0]) {
        const { run_id, epoch, seq } = task;
        reply = await record({
          run_id,
          epoch,
          seq,
          outcome: { output: step(task.state, task.node.name) },
        });
      }
      if (reply.status !== "completed") throw new Error(`ended ${reply.status}`);
    },

    async runMany(count) {
      const per = 50;
      let left = count;
      await Promise.all([0, 1].map(async (worker) => {
        while (left > 0) {
          const size = Math.min(per, left);
          left -= size;
          const { user, workflow } = of(worker);
          sent++;
          const [started] = await sql`select public.mira_start_runs(${user}, ${workflow}, ${
            sql.json(Array.from({ length: size }, () => ({ x: 1 })))
          }, 60000) as replies`;
          let tasks = tasksOf(started!.replies);
          while (tasks.length > 0) {
            tasks = tasksOf(
              await send(tasks.map((task) => ({
                run_id: task.run_id,
                epoch: task.epoch,
                seq: task.seq,
                outcome: { output: step(task.state, task.node.name) },
              }))),
            );
          }
        }
      }));
    },

    async fanOut(items, workers) {
      const { user } = of(0);
      const graph = {
        name: "fan",
        nodes: [{ name: "start", type: "start" }, {
          name: "m",
          type: "map",
          config: {
            items: "$.list",
            batch: 10,
            each: { type: "tool", config: { tool: "bench_echo" } },
          },
        }, { name: "end", type: "end" }],
        edges: [{ source: "start", target: "m" }, { source: "m", target: "end" }],
      };
      const list = Array.from({ length: items }, (_, i) => i);
      const [started] = await sql`select public.mira_start_run(p_user_id => ${user},
        p_workflow => ${sql.json(graph)}, p_input => ${
        sql.json({ list })
      }, p_lease_ms => 60000) as reply`;
      const first = started!.reply as Reply;
      await Promise.all(Array.from({ length: workers }, async (_, worker) => {
        let task: Task | undefined = worker === 0
          ? first.tasks?.[0]
          : (await sql`select public.mira_claim_tasks(p_run_id => ${first.run_id}) as reply`)[0]!
            .reply.tasks[0];
        while (task !== undefined) {
          const results = task.items!.map((item) => ({
            idx: item.idx,
            attempt: item.attempt,
            output: { n: item.value as number },
          }));
          const [next] = await sql`select public.mira_advance_items(${task.run_id}, ${task.seq}, ${
            sql.json(results)
          }, p_lean => true) as reply`;
          task = (next!.reply as Reply).tasks?.[0];
        }
      }));
      const [end] =
        await sql`select status from public.mira_workflow_state where id = ${first.run_id}`;
      if (end!.status !== "completed") throw new Error(`fan-out ended ${end!.status}`);
    },

    statements: () => sent,
    close: () => sql.end(),
  };
}
