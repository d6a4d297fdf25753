/**
 * Mira's engine through SQL, as a worker drives it: start with a lease, then report after report. The
 * worker's own recorder sends steps that finish while a call is under way together in the next. The
 * driver is that of Mastra, DBOS and LangGraph: engines are compared, not drivers.
 */

import postgres from "postgres";
import {
  type Reply,
  type Step,
  type Task,
  wholeReply,
} from "../../../functions-shared/runner/engine.ts";
import { Recorder } from "../../../functions-shared/runner/recorder.ts";
import { authors } from "./authors.ts";
import { step, type Subject } from "./subject.ts";

/** Pinned; it lives in Deno's cache, outside the tree. */
const DRIVER = "npm:pg@8.16.3";

const tasksOf = (replies: Reply[]) => replies.flatMap((reply) => reply.tasks ?? []);

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
  const { default: pg } = await import(DRIVER);
  const pool = new pg.Pool({
    connectionString: url,
    max: together ? 4 : 16,
    idleTimeoutMillis: 0,
  });
  let sent = 0;
  /** What a statement answers; prepared under its name on each connection. */
  const ask = async (name: string, text: string, values: unknown[]) => {
    sent++;
    return (await pool.query({ name, text, values, rowMode: "array" })).rows[0][0];
  };
  const send = async (steps: Step[]): Promise<Reply[]> => {
    if (steps.length > 1) {
      return await ask(
        "batch",
        "select public.mira_advance_batch($1, p_lean => true)",
        [JSON.stringify(steps)],
      );
    }
    const { run_id, epoch, seq, outcome } = steps[0]!;
    const values = [run_id, epoch, seq, JSON.stringify(outcome)];
    const text = "select public.mira_advance($1, $2, $3, $4, p_lean => true)";
    return [await ask("advance", text, values)];
  };
  const recorder = new Recorder(send);
  const record = async (step: Step) =>
    together ? await recorder.record(step) : (await send([step]))[0]!;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const users = await authors(sql, kind).finally(() => sql.end());
  const of = (index: number) => users[index % users.length]!;

  return {
    async run(index) {
      const { user, workflow } = of(index);
      let reply: Reply = await ask(
        "start",
        `select public.mira_start_run(p_user_id => $1, p_workflow_id => $2, p_input => '{"x":1}',
          p_lease_ms => 60000)`,
        [user, workflow],
      );
      for (let task = reply.tasks?.[0]; task; task = reply.tasks?.[0]) {
        const { run_id, epoch, seq } = task;
        const outcome = { output: step(task.state, task.node.name) };
        reply = wholeReply(task, await record({ run_id, epoch, seq, outcome }));
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
          const inputs = Array.from({ length: size }, () => ({ x: 1 }));
          let tasks = tasksOf(
            await ask(
              "start_runs",
              "select public.mira_start_runs($1, $2, $3, 60000)",
              [user, workflow, JSON.stringify(inputs)],
            ),
          );
          while (tasks.length > 0) {
            const replies = await send(tasks.map((task) => ({
              run_id: task.run_id,
              epoch: task.epoch,
              seq: task.seq,
              outcome: { output: step(task.state, task.node.name) },
            })));
            tasks = tasksOf(replies.map((reply, i) => wholeReply(tasks[i]!, reply)));
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
      const first: Reply = await ask(
        "fan_out",
        `select public.mira_start_run(p_user_id => $1, p_workflow => $2, p_input => $3,
          p_lease_ms => 60000)`,
        [user, JSON.stringify(graph), JSON.stringify({ list })],
      );
      await Promise.all(Array.from({ length: workers }, async (_, worker) => {
        let task: Task | undefined = worker === 0
          ? first.tasks?.[0]
          : (await ask("claim", "select public.mira_claim_tasks(p_run_id => $1)", [first.run_id]))
            .tasks[0];
        while (task !== undefined) {
          const results = task.items!.map((item) => ({
            idx: item.idx,
            attempt: item.attempt,
            output: { n: item.value as number },
          }));
          const next: Reply = await ask(
            "items",
            "select public.mira_advance_items($1, $2, $3, p_lean => true)",
            [task.run_id, task.seq, JSON.stringify(results)],
          );
          task = next.tasks?.[0];
        }
      }));
      const status = await ask(
        "status",
        "select status from public.mira_workflow_state where id = $1",
        [first.run_id],
      );
      if (status !== "completed") throw new Error(`fan-out ended ${status}`);
    },

    statements: () => sent,
    close: () => pool.end(),
  };
}
