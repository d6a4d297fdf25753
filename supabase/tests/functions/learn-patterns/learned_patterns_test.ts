/** What becomes of a learned pattern: a person's word on it, a prediction, a draft, its runs. */

import assert from "node:assert/strict";
import type { Task } from "../../../../functions-shared/runner/engine.ts";
import { startStack, type TestUser } from "../../support/stack.ts";
import { DAY, patterns, post, routine, send, session, START } from "./people.ts";

Deno.test("what becomes of a learned pattern", async (t) => {
  const stack = await startStack();
  try {
    const user = await stack.newUser();
    const events = Array.from({ length: 12 }, (_, day) => routine(day)).flat();
    await send(stack, user, events);
    await post(stack, "/", user, { budget_ms: 10_000 });

    await t.step("a dismissed pattern stays dismissed, a pinned one stays", async () => {
      const [habit] = (await patterns(user)).filter((row) => row.pattern_type === "workflow_habit");
      assert.equal(
        (await post(stack, `/${habit.id}/status`, user, { status: "dismissed" })).http,
        200,
      );
      await send(stack, user, routine(13));
      await post(stack, "/", user, { budget_ms: 10_000 });
      const rows = (await patterns(user)).filter((row) => row.pattern_type === "workflow_habit");
      assert.deepEqual(rows.map((row) => [row.id, row.status]), [[habit.id, "dismissed"]]);
      const stranger = await stack.newUser();
      const refused = await post(stack, `/${habit.id}/status`, stranger, { status: "pinned" });
      assert.equal(refused.http, 404);
      assert.equal(refused.code, "pattern_not_found");
      assert.equal(
        (await post(stack, `/${habit.id}/status`, user, { status: "active" })).http,
        200,
      );
    });

    await t.step("the next action of a live session is the habit's next step", async () => {
      const live = session(START + 15 * DAY, [
        { event_type: "navigation", page: "/home", module: "app" },
        { target: "menu" },
        { target: "#new-call", payload: { customer: "c-15" } },
      ]);
      await send(stack, user, live);
      const result = await post(stack, "/next", user, { session_id: live[0]!.session_id });
      assert.equal(result.actions[0].action, "input:crm:/leads##outcome");
      assert.ok(result.actions[0].probability > 0.5);
      assert.equal(result.habits[0].next, "input:crm:/leads##outcome");
    });

    await t.step(
      "a habit becomes a draft that is tested on sessions it was not made from",
      async () => {
        const [habit] = (await patterns(user)).filter((row) =>
          row.pattern_type === "workflow_habit"
        );
        const promoted = await post(stack, `/${habit.id}/promote`, user, { name: "Log a call" });
        assert.equal(promoted.http, 201, JSON.stringify(promoted));
        assert.equal(promoted.dry_run.share, 1);
        assert.equal(promoted.dry_run.sessions, 3);
        const { data: workflow } = await user.client.from("mira_workflows").select("*").eq(
          "id",
          promoted.workflow_id,
        ).single();
        assert.equal(workflow!.is_active, false);
        assert.deepEqual(Object.keys(workflow!.input_schema.properties), ["customer"]);
        const { data: nodes } = await user.client.from("mira_workflow_nodes").select(
          "type,config,position_x",
        )
          .eq("workflow_id", promoted.workflow_id).order("position_x");
        const tools = nodes!.filter((node) => node.type === "tool");
        assert.equal(tools.length, habit.metadata.sequence.length);
        const customer = tools.map((node) => node.config.arguments.parameters.customer).filter(
          Boolean,
        );
        assert.equal(customer[0], "{{customer}}");
        assert.match(customer[1], /^\{\{step_\d+\.parameters\.customer\}\}$/);
        const { data: pattern } = await user.client.from("behavior_patterns").select(
          "context,actions",
        )
          .eq("id", promoted.behavior_pattern_id).single();
        assert.equal(pattern!.context.learned_pattern_id, habit.id);
        assert.deepEqual(
          pattern!.actions.map((action: { name: string }) => action.name),
          habit.metadata.sequence,
        );
        const again = await post(stack, `/${habit.id}/promote`, user);
        assert.equal(again.workflow_id, promoted.workflow_id);
        const { error } = await user.client.from("mira_workflows").update({ is_active: true }).eq(
          "id",
          promoted.workflow_id,
        );
        assert.equal(error, null);
      },
    );

    await t.step(
      "its workflow runs, with the values carried over, and a good end counts",
      async () => {
        const [habit] = (await patterns(user)).filter((row) => row.workflow_id !== null);
        const response = await stack.fetch("/functions/v1/run-workflow", {
          as: user,
          json: { workflow_id: habit.workflow_id, input: { customer: "c-77" } },
        });
        const run = await response.json();
        assert.equal(response.status, 200, JSON.stringify(run));
        assert.equal(run.status, "completed", JSON.stringify(run));
        const values = Object.entries(run.state).filter(([key]) => key.startsWith("step_"))
          .map(([, step]) =>
            (step as { parameters: Record<string, unknown> }).parameters["customer"]
          )
          .filter((value) => value !== undefined);
        assert.deepEqual(new Set(values), new Set(["c-77"]));
        const [after] = (await patterns(user)).filter((row) => row.workflow_id !== null);
        assert.deepEqual([after.run_count, after.run_successes], [1, 1]);
        assert.ok(after.confidence > habit.confidence);
      },
    );

    await t.step("how its runs end moves the confidence of habit and pattern", async () => {
      const [habit] = (await patterns(user)).filter((row) => row.workflow_id !== null);
      const [pattern] = await stack.sql("select confidence from behavior_patterns where id = $1", [
        habit.behavior_pattern_id,
      ]);
      const start = async () => {
        const [{ reply }] = await stack.sql(
          `select mira_start_run($1, $2, p_input => '{"customer":"c-1"}', p_lease_ms => 60000) as reply`,
          [user.id, habit.workflow_id],
        );
        return reply;
      };
      const report = async (run_id: string, task: Task, outcome: unknown) => {
        const step = { run_id, epoch: task.epoch, seq: task.seq, outcome };
        const [{ replies }] = await stack.sql(
          "select mira_advance_batch($1::text::jsonb) as replies",
          [
            JSON.stringify([step]),
          ],
        );
        return replies[0];
      };
      const failing = await start();
      const failed = await report(failing.run_id, failing.tasks[0], {
        error: { code: "gone", message: "It is gone.", retryable: false },
      });
      assert.equal(failed.status, "failed");
      const [after] = (await patterns(user)).filter((row) => row.workflow_id !== null);
      assert.deepEqual([after.run_count, after.run_successes], [2, 1]);
      assert.ok(after.confidence < habit.confidence);
      const [moved] = await stack.sql("select confidence from behavior_patterns where id = $1", [
        habit.behavior_pattern_id,
      ]);
      assert.ok(moved.confidence < pattern.confidence);

      let reply = await start();
      while (reply.tasks.length > 0) {
        reply = await report(reply.run_id, reply.tasks[0], { output: { parameters: {} } });
      }
      assert.equal(reply.status, "completed");
      const [again] = (await patterns(user)).filter((row) => row.workflow_id !== null);
      assert.deepEqual([again.run_count, again.run_successes], [3, 2]);
      assert.ok(again.confidence > after.confidence);
    });

    await t.step("struggles across users show no group under five people", async () => {
      const insert = (user: string, n: number) =>
        stack.sql(
          `insert into mira_learned_patterns (pattern_type, user_id, module, pattern_key, frequency, metadata)
           select 'struggle', $1, 'billing', 'k' || g, 2, jsonb_build_object('kind', 'rage', 'page', '/pay', 'target', 't' || g)
           from generate_series(1, $2::int) g`,
          [user, n],
        );
      const people = await Promise.all(Array.from({ length: 5 }, () => stack.newUser()));
      for (const [i, person] of people.entries()) await insert(person.id, i === 0 ? 2 : 1);
      const get = (as: "secret" | TestUser) =>
        stack.fetch("/functions/v1/learn-patterns/struggles?module=billing", { as });
      const { struggles } = await (await get("secret")).json();
      assert.deepEqual(
        struggles.map((s: { target: string | null; users: number }) => [s.target, s.users]),
        [[null, 5], ["t1", 5]],
      );
      assert.equal((await get(user)).status, 401);
    });

    await t.step(
      "a person cannot learn for somebody else, write patterns or reach the learner's functions",
      async () => {
        const stranger = await stack.newUser();
        assert.equal((await post(stack, "/", stranger, { user_id: user.id })).http, 403);
        assert.deepEqual(
          (await stranger.client.from("mira_learned_patterns").select("id").eq("user_id", user.id))
            .data,
          [],
        );
        const { error } = await stranger.client.from("mira_learned_patterns").update({
          confidence: 1,
        }).eq("user_id", stranger.id);
        assert.equal(error?.code, "42501");
        const begun = await stranger.client.rpc("mira_begin_learning", {});
        assert.ok(begun.error);
        assert.equal((await post(stack, `/${crypto.randomUUID()}/promote`, stranger)).http, 404);
      },
    );
  } finally {
    await stack.close();
  }
});
