/** A round of learning: what it finds, that it can be repeated, interrupted, shared and undone. */

import assert from "node:assert/strict";
import { startStack } from "../../support/stack.ts";
import { patterns, post, routine, send } from "./people.ts";

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

Deno.test("a round of learning", async (t) => {
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
