/** Mira's engine through SQL: start with a lease, one call per step, as a worker does. */

import postgres from "postgres";
import { step, STEPS, type Subject } from "./subject.ts";

/** A task as the engine hands it out; only what a trivial worker needs. */
interface Task {
  run_id: string;
  seq: number;
  epoch: number;
  node: { name: string };
  state: Record<string, unknown>;
  items?: { idx: number; attempt: number; value: number }[];
}
interface Reply {
  run_id: string;
  status: string;
  tasks: Task[];
}

const USERS = 16;

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
 */
export async function openOurs(url: string, kind: "llm" | "tool"): Promise<Subject> {
  const sql = postgres(url, { max: 16, prepare: true, onnotice: () => {} });
  let sent = 0;
  const users = await authors(sql, kind);
  const of = (index: number) => users[index % USERS]!;

  return {
    async run(index) {
      const { user, workflow } = of(index);
      sent++;
      const [started] = await sql`select public.mira_start_run(p_user_id => ${user},
        p_workflow_id => ${workflow}, p_input => '{"x":1}', p_lease_ms => 60000) as reply`;
      let reply = started!.reply as Reply;
      while (reply.tasks.length > 0) {
        const task = reply.tasks[0]!;
        const output = step(task.state, task.node.name);
        sent++;
        const [next] =
          await sql`select public.mira_advance(${task.run_id}, ${task.epoch}, ${task.seq},
          ${sql.json({ output } as never)}) as reply`;
        reply = next!.reply as Reply;
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
          let tasks = (started!.replies as Reply[]).flatMap((reply) => reply.tasks);
          while (tasks.length > 0) {
            const steps = tasks.map((task) => ({
              run_id: task.run_id,
              epoch: task.epoch,
              seq: task.seq,
              outcome: { output: step(task.state, task.node.name) },
            }));
            sent++;
            const [next] = await sql`select public.mira_advance_batch(${
              sql.json(steps as never)
            }) as replies`;
            tasks = (next!.replies as Reply[]).flatMap((reply) => reply.tasks);
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
          ? first.tasks[0]
          : (await sql`select public.mira_claim_tasks(p_run_id => ${first.run_id}) as reply`)[0]!
            .reply.tasks[0];
        while (task !== undefined) {
          const results = task.items!.map((item) => ({
            idx: item.idx,
            attempt: item.attempt,
            output: { n: item.value },
          }));
          const [next] = await sql`select public.mira_advance_items(${task.run_id}, ${task.seq}, ${
            sql.json(results)
          }, p_lean => true) as reply`;
          task = (next!.reply as Reply).tasks[0];
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
