/** `POST /learn-patterns/next`: from one's own sessions, and from counts of what everybody does. */

import assert from "node:assert/strict";
import { token } from "../../../../functions-shared/behaviour/normalise.ts";
import type { BehaviourEvent } from "../../../../functions-shared/behaviour/types.ts";
import { startStack, type TestStack, type TestUser } from "../../support/stack.ts";

const DAY = 86_400_000;
const START = Date.now() - 30 * DAY;

interface Sent extends Omit<BehaviourEvent, "at"> {
  occurred_at: string;
}

/** A session of clicks on `targets`, 5 s apart. */
function clicks(day: number, targets: readonly string[], page = "/leads"): Sent[] {
  const session_id = crypto.randomUUID();
  return targets.map((target, i) => ({
    event_id: crypto.randomUUID(),
    session_id,
    event_type: "click",
    module: "crm",
    page,
    target,
    occurred_at: new Date(START + day * DAY + i * 5_000).toISOString(),
  }));
}

async function post(stack: TestStack, path: string, as: TestUser, json: unknown) {
  const response = await stack.fetch(`/functions/v1/${path}`, { as, json });
  assert.equal(response.status, 200, await response.clone().text());
  return await response.json();
}

const send = (stack: TestStack, user: TestUser, events: Sent[]) =>
  post(stack, "track-event", user, { events });
const learn = (stack: TestStack, user: TestUser) => post(stack, "learn-patterns", user, {});

async function next(stack: TestStack, user: TestUser, live: Sent[]): Promise<string[]> {
  if (live.length > 0) await send(stack, user, live);
  const { actions } = await post(stack, "learn-patterns/next", user, {
    session_id: live[0]?.session_id ?? crypto.randomUUID(),
  });
  return actions.map((a: { target: string }) => a.target);
}

/** Everybody's counts that differ from a count of the sessions the learner keeps. */
const wrongCounts = (stack: TestStack) =>
  stack.sql(`
    with counted as (
      select s.user_id, private.next_context(c.before) as context, c.action, count(*) as n
      from private.learner_sessions s, private.next_contexts(s.digest -> 'tokens') c
      group by s.user_id, c.before, c.action
    ), everybody as (
      select c.context, c.action, count(*)::int as users, sum(c.n)::int as n
      from counted c group by c.context, c.action
    )
    select context::text, action, e.users, e.n, p.users as said_users, p.n as said_n
    from everybody e full join private.next_population p using (context, action)
    where (e.users, e.n) is distinct from (p.users, p.n::int)`);

Deno.test("the next action", async (t) => {
  const stack = await startStack();
  try {
    const ann = await stack.newUser();
    const round = ["open", "call", "note", "save"];

    await t.step("who is new, among people who are new, is told nothing", async () => {
      assert.deepEqual(await next(stack, ann, clicks(0, ["open"])), []);
    });

    await t.step("what follows what is learned, and an interruption does not hide it", async () => {
      for (let day = 1; day <= 6; day++) {
        const rest = day % 2 === 0 ? ["bell"] : ["help", "menu"];
        await send(stack, ann, [...clicks(day, round), ...clicks(day + 0.1, rest)]);
      }
      await learn(stack, ann);
      assert.equal((await next(stack, ann, clicks(8, ["open", "call"])))[0], "note");
      assert.equal((await next(stack, ann, clicks(9, ["open", "call", "bell"])))[0], "note");
      assert.equal((await next(stack, ann, []))[0], "open", "a session that has not begun");
    });

    await t.step("late, doubled and shuffled events leave everybody's counts exact", async () => {
      const events = [
        ...clicks(2.2, [...round, "print"]),
        ...clicks(3.2, ["menu", ...round]),
        ...clicks(4.2, round),
      ].sort((a, b) => a.event_id < b.event_id ? -1 : 1);
      for (let i = 0; i < events.length; i += 3) {
        await send(stack, ann, events.slice(i, i + 3));
        if (i % 2 === 0) await send(stack, ann, events.slice(i, i + 3));
        await learn(stack, ann);
      }
      assert.deepEqual(await wrongCounts(stack), []);
      await stack.sql("select private.reset_learning($1)", [ann.id]);
      assert.deepEqual(await wrongCounts(stack), []);
      while ((await learn(stack, ann)).more);
      assert.deepEqual(await wrongCounts(stack), []);
    });

    await t.step("the newest 400 sessions count, older ones are taken out again", async () => {
      const many = await stack.newUser();
      for (let part = 0; part < 5; part++) {
        const events = Array.from(
          { length: 90 },
          (_, i) => clicks((part * 90 + i) / 20, ["a", `b${part}`, "c"]),
        ).flat();
        await send(stack, many, events);
        if (part % 2 === 0) { while ((await learn(stack, many)).more); }
      }
      while ((await learn(stack, many)).more);
      const [counted] = await stack.sql(
        `select sum(n)::int as n from private.next_population
         where context = private.next_context('') and action ~ '#(a|b[0-4]|c)$'`,
      );
      assert.equal(counted.n, 1_200);
      assert.deepEqual(await wrongCounts(stack), []);
    });

    await t.step("everybody's ways show from five others on, not from four", async () => {
      const cold = await stack.newUser();
      for (let n = 1; n <= 5; n++) {
        assert.deepEqual(await next(stack, cold, clicks(20, ["start"], "/shop")), []);
        const other = await stack.newUser();
        await send(stack, other, clicks(n, ["start", "basket", `secret-${n}`], "/shop"));
        await learn(stack, other);
      }
      const seen = await next(stack, cold, clicks(21, ["start"], "/shop"));
      assert.equal(seen[0], "basket");
      assert.ok(!seen.some((target) => target.startsWith("secret")), seen.join());
    });

    await t.step("one's own part does not help others over the threshold", async () => {
      const people = await Promise.all(Array.from({ length: 5 }, () => stack.newUser()));
      for (const person of people) {
        await send(stack, person, clicks(3, ["tea", "cup"], "/bar"));
        await learn(stack, person);
      }
      const live = clicks(22, ["tea"], "/bar");
      await send(stack, people[0]!, live);
      const [shown] = await stack.sql("select private.read_next($1, $2) -> 'all' -> 'one' as f", [
        people[0]!.id,
        live[0]!.session_id,
      ]);
      assert.deepEqual(shown.f, []);
    });

    await t.step(
      "another person's session says nothing, and nobody reads what the server reads",
      async () => {
        const stranger = await stack.newUser();
        const live = clicks(11, ["open", "call"]);
        await send(stack, ann, live);
        const answer = await post(stack, "learn-patterns/next", stranger, {
          session_id: live[0]!.session_id,
        });
        assert.ok(!answer.actions.some((a: { target: string }) => a.target === "note"));
        assert.deepEqual(answer.habits, []);
        const { error } = await stranger.client.rpc("mira_read_next", {
          p_user_id: ann.id,
          p_session_id: live[0]!.session_id,
        });
        assert.equal(error?.code, "42501");
      },
    );

    await t.step("the database names live actions as the learner does", async () => {
      const pages = [
        ..."/leads/42|/leads/42/edit?tab=1#x|/|//|/a/|/a//|/A%20b/9f8e7d6c5b4a3|".split("|"),
        "/x/3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        "/x/pre-3f2504e0-4f89-11d3-9a0c-0305e82c3301-post/1a",
        "/o/V1StGXR8_Z5jdHi6B-myT/deadbeefcafe1/abcdefabcdefabc",
        "no/slash?q=/1/2",
        "/ümlaut/٣/12 ",
      ].filter((page) => page !== "");
      const targets = [
        undefined,
        "#save",
        "row-12345-x",
        "a1234b",
        "id-3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "DEADBEEF-1",
      ];
      for (const page of pages) {
        for (const target of targets) {
          for (const event_type of ["click", "form_submit", "error", "page_leave"]) {
            const payload = event_type === "form_submit" ? { form: "f 123456" } : {};
            const event = { event_id: "", session_id: "", module: "m", at: 0, page, target };
            const [named] = await stack.sql(
              "select private.action_name($1, 'm', $2, $3, $4) as name",
              [event_type, page, target ?? null, payload.form ?? null],
            );
            assert.equal(
              named.name,
              token({ ...event, event_type, payload }) ?? null,
              `${event_type} ${page} ${target}`,
            );
          }
        }
      }
    });

    await t.step("a live session reads as its digest will", async () => {
      const person = await stack.newUser();
      const events = clicks(5, ["a", "a", "b", "b", "a", "c"]);
      events.push(
        { ...events[0]!, event_id: crypto.randomUUID(), event_type: "navigation", target: null },
        { ...events[2]!, event_id: crypto.randomUUID(), event_type: "error" },
        // after a pause: another digest
        ...clicks(5.1, ["d", "d", "e"]).map((e) => ({ ...e, session_id: events[0]!.session_id })),
      );
      await send(stack, person, events);
      await learn(stack, person);
      const [read] = await stack.sql(
        `select to_jsonb(private.live_actions(s.user_id, s.session_id)) as live, s.digest -> 'tokens' as digest
         from private.learner_sessions s where s.user_id = $1 order by s.started_at desc limit 1`,
        [person.id],
      );
      assert.deepEqual(read.live, read.digest);
      assert.equal(read.live.length, 2);
    });

    await t.step(
      "trust in the experts is kept, and a session of the same day leaves it alone",
      async () => {
        const person = await stack.newUser();
        const kept = async () => {
          const [state] = await stack.sql(
            "select next_model as model, xmin::text as version from private.learner_state where user_id = $1",
            [person.id],
          );
          return state;
        };
        for (let day = 1; day <= 6; day++) {
          const sessions = Array.from({ length: 8 }, (_, i) => clicks(day + i / 100, round));
          await send(stack, person, [...sessions, clicks(day + 0.09, ["help", "bell"])].flat());
        }
        await learn(stack, person);
        const first = await kept();
        assert.ok(first.model.weights.length >= 20 && first.model.algorithm !== "");
        await learn(stack, person);
        assert.deepEqual(await kept(), first, "nothing new touches nothing");
        await send(stack, person, clicks(6.1, ["open", "print"]));
        await learn(stack, person);
        assert.deepEqual((await kept()).model, first.model);
        await send(stack, person, clicks(8, round));
        await learn(stack, person);
        assert.notEqual((await kept()).model.of, first.model.of);
      },
    );

    await t.step(
      "the live session, as far as it was learned, is no evidence for itself",
      async () => {
        const person = await stack.newUser();
        const live = clicks(12, ["one", "two"], "/own");
        await send(stack, person, live);
        const asked = () =>
          stack.sql("select private.read_next($1, $2) -> 'sessions' as sessions", [
            person.id,
            live[0]!.session_id,
          ]);
        await learn(stack, person);
        assert.deepEqual((await asked())[0].sessions, []);
        await send(stack, person, clicks(13, ["three"], "/own"));
        await learn(stack, person);
        assert.deepEqual((await asked())[0].sessions, [["click:crm:/own#three"]]);
      },
    );

    await t.step(
      "a deleted account leaves everybody's counts, and nothing of its own in them",
      async () => {
        const before = await stack.sql(
          "select count(*)::int, sum(n)::int, sum(users)::int from private.next_population",
        );
        const leaving = await stack.newUser();
        await send(stack, leaving, clicks(4, ["open", "only-mine", "save"]));
        await learn(stack, leaving);
        await stack.sql("delete from auth.users where id = $1", [leaving.id]);
        assert.deepEqual(await wrongCounts(stack), []);
        assert.deepEqual(
          await stack.sql(
            "select count(*)::int, sum(n)::int, sum(users)::int from private.next_population",
          ),
          before,
        );
      },
    );
  } finally {
    await stack.close();
  }
});
