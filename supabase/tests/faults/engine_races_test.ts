/**
 * What happens at the same moment: cancels against reports, parents against children, signals
 * against waits, claims against claims, batches against batches.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import {
  activeWorkflow,
  child,
  drive,
  edge,
  ends,
  race,
  type Reply,
  sql,
  start,
  statuses,
  type Task,
  tool,
  user,
} from "./races.ts";

race(
  "a cancel meets reports of parallel branches: no deadlock, one ending, nothing left open",
  async () => {
    const runs = await Promise.all(
      Array.from({ length: 60 }, () =>
        start(["a", "b", "c", "j"].map(tool), [
          ...["a", "b", "c"].flatMap((name) => [edge("start", name), edge(name, "j")]),
          edge("j", "end"),
        ])),
    );
    await Promise.all(runs.flatMap((run) => [
      drive(run.tasks),
      sql`select public.mira_cancel_run(null, ${run.run_id})`,
    ]));
    const ids = runs.map((run) => run.run_id);
    ok((await statuses(ids)).every((status) => ["completed", "cancelled"].includes(status)));
    const [open] = await sql`select count(*)::int as n from public.mira_workflow_state
    where due_at is not null or leased_at is not null`;
    equal(open!.n, 0);
    const [wrong] = await sql`select count(*)::int as n from public.mira_workflow_state s
    join public.workflow_executions e using (id) where e.current_state <> s.status`;
    equal(wrong!.n, 0, "the ledger agrees");
  },
);

race(
  "children end while their parents are cancelled: no deadlock, nobody is left running",
  async () => {
    const fan = {
      name: "m",
      type: "map",
      config: { items: "$.list", each: { type: "subworkflow", config: { workflow_id: child } } },
    };
    const runs = await Promise.all(Array.from({ length: 25 }, async () => {
      const graph = { nodes: [...ends, fan], edges: [edge("start", "m"), edge("m", "end")] };
      const [row] = await sql`select public.mira_start_run(${user}, p_workflow => ${
        sql.json(graph as never)
      },
      p_input => '{"list":[1,2,3,4]}', p_lease_ms => 60000) as reply`;
      return row!.reply as Reply;
    }));
    await Promise.all(runs.flatMap((run, i) => [
      drive(run.tasks),
      ...(i % 2 === 0 ? [sql`select public.mira_cancel_run(null, ${run.run_id})`] : []),
    ]));
    const ids = runs.map((run) => run.run_id);
    deepEqual(
      (await sql`select distinct status from public.mira_workflow_state
      where id = any(${ids}::uuid[]) or parent_run_id = any(${ids}::uuid[]) order by 1`)
        .map((row) => row.status).filter((status) => !["cancelled", "completed"].includes(status)),
      [],
    );
  },
);

/** A tool beside a fan-out of four children. */
const family = () =>
  start(
    [
      tool("a"),
      {
        name: "m",
        type: "map",
        config: { items: "$.list", each: { type: "subworkflow", config: { workflow_id: child } } },
      },
    ],
    [edge("start", "a"), edge("start", "m"), edge("a", "end"), edge("m", "end")],
    60_000,
    {
      list: [1, 2, 3, 4],
    },
  );
const fail = (task: Task) =>
  sql`select public.mira_advance(${task.run_id}, ${task.epoch}, ${task.seq},
    '{"error": {"code": "no", "message": "no", "retryable": false}}')`;
/** Statuses of children, once whoever looks after runs that are due has looked. */
const childrenOf = async (ids: string[]) => {
  await sql`update public.mira_workflow_state set due_at = now() where due_at is not null`;
  await sql`select public.mira_claim_tasks(200)`;
  return (await sql`select distinct status from public.mira_workflow_state
    where parent_run_id = any(${ids}::uuid[]) order by 1`).map((row) => row.status);
};

race(
  "a run fails while its children are reported: no deadlock, and none of them works on for it",
  async () => {
    const runs = await Promise.all(Array.from({ length: 30 }, family));
    await Promise.all(runs.flatMap((run) => [
      drive(run.tasks.filter((task) => task.run_id !== run.run_id)),
      fail(run.tasks.find((task) => task.run_id === run.run_id)!),
    ]));
    const ids = runs.map((run) => run.run_id);
    deepEqual(await statuses(ids), ["failed"]);
    ok((await childrenOf(ids)).every((status) => ["cancelled", "completed"].includes(status)));
    const [open] = await sql`select count(*)::int as n from public.mira_workflow_state
      where (id = any(${ids}::uuid[]) or parent_run_id = any(${ids}::uuid[]))
        and (due_at is not null or leased_at is not null)`;
    equal(open!.n, 0);
  },
);

race(
  "a run that fails does not wait for a child that somebody holds: the child is stopped afterwards",
  async () => {
    const run = await family();
    const [first] = run.tasks.filter((task) => task.run_id !== run.run_id);
    await sql.begin(async (held) => {
      await held`select from public.mira_workflow_state where id = ${first!.run_id} for update`;
      await fail(run.tasks.find((task) => task.run_id === run.run_id)!);
      deepEqual(await statuses([run.run_id]), ["failed"]);
      deepEqual(await statuses([first!.run_id]), ["running"]);
    });
    deepEqual(await childrenOf([run.run_id]), ["cancelled"]);
  },
);

race(
  "a signal meets the beginning of its wait: it is never lost and never counted twice",
  async () => {
    const wait = { name: "w", type: "wait", config: { signal: "go" } };
    const runs = await Promise.all(
      Array.from(
        { length: 80 },
        () => start([tool("a"), wait], [edge("start", "a"), edge("a", "w"), edge("w", "end")]),
      ),
    );
    await Promise.all(runs.flatMap((run) => [
      drive(run.tasks),
      sql`select public.mira_signal_run(null, ${run.run_id}, 'go', '1', 'once')`,
      sql`select public.mira_signal_run(null, ${run.run_id}, 'go', '1', 'once')`,
    ]));
    const ids = runs.map((run) => run.run_id);
    // a signal that came first left the run due; whoever claims ends it
    await sql`select public.mira_claim_tasks(200)`;
    deepEqual(await statuses(ids), ["completed"]);
  },
);

race("twelve claimers share a backlog: every run once", async () => {
  const runs = await Promise.all(
    Array.from(
      { length: 120 },
      () => start([tool("a")], [edge("start", "a"), edge("a", "end")], 0),
    ),
  );
  const claimed = (await Promise.all(Array.from({ length: 24 }, async () => {
    const [row] = await sql`select public.mira_claim_tasks(8) as reply`;
    return (row!.reply.tasks as Task[]).map((task) => task.run_id);
  }))).flat();
  equal(new Set(claimed).size, claimed.length, "nothing twice");
  const rest = (await sql`select public.mira_claim_tasks(200) as reply`)[0]!.reply.tasks as Task[];
  equal(claimed.length + rest.length, runs.length, "nothing lost");
});

race(
  "the same batch from two workers at once, in opposite orders: each step counts once",
  async () => {
    const runs = await Promise.all(
      Array.from({ length: 100 }, () => start([tool("a")], [edge("start", "a"), edge("a", "end")])),
    );
    const steps = runs.map(({ tasks: [task] }) => ({
      run_id: task!.run_id,
      epoch: task!.epoch,
      seq: task!.seq,
      outcome: { output: 1 },
    }));
    const [left, right] = await Promise.all(
      [steps, steps.toReversed()].map(async (batch) =>
        (await sql`select public.mira_advance_batch(${sql.json(batch)}) as replies`)[0]!
          .replies as { accepted: boolean }[]
      ),
    );
    equal(
      [...left!, ...right!].filter((reply) => reply.accepted).length,
      runs.length,
    );
    const [recorded] = await sql`select count(*)::int as n from private.run_steps s
    join public.mira_workflow_state r on r.number = s.run
    where r.id = any(${runs.map((run) => run.run_id)}::uuid[])`;
    equal(recorded!.n, runs.length);
  },
);

race(
  "sixty runs of one user spend their day at once: never more than it, and nearly all of it",
  async () => {
    const thinker = crypto.randomUUID();
    await sql`insert into auth.users (id) values (${thinker})`;
    await sql`insert into private.user_limits (user_id, day_tokens, day_cost_micros)
    values (${thinker}, 6000, 9000)`;
    const think = (name: string) => ({ name, type: "llm", config: { prompt: "x" } });
    const graph = {
      nodes: [...ends, think("a"), think("b")],
      edges: ["a", "b"].flatMap((name) => [edge("start", name), edge(name, "end")]),
    };
    const runs = await Promise.all(Array.from({ length: 60 }, async () => {
      const [row] = await sql`select public.mira_start_run(${thinker},
      p_workflow => ${sql.json(graph as never)}, p_options => '{"budget":{"tokens":150}}',
      p_lease_ms => 60000) as reply`;
      return row!.reply as Reply;
    }));
    const call = async (task: Task) => {
      for (;;) {
        const [row] = await sql`select public.mira_reserve_spend(${task.run_id}, ${task.seq}, -1,
        ${task.epoch}, 20, 80, 1, 2) as reply`;
        const { most, wait } = row!.reply as { most?: number; wait?: boolean };
        await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 10));
        if (wait) continue;
        const answer = Math.ceil((most ?? 0) * (0.3 + 0.7 * Math.random()));
        const outcome = most === undefined
          ? { error: { code: "budget_exceeded", message: "refused", retryable: false } }
          : {
            output: "x",
            usage: { input_tokens: 20, output_tokens: answer, cost_micros: 20 + 2 * answer },
          };
        await sql`select public.mira_advance(${task.run_id}, ${task.epoch}, ${task.seq},
        ${sql.json(outcome)})`;
        return;
      }
    };
    await Promise.all(runs.flatMap((run) => run.tasks.map(call)));
    const [spent] = await sql`select tokens::int, cost_micros::int from private.user_spend
    where user_id = ${thinker}`;
    ok(spent!.tokens <= 6000 && spent!.cost_micros <= 9000, JSON.stringify(spent));
    ok(spent!.tokens > 5800 || spent!.cost_micros > 8700, `left lying: ${JSON.stringify(spent)}`);
    const [over] = await sql`select count(*)::int as n from public.mira_workflow_state
    where user_id = ${thinker} and tokens_used > 150`;
    equal(over!.n, 0, "no run spent more than its own budget");
  },
);

race(
  "an account is deleted while its runs, its items and its agents are at work: nothing of it is left",
  async () => {
    const fan = { name: "m", type: "map", config: { items: "$.list", batch: 5, each: tool("x") } };
    const allowed = new Set(["23503", "PT404"]);
    const tolerated = async (work: () => Promise<unknown>) => {
      try {
        await work();
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        ok(allowed.has(code ?? ""), `${code} ${message}`);
      }
    };
    for (let round = 0; round < 25; round++) {
      const leaver = crypto.randomUUID();
      await sql`insert into auth.users (id, email) values (${leaver}, ${`${leaver}@example.com`})`;
      const begin = async (nodes: unknown[], edges: unknown[], input: unknown) => {
        const [row] = await sql`select public.mira_start_run(${leaver}, p_workflow => ${
          sql.json({ nodes: [...ends, ...nodes], edges } as never)
        }, p_input => ${sql.json(input as never)}, p_lease_ms => 60000) as reply`;
        return row!.reply as Reply;
      };
      const chain = [edge("start", "a"), edge("a", "b"), edge("b", "c"), edge("c", "end")];
      const runs = await Promise.all(
        [1, 2, 3].map(() => begin(["a", "b", "c"].map(tool), chain, {})),
      );
      const list = Array.from({ length: 40 }, (_, i) => i);
      const map = await begin([fan], [edge("start", "m"), edge("m", "end")], { list });
      type ItemTask = Task & { items?: { idx: number; attempt: number }[] };
      const items = async (task: ItemTask | undefined): Promise<void> => {
        if (task?.items === undefined) return;
        const results = task.items.map(({ idx, attempt }) => ({
          idx,
          attempt,
          output: idx,
          arguments: {},
          logs: [{ message: "item" }],
        }));
        const [row] = await sql`select public.mira_advance_items(${task.run_id},
          ${task.seq}, ${sql.json(results)}) as reply`;
        return await items(row!.reply.tasks[0]);
      };
      const outside = async () => {
        for (let i = 0; i < 10; i++) {
          const task = crypto.randomUUID();
          await sql`select public.insert_execution_logs(${
            sql.json([{ task_id: runs[0]!.run_id, message: "x" }, { task_id: task, message: "y" }])
          }, ${leaver})`;
          await sql`select public.insert_task_history('t', ${task}, p_user_id => ${leaver})`;
          await sql`select public.start_tool_execution('t', p_run_id => ${map.run_id}, p_user_id => ${leaver})`;
        }
      };
      const workflow = await activeWorkflow(leaver);
      const straight = async () => {
        for (let i = 0; i < 20; i++) {
          const [row] = await sql`select public.mira_start_run(${leaver}, ${workflow},
            p_lease_ms => 60000) as reply`;
          await drive(row!.reply.tasks);
        }
      };
      await Promise.all([
        ...runs.map((run) => tolerated(() => drive(run.tasks))),
        tolerated(() => items(map.tasks[0])),
        tolerated(outside),
        tolerated(straight),
        new Promise((resolve) => setTimeout(resolve, Math.random() * 40)).then(() =>
          sql`delete from auth.users where id = ${leaver}`
        ),
      ]);
      const [left] = await sql`select
        (select count(*) from public.execution_logs where user_id = ${leaver})::int as logs,
        (select count(*) from public.task_history where user_id = ${leaver})::int as tasks,
        (select count(*) from public.tool_executions where user_id = ${leaver})::int as tools,
        (select count(*) from public.workflow_executions where user_id = ${leaver})::int as ledger,
        (select count(*) from public.mira_workflow_state where user_id = ${leaver})::int as runs,
        (select count(*) from private.run_steps s where not exists (
          select from public.mira_workflow_state r where r.number = s.run))::int as steps,
        (select count(*) from private.run_items i where not exists (
          select from public.mira_workflow_state r where r.id = i.run_id))::int as items`;
      deepEqual({ ...left }, {
        logs: 0,
        tasks: 0,
        tools: 0,
        ledger: 0,
        runs: 0,
        steps: 0,
        items: 0,
      });
    }
  },
);
