import assert from "node:assert/strict";
import { readEvents } from "../../support/sse.ts";
import type { TestUser } from "../../support/stack.ts";
import { ann, BASE, ben, stack } from "./record_stack.ts";

// sockets end before the stack does: hooks run last come, first served
Deno.test.afterAll(async () => {
  await Promise.all([ann, ben].map((user) => user.client.removeAllChannels()));
  for (const user of [ann, ben]) await user.client.realtime.disconnect();
});

const write = async (task_id: string, messages: string[], as: TestUser = ann) => {
  const logs = messages.map((message) => ({ task_id, agent_type: "worker", message }));
  const response = await stack.fetch(`${BASE}/`, { method: "POST", as, json: { logs } });
  assert.equal(response.status, 201, await response.clone().text());
  return (await response.json()).logs.map((log: { seq: number }) => log.seq) as number[];
};
const startTask = async () => {
  const response = await stack.fetch(`${BASE}/tasks`, {
    as: ann,
    json: { description: "Watched" },
  });
  return (await response.json()).task_id as string;
};
const finish = (task: string, status = "completed") =>
  stack.fetch(`${BASE}/tasks/${task}`, { method: "PATCH", as: ann, json: { status } })
    .then((response) => response.body?.cancel());
const watch = (task: string, as: TestUser, headers = {}) =>
  stack.fetch(`${BASE}/stream?task_id=${task}`, { as, headers });
const until = async (isSo: () => boolean, ms = 10_000) => {
  for (const end = Date.now() + ms; !isSo() && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(isSo(), "it did not happen in time");
};

Deno.test("a stream replays what was, follows what comes, and ends with the task", async () => {
  const task = await startTask();
  await write(task, ["before 1", "before 2"]);
  const response = await watch(task, ann);
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const heard: string[] = [];
  for await (const { id, event, data } of readEvents(response)) {
    if (event === "end") {
      assert.deepEqual(data, { status: "completed" });
      heard.push("end");
      continue;
    }
    assert.equal(event, "log");
    assert.equal(id, String(data.seq));
    heard.push(data.message);
    if (data.message === "before 2") await write(task, ["after 1"]);
    if (data.message === "after 1") {
      await write(task, ["after 2"]);
      await finish(task);
    }
  }
  assert.deepEqual(heard, ["before 1", "before 2", "after 1", "after 2", "end"]);
});

Deno.test("a stream resumes after Last-Event-ID, by header or by query", async () => {
  const task = await startTask();
  const seqs = await write(task, ["1", "2", "3", "4"]);
  await finish(task, "failed");
  for (
    const response of [
      await watch(task, ann, { "last-event-id": String(seqs[1]) }),
      await stack.fetch(`${BASE}/stream?task_id=${task}&last_event_id=${seqs[1]}`, { as: ann }),
    ]
  ) {
    const heard: unknown[] = [];
    for await (const { event, data } of readEvents(response)) {
      heard.push(event === "end" ? data.status : data.message);
    }
    assert.deepEqual(heard, ["3", "4", "failed"]);
  }
});

Deno.test("a hundred viewers, early and late, hear a thousand lines once and in order", async () => {
  const task = await startTask();
  const hear = async () => {
    const heard: string[] = [];
    for await (const { event, data } of readEvents(await watch(task, ann))) {
      heard.push(event === "end" ? "end" : data.message);
    }
    return heard;
  };
  const early = Array.from({ length: 50 }, hear);
  const expected: string[] = [];
  const late: Promise<string[]>[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const messages = Array.from({ length: 60 }, (_, i) => `${batch}.${i}`);
    expected.push(...messages);
    await write(task, messages);
    if (batch % 4 === 3) late.push(...Array.from({ length: 10 }, hear));
  }
  await finish(task);
  for (const heard of await Promise.all([...early, ...late])) {
    assert.deepEqual(heard, [...expected, "end"]);
  }
});

Deno.test("nobody hears another person's task", async () => {
  const task = await startTask();
  const response = await watch(task, ben);
  const heard: string[] = [];
  const listening = (async () => {
    for await (const { data } of readEvents(response)) heard.push(data.message);
  })();
  await write(task, ["private"]);
  await write(task, ["ben's own"], ben);
  await until(() => heard.length > 0);
  await response.body?.cancel().catch(() => {});
  assert.deepEqual(heard, ["ben's own"]);
  listening.catch(() => {});
});

Deno.test("seed 004's snippet hears inserts under the subscriber's own rights, once and in order", async () => {
  const heard = new Map<TestUser, string[]>([[ann, []], [ben, []]]);
  const channels = await Promise.all(
    [ann, ben].map((user) =>
      new Promise<ReturnType<TestUser["client"]["channel"]>>((resolve, reject) => {
        const channel = user.client
          .channel("execution_logs")
          .on(
            "postgres_changes",
            { event: "INSERT", schema: "public", table: "execution_logs" },
            (payload) => {
              assert.equal(payload.eventType, "INSERT");
              assert.equal(payload.new["user_id"], user.id);
              assert.deepEqual(payload.new["metadata"], {});
              heard.get(user)!.push(payload.new["message"]);
            },
          )
          .subscribe((status, error) => {
            if (status === "SUBSCRIBED") resolve(channel);
            else if (error) reject(error);
          });
      })
    ),
  );
  const task = crypto.randomUUID();
  const messages = Array.from({ length: 120 }, (_, i) => `line ${i}`);
  await write(task, messages.slice(0, 100));
  await write(task, ["ben's"], ben);
  await write(task, messages.slice(100));
  await until(() => heard.get(ann)!.length >= 120 && heard.get(ben)!.length >= 1);
  assert.deepEqual(heard.get(ann), messages);
  assert.deepEqual(heard.get(ben), ["ben's"]);
  await Promise.all(channels.map((channel) => channel.unsubscribe()));
});

Deno.test("a filter narrows a subscription to one task", async () => {
  const task = crypto.randomUUID();
  const heard: string[] = [];
  const channel = ann.client.channel("one-task");
  await new Promise<void>((resolve) => {
    channel.on(
      "postgres_changes",
      { event: "*", schema: "public", table: "execution_logs", filter: `task_id=eq.${task}` },
      (payload) => heard.push((payload.new as { message: string }).message),
    ).subscribe((status) => status === "SUBSCRIBED" && resolve());
  });
  await write(crypto.randomUUID(), ["other"]);
  await write(task, ["this"]);
  await until(() => heard.length > 0);
  assert.deepEqual(heard, ["this"]);
  await channel.unsubscribe();
});

Deno.test("the private topic broadcasts to its owner and refuses everybody else", async () => {
  const heard: string[] = [];
  const mine = ann.client.channel(`user:${ann.id}:executions`, { config: { private: true } });
  await new Promise<void>((resolve) => {
    mine.on("broadcast", { event: "execution_logs" }, ({ payload }) => {
      for (const log of payload["logs"]) heard.push(log.message);
    }).subscribe((status) => status === "SUBSCRIBED" && resolve());
  });
  await write(crypto.randomUUID(), ["a", "b"]);
  await until(() => heard.length >= 2);
  assert.deepEqual(heard, ["a", "b"]);
  const spy = ben.client.channel(`user:${ann.id}:executions`, { config: { private: true } });
  const refusal = await new Promise<Error | undefined>((resolve) => {
    spy.subscribe((status, error) => {
      if (status === "SUBSCRIBED") resolve(undefined);
      if (status === "CHANNEL_ERROR") resolve(error);
    });
  });
  assert.match(String(refusal), /Unauthorized/);
  await Promise.all([mine.unsubscribe(), spy.unsubscribe()]);
});

Deno.test("tables that are not published are named in a system message", async () => {
  const channel = ann.client.channel("others");
  const message = await new Promise<string>((resolve) => {
    channel
      .on("system", {}, (payload) => resolve(`${payload.status}: ${payload.message}`))
      .on(
        "postgres_changes",
        { event: "INSERT", schema: "public", table: "user_tokens" },
        () => resolve("heard"),
      )
      .subscribe();
  });
  assert.match(message, /^error: .*execution_logs only/);
  await channel.unsubscribe();
});
