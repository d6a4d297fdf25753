import assert from "node:assert/strict";
import type { ExecutionLog } from "../../../../functions-shared/contracts/log_execution.ts";
import { LogFollower, type Watch } from "../../../../functions-shared/record/follow_logs.ts";

const WATCH = { user_id: "u", task_id: "t", after: 0 };

/** A task in memory: lines 1…n and a status. */
function fakeTask() {
  const task = { lines: 0, status: "running" as string | null, polls: 0, failures: 0 };
  const read = (watch: Watch, limit: number) =>
    Array.from(
      { length: Math.min(limit, Math.max(0, task.lines - watch.after)) },
      (_, i) => ({ seq: watch.after + i + 1, message: `${watch.after + i + 1}` }) as ExecutionLog,
    );
  const follower = new LogFollower(
    (watches, limit) => {
      task.polls++;
      if (task.failures-- > 0) return Promise.reject(new Error("the database is restarting"));
      return Promise.resolve(
        watches.map((watch) => ({ ...watch, status: task.status, logs: read(watch, limit) })),
      );
    },
    (watch, limit) => Promise.resolve(read(watch, limit)),
  );
  return { task, follower };
}

async function hear(follower: LogFollower, after = 0, stop = new AbortController()) {
  const heard: number[] = [];
  const following = follower.follow({ ...WATCH, after }, stop.signal);
  for (;;) {
    const { done, value } = await following.next();
    if (done) return { heard, status: value };
    heard.push(...(value as ExecutionLog[]).map((line) => line.seq));
  }
}

const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);

Deno.test("viewers far behind the shared window catch up by pages and miss nothing", async () => {
  const { task, follower } = fakeTask();
  task.lines = 5000;
  const first = hear(follower, 4900);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const late = hear(follower);
  task.lines = 9000;
  follower.poke();
  await new Promise((resolve) => setTimeout(resolve, 50));
  task.lines = 9001;
  task.status = "completed";
  assert.deepEqual(await first, { heard: upTo(9001, 4901), status: "completed" });
  assert.deepEqual(await late, { heard: upTo(9001), status: "completed" });
});

Deno.test("the end is told only after the last line", async () => {
  const { task, follower } = fakeTask();
  task.lines = 1700;
  task.status = "failed";
  assert.deepEqual(await hear(follower), { heard: upTo(1700), status: "failed" });
});

Deno.test("a failing poll delays viewers and loses nothing", async () => {
  const { task, follower } = fakeTask();
  task.failures = 3;
  const viewer = hear(follower);
  task.lines = 10;
  task.status = "completed";
  assert.deepEqual(await viewer, { heard: upTo(10), status: "completed" });
});

Deno.test("a hundred viewers cost the polls of one, and none when they have left", async () => {
  const { task, follower } = fakeTask();
  const stop = new AbortController();
  const viewers = Array.from({ length: 100 }, () => hear(follower, 0, stop));
  for (let n = 1; n <= 10; n++) {
    task.lines += 10;
    follower.poke();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(task.polls < 40, `${task.polls} polls`);
  stop.abort();
  for (const { heard } of await Promise.all(viewers)) assert.deepEqual(heard, upTo(100));
  await new Promise((resolve) => setTimeout(resolve, 600));
  const { polls } = task;
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(task.polls, polls);
});
