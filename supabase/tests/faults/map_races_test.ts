/** What happens at the same moment in fan-outs: elements against elements, ends and cancels. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { child, edge, race, type Reply, report, sql, start, statuses, type Task } from "./races.ts";

const llm = { type: "llm", config: { prompt: "x" } };
const echo = { type: "tool", config: { tool: "echo" } };

/** A run of one map over `list`. */
function startMap(list: unknown[], each: unknown, lease: number, batch?: number): Promise<Reply> {
  const config = { items: "$.list", each, ...(batch ? { batch } : {}) };
  return start(
    [{ name: "m", type: "map", config }],
    [edge("start", "m"), edge("m", "end")],
    lease,
    {
      list,
    },
  );
}

async function claim(run_id: string): Promise<Task[]> {
  const [row] = await sql`select public.mira_claim_tasks(p_run_id => ${run_id}) as reply`;
  return row!.reply.tasks;
}

/** Reports elements and takes the next ones, or as many as said. */
async function reportItems(task: Task, results: unknown[], take: number | null = null) {
  const [row] = await sql`select public.mira_advance_items(${task.run_id}, ${task.seq},
    ${sql.json(results as never)}, ${take}) as reply`;
  return row!.reply as Reply;
}

/** Does a task and whatever it leads to, one after another. */
async function driveAll(tasks: Task[], work: (task: Task) => Promise<Reply>): Promise<void> {
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
    tasks.push(...(await work(task)).tasks);
  }
}

async function endOf(run_id: string) {
  const [end] = await sql`select status, state_data -> 'm' as m
    from public.mira_workflow_state where id = ${run_id}`;
  return end!;
}

race("map items from eight workers: the join happens once, in order", async () => {
  const list = Array.from({ length: 300 }, (_, i) => i);
  const { run_id } = await startMap(list, echo, 0);
  await Promise.all(
    Array.from({ length: 8 }, async () =>
      driveAll(await claim(run_id), (task) =>
        reportItems(
          task,
          task.items!.map(({ idx, attempt, value }) => ({ idx, attempt, output: value * 2 })),
        ))),
  );
  const end = await endOf(run_id);
  equal(end.status, "completed");
  deepEqual(end.m, list.map((value) => value * 2));
});

race(
  "elements fail and succeed while their map ends: no deadlock, every map ends once",
  async () => {
    const list = Array.from({ length: 24 }, (_, i) => i);
    const runs = await Promise.all(Array.from({ length: 30 }, () => startMap(list, echo, 0, 4)));
    await Promise.all(runs.map(async ({ run_id }) => {
      const tasks: Task[] = [];
      for (let i = 0; i < 6; i++) tasks.push(...await claim(run_id));
      const error = { code: "x", message: "broken", retryable: false };
      await Promise.all(tasks.map((task) =>
        reportItems(
          task,
          task.items!.map(({ idx, attempt }) =>
            Math.random() < 0.1 ? { idx, attempt, error } : { idx, attempt, output: idx }
          ),
          0,
        )
      ));
    }));
    const ids = runs.map((run) => run.run_id);
    ok((await statuses(ids)).every((status) => ["completed", "failed"].includes(status)));
  },
);

race("a cancel meets the last elements of maps: no deadlock, nothing left open", async () => {
  const runs = await Promise.all(
    Array.from({ length: 80 }, () => startMap([1, 2, 3], llm, 60_000)),
  );
  await Promise.all(runs.flatMap((run) => {
    const [task] = run.tasks;
    return [
      ...task!.items!.map(async ({ idx, attempt }) => {
        const call = { call: { index: 0, kind: "model", name: "m", output: {} } };
        await sql`select public.mira_record_item_call(${run.run_id}, 1, ${idx}, ${attempt},
          ${sql.json(call)})`;
        await reportItems(task!, [{ idx, attempt, output: 1 }], 0);
      }),
      new Promise((resolve) => setTimeout(resolve, Math.random() * 300))
        .then(() => sql`select public.mira_cancel_run(null, ${run.run_id})`),
    ];
  }));
  const ids = runs.map((run) => run.run_id);
  ok((await statuses(ids)).every((status) => ["completed", "cancelled"].includes(status)));
  const [open] = await sql`select count(*)::int as n from private.run_maps
    where run_id = any(${ids}::uuid[]) and is_open`;
  equal(open!.n, 0);
});

race(
  "sub-workflows of one map from eight workers: each is run once, and none is left",
  async () => {
    const list = Array.from({ length: 120 }, (_, i) => i);
    const each = { type: "subworkflow", config: { workflow_id: child, input: { n: "$.item" } } };
    const { run_id } = await startMap(list, each, 0);
    const done: string[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async () =>
        driveAll(await claim(run_id), (task) => {
          done.push(task.run_id);
          return report(task);
        })),
    );
    const end = await endOf(run_id);
    deepEqual([end.status, end.m.length], ["completed", list.length]);
    deepEqual([done.length, new Set(done).size], [list.length, list.length]);
  },
);

race(
  "children of several maps end in several workers' batches: no deadlock, every map ends once",
  async () => {
    const list = Array.from({ length: 20 }, (_, i) => i);
    const each = { type: "subworkflow", config: { workflow_id: child } };
    for (let round = 0; round < 5; round++) {
      const maps = await Promise.all(Array.from({ length: 4 }, () => startMap(list, each, 60_000)));
      const tasks = maps.flatMap((map) => map.tasks);
      for (const { run_id } of maps) {
        for (let more = await claim(run_id); more.length > 0; more = await claim(run_id)) {
          tasks.push(...more);
        }
      }
      equal(tasks.length, 80);
      // each worker has children of every map, as they come
      const batches = Array.from(
        { length: 4 },
        (_, worker) =>
          tasks.filter((_, at) => at % 4 === worker).map(({ run_id, epoch, seq }) => ({
            run_id,
            epoch,
            seq,
            outcome: { output: seq },
          })),
      );
      await Promise.all(
        batches.map((steps) => sql`select public.mira_advance_batch(${sql.json(steps)})`),
      );
      for (const { run_id } of maps) equal((await endOf(run_id)).status, "completed");
    }
  },
);
