/** learn-patterns through its public door. */

import assert from "node:assert/strict";
import { startStack, type TestStack, type TestUser } from "../../support/stack.ts";

const DAY = 86_400_000;
const START = Date.now() - 20 * DAY;

interface Sent {
  event_id: string;
  session_id: string;
  event_type: string;
  module: string;
  page: string;
  target?: string;
  payload?: Record<string, unknown>;
  occurred_at: string;
}

/** One session: events 5 s apart from `at` on. */
function session(at: number, events: Partial<Sent>[]): Sent[] {
  const session_id = crypto.randomUUID();
  return events.map((event, i) => ({
    event_id: crypto.randomUUID(),
    session_id,
    event_type: "click",
    module: "crm",
    page: "/leads",
    occurred_at: new Date(at + i * 5_000).toISOString(),
    ...event,
  }));
}

/** A day of somebody who opens a lead, notes a call and saves. */
function routine(day: number, customer = `c-${day}`): Sent[] {
  const noise = ["help", "bell", "menu", "theme"][day % 4]!;
  return session(START + day * DAY, [
    { event_type: "navigation", page: "/home", module: "app" },
    { target: noise },
    { target: "#new-call", payload: { customer } },
    {
      event_type: "input",
      target: "#outcome",
      payload: { control: "outcome", choice: "reached", customer },
    },
    ...(day % 2 === 0 ? [{ target: "#bell" }] : []),
    {
      event_type: "form_submit",
      target: "call-form",
      payload: { form: "call-form", ok: true, customer },
    },
    { event_type: "navigation", page: "/leads" },
  ]);
}

async function send(stack: TestStack, user: TestUser, events: Sent[]): Promise<void> {
  for (let i = 0; i < events.length; i += 500) {
    const response = await stack.fetch("/functions/v1/track-event", {
      as: user,
      json: { events: events.slice(i, i + 500) },
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { rejected } = await response.json();
    assert.deepEqual(rejected, []);
  }
}

async function post(
  stack: TestStack,
  path: string,
  as: TestUser | "cron" | "secret",
  json: unknown = {},
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const response = await stack.fetch(`/functions/v1/learn-patterns${path}`, { as, json });
  return { http: response.status, ...(await response.json()) };
}

// deno-lint-ignore no-explicit-any
async function patterns(user: TestUser): Promise<any[]> {
  const { data, error } = await user.client.from("mira_learned_patterns").select("*")
    .is("valid_to", null).order("pattern_type").order("pattern_key");
  assert.equal(error, null);
  return data!;
}

/** What must not depend on how the events arrived. */
// deno-lint-ignore no-explicit-any
const essence = (rows: any[]) =>
  rows.map((
    {
      pattern_type,
      pattern_key,
      variant,
      confidence,
      frequency,
      evidence,
      metadata,
      last_detected_at,
    },
  ) => (
    {
      pattern_type,
      pattern_key,
      variant,
      confidence,
      frequency,
      evidence,
      metadata,
      last_detected_at,
    }
  ));

function shuffled<T>(list: T[]): T[] {
  return list.map((value) => ({ value, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

Deno.test("learn-patterns", async (t) => {
  const stack = await startStack();
  try {
    const user = await stack.newUser();
    const events = Array.from({ length: 12 }, (_, day) => routine(day)).flat();

    await t.step("with nothing new it does nothing", async () => {
      const result = await post(stack, "/", user);
      assert.deepEqual(result, {
        http: 200,
        users: 0,
        events: 0,
        learned: { struggle: 0, preference: 0, workflow_habit: 0 },
        retired: 0,
        more: false,
      });
    });

    await t.step(
      "it finds the routine, noise inside and all, and the choice always made",
      async () => {
        await send(stack, user, events);
        const result = await post(stack, "/", user, { budget_ms: 10_000 });
        assert.equal(result.http, 200);
        assert.equal(result.users, 1);
        assert.equal(result.events, events.length);
        assert.equal(result.more, false);
        const rows = await patterns(user);
        const habit = rows.find((row) => row.pattern_type === "workflow_habit");
        assert.deepEqual(
          habit.metadata.sequence.slice(-4),
          [
            "click:crm:/leads##new-call",
            "input:crm:/leads##outcome",
            "form_submit:crm:/leads#call-form",
            "navigation:crm:/leads",
          ],
        );
        assert.equal(habit.frequency, 12);
        const preference = rows.find((row) => row.pattern_type === "preference");
        assert.equal(preference.metadata.value, "reached");
        const ids = new Set(events.map((e) => e.event_id));
        for (const row of rows) for (const id of row.evidence) assert.ok(ids.has(id));
      },
    );

    await t.step("learning again touches no row", async () => {
      const before = await stack.sql(
        "select xmin::text as x, * from mira_learned_patterns order by id",
      );
      const result = await post(stack, "/", user);
      assert.equal(result.users, 0);
      assert.deepEqual(
        await stack.sql("select xmin::text as x, * from mira_learned_patterns order by id"),
        before,
      );
    });

    await t.step("reading everything afresh gives the same", async () => {
      const before = essence(await patterns(user));
      await stack.service.rpc("mira_reset_learning", { p_user_id: user.id });
      const result = await post(stack, "/", user, { budget_ms: 10_000 });
      assert.deepEqual(result.learned, { struggle: 0, preference: 0, workflow_habit: 0 });
      assert.deepEqual(essence(await patterns(user)), before);
    });

    await t.step(
      "late, repeated and shuffled events in small batches converge to the same",
      async () => {
        const other = await stack.newUser();
        const ids = new Map(events.map((e) => [e.event_id, e]));
        const mixed = shuffled([...ids.values(), ...events.slice(0, 20)]);
        for (let i = 0; i < mixed.length; i += 17) {
          await send(stack, other, mixed.slice(i, i + 17));
          if (i % 34 === 0) await post(stack, "/", other);
        }
        let result;
        do result = await post(stack, "/", other, { budget_ms: 10_000 }); while (result.more);
        assert.deepEqual(essence(await patterns(other)), essence(await patterns(user)));
      },
    );

    await t.step("cron learns everybody, and parallel calls share the load", async () => {
      const people = await Promise.all(Array.from({ length: 4 }, () => stack.newUser()));
      for (const person of people) {
        await send(stack, person, shuffled(routine(1).concat(routine(2))));
      }
      const results = await Promise.all(
        [1, 2, 3].map(() => post(stack, "/", "cron", { budget_ms: 5_000 })),
      );
      assert.equal(results.reduce((sum, r) => sum + r.users, 0), 4);
      const left = await stack.sql("select count(*)::int as n from private.learner_queue");
      assert.equal(left[0].n, 0);
    });

    await t.step(
      "a struggle is found with its place in the habit, and resolved when it stops",
      async () => {
        const stuck = await stack.newUser();
        const rage = (day: number) => {
          const list = routine(day);
          const at = Date.parse(list[2]!.occurred_at);
          const clicks = [100, 300, 500].map((ms) => ({
            ...list[2]!,
            event_id: crypto.randomUUID(),
            occurred_at: new Date(at + ms).toISOString(),
          }));
          return [...list, ...clicks];
        };
        await send(stack, stuck, [0, 1, 2, 3, 4, 5, 6].flatMap(rage));
        await post(stack, "/", stuck, { budget_ms: 10_000 });
        const struggle = (await patterns(stuck)).find((row) => row.pattern_type === "struggle");
        assert.equal(struggle.metadata.kind, "rage");
        assert.equal(struggle.metadata.target, "#new-call");
        assert.equal(struggle.frequency, 7);
        const habit = (await patterns(stuck)).find((row) => row.pattern_type === "workflow_habit");
        const [place] = struggle.metadata.within;
        assert.equal(place.habit, habit.pattern_key);
        assert.equal(habit.metadata.sequence[place.step - 1], "click:crm:/leads##new-call");
        await send(
          stack,
          stuck,
          [7, 8, 9, 10, 11, 12, 13, 14, 15, 16].flatMap((day) => routine(day)),
        );
        const result = await post(stack, "/", stuck, { budget_ms: 10_000 });
        assert.equal(result.retired, 1);
        const { data } = await stuck.client.from("mira_learned_patterns").select("status,valid_to")
          .eq("id", struggle.id).single();
        assert.equal(data!.status, "retired");
        assert.ok(data!.valid_to);
      },
    );

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
      const [run] = await stack.sql(
        "insert into workflow_executions (user_id, workflow_id, current_state) values ($1, $2, 'running') returning id",
        [user.id, habit.workflow_id],
      );
      await stack.sql("update workflow_executions set current_state = 'failed' where id = $1", [
        run.id,
      ]);
      const [after] = (await patterns(user)).filter((row) => row.workflow_id !== null);
      assert.deepEqual([after.run_count, after.run_successes], [2, 1]);
      assert.ok(after.confidence < habit.confidence);
      const [moved] = await stack.sql("select confidence from behavior_patterns where id = $1", [
        habit.behavior_pattern_id,
      ]);
      assert.ok(moved.confidence < pattern.confidence);
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

    await t.step(
      "a learner that comes back late is refused and leaves nothing behind",
      async () => {
        const late = await stack.newUser();
        await send(stack, late, routine(3));
        const { data: begun } = await stack.service.rpc("mira_begin_learning", {
          p_user_id: late.id,
        });
        await stack.sql(
          "update private.learner_queue set leased_until = now() - interval '1 second' where user_id = $1",
          [late.id],
        );
        const { data: second } = await stack.service.rpc("mira_begin_learning", {
          p_user_id: late.id,
        });
        assert.ok(second.fence > begun.fence);
        const commit = (fence: number) =>
          stack.service.rpc("mira_commit_learning", {
            p_user_id: late.id,
            p_fence: fence,
            p_watermark: begun.watermark,
            p_ranges: begun.ranges,
            p_digests: [],
            p_patterns: [],
            p_contribution: {},
          });
        assert.equal((await commit(begun.fence)).error?.message, "lease_lost");
        assert.equal((await commit(second.fence)).error, null);
      },
    );

    await t.step("deleting a user takes their part out of everybody's counts", async () => {
      const total = async () =>
        (await stack.sql("select coalesce(sum(n), 0)::int as n from private.learner_population"))[0]
          .n;
      const before = await total();
      const leaving = await stack.newUser();
      await send(stack, leaving, routine(4));
      await post(stack, "/", leaving);
      assert.ok(await total() > before);
      await stack.sql("delete from auth.users where id = $1", [leaving.id]);
      assert.equal(await total(), before);
    });
  } finally {
    await stack.close();
  }
});
