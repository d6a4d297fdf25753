import assert from "node:assert/strict";
import type { Reply, Step, Task } from "../../../../functions-shared/runner/engine.ts";
import type { RunnerHost } from "../../../../functions-shared/runner/tools/tool.ts";
import { startLlmServer } from "../../support/llm_server.ts";
import { runTasks } from "../../../../functions-shared/runner/worker.ts";

// deno-lint-ignore no-explicit-any
type Args = Record<string, any>;
type Answer = { data?: unknown; error?: { code?: string; message: string } };

/** A host whose database is a table of answers by function; everything asked is written down. */
function fakeHost(answers: Record<string, (args: Args, nth: number) => Answer>) {
  const asked: { name: string; args: Record<string, unknown> }[] = [];
  const unknown: unknown[] = [];
  const host = {
    admin: {
      rpc: (name: string, args: Args) => ({
        abortSignal: async () => {
          const nth = asked.filter((one) => one.name === name).length;
          asked.push({ name, args });
          await new Promise((resolve) => setTimeout(resolve, 5));
          const { data = null, error = null } = answers[name]?.(args, nth) ?? {};
          return { data, error };
        },
      }),
      from: () => ({
        select: () => ({
          eq: () => ({
            abortSignal: () =>
              Promise.resolve({
                data: [{
                  name: "compose",
                  schema: { type: "object" },
                  function_path: "internal:compose",
                  is_enabled: true,
                  options: {},
                }],
                error: null,
              }),
          }),
        }),
      }),
    },
    read: () => undefined,
    openSecret: () => Promise.resolve(undefined),
    unknown: (cause: unknown) => unknown.push(cause),
  } as unknown as RunnerHost;
  const count = (name: string) => asked.filter((one) => one.name === name).length;
  return { host, asked, unknown, count };
}

function task(run: string, more: Partial<Task> = {}): Task {
  return {
    run_id: run,
    seq: 1,
    epoch: 1,
    attempt: 1,
    key: `${run}:1`,
    user_id: "u",
    workflow_id: null,
    thread_id: null,
    node: { id: "n", type: "tool", name: "n", config: { tool: "compose", arguments: { run } } },
    state: {},
    input: {},
    lease_until: "",
    deadline_at: null,
    ...more,
  };
}

const completed = (run_id: string): Reply => ({
  run_id,
  status: "completed",
  accepted: true,
  tasks: [],
});
const stepsOf = (args: Args) => args["p_steps"] as Step[];

Deno.test("steps that end together are recorded together, a lone one by itself", async () => {
  const { host, count } = fakeHost({
    mira_advance_batch: (args) => ({ data: stepsOf(args).map(({ run_id }) => completed(run_id)) }),
    mira_advance: (args) => ({ data: completed(args["p_run_id"]) }),
  });
  const runs = Array.from({ length: 12 }, (_, i) => `r${i}`);
  const report = await runTasks(host, runs.map((run) => task(run)));
  assert.deepEqual([report.steps, report.left], [12, []]);
  assert.ok(count("mira_advance_batch") + count("mira_advance") <= 3);
  await runTasks(host, [task("alone")]);
  assert.equal(count("mira_advance"), 1);
});

Deno.test("a database that is away for a moment is asked again with the same step", async () => {
  const { host, asked } = fakeHost({
    mira_advance: (_, nth) =>
      nth < 2 ? { error: { message: "fetch failed" } } : { data: completed("r") },
  });
  const report = await runTasks(host, [task("r")]);
  assert.deepEqual(report.left, []);
  const steps = asked.filter(({ name }) => name === "mira_advance").map(({ args }) => args);
  assert.equal(steps.length, 3);
  assert.deepEqual(steps[0], steps[2]);
});

Deno.test("an outcome that the database cannot hold fails the step instead of repeating it for ever", async () => {
  const { host, asked } = fakeHost({
    mira_advance: (_, nth) =>
      nth === 0
        ? { error: { code: "22P05", message: "unsupported Unicode" } }
        : { data: completed("r") },
  });
  await runTasks(host, [task("r")]);
  const last = asked.at(-1)!.args["p_outcome"] as { error: { code: string; retryable: boolean } };
  assert.deepEqual([last.error.code, last.error.retryable], ["nul_character", false]);
});

Deno.test("one step that is refused does not take those sent with it along", async () => {
  const { host } = fakeHost({
    mira_advance_batch: () => ({ error: { code: "22P05", message: "one of them" } }),
    mira_advance: (args) =>
      args["p_run_id"] === "bad" && "output" in (args["p_outcome"])
        ? { error: { code: "22P05", message: "this one" } }
        : { data: completed(args["p_run_id"]) },
  });
  const report = await runTasks(host, ["a", "bad", "b"].map((run) => task(run)));
  assert.deepEqual(report.left, []);
});

Deno.test("an answer that was lost does not start its work twice", async () => {
  const again = task("r", { seq: 2, key: "r:2" });
  const { host, count } = fakeHost({
    // the same next task is told by every answer
    mira_advance: (args) => ({
      data: args["p_seq"] === 2
        ? completed("r")
        : { run_id: "r", status: "running", tasks: [again, again] },
    }),
  });
  const report = await runTasks(host, [task("r"), task("r")]);
  assert.equal(report.steps, 2);
  assert.equal(count("mira_advance"), 2);
});

Deno.test("work of a run that was lost or cancelled stops and says nothing", async () => {
  const napping = task("lost", {
    node: { id: "n", type: "llm", name: "n", config: { prompt: "x" } },
  });
  const { host, count } = fakeHost({
    mira_renew_leases: () => ({ data: { lost: ["lost"] } }),
  });
  const model = startLlmServer({ text: "late", delayMs: 60_000 });
  const reading = {
    ...host,
    read: (name: string) => ({ MIRA_LLM_URL: model.url, MIRA_LLM_MODEL: "m" })[name],
  };
  const started = performance.now();
  const report = await runTasks(reading, [napping], { leaseMs: 300 });
  assert.ok(performance.now() - started < 3000);
  assert.deepEqual([report.left, count("mira_advance"), count("mira_release_runs")], [[], 0, 0]);
  await model.close();
});

Deno.test("when the budget ends, work that runs on is given up and its runs are left due", async () => {
  const { host, asked } = fakeHost({
    mira_renew_leases: () => ({ data: { lost: [] } }),
    mira_release_runs: () => ({ data: {} }),
  });
  const model = startLlmServer({ text: "late", delayMs: 60_000 });
  const reading = {
    ...host,
    read: (name: string) => ({ MIRA_LLM_URL: model.url, MIRA_LLM_MODEL: "m" })[name],
  };
  const slow = task("slow", { node: { id: "n", type: "llm", name: "n", config: { prompt: "x" } } });
  const report = await runTasks(reading, [slow, task("waiting")], {
    wallMs: 100,
    graceMs: 100,
    parallel: 1,
  });
  assert.deepEqual(report.left, ["slow", "waiting"]);
  const released = asked.find(({ name }) => name === "mira_release_runs")!.args["p_leases"];
  assert.deepEqual(released, [{ run_id: "slow", epoch: 1 }, { run_id: "waiting", epoch: 1 }]);
  await model.close();
});

Deno.test("work that is claimed while the budget ends is left due, not lost", async () => {
  const { host, asked } = fakeHost({
    mira_advance: (args) => ({ data: completed(args["p_run_id"]) }),
    mira_release_runs: () => ({ data: {} }),
  });
  const report = await runTasks(host, [task("first")], {
    wallMs: 1050,
    more: async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return { tasks: [task("late")] };
    },
    stay: () => true,
  });
  assert.deepEqual([report.steps, report.left], [1, ["late"]]);
  assert.equal(asked.at(-1)!.name, "mira_release_runs");
});

Deno.test("a deadline holds by the database's clock, however wrong this machine's is", async () => {
  const model = startLlmServer({ text: "late", delayMs: 60_000 });
  const { host, asked } = fakeHost({ mira_advance: () => ({ data: completed("r") }) });
  const reading = {
    ...host,
    read: (name: string) => ({ MIRA_LLM_URL: model.url, MIRA_LLM_MODEL: "m" })[name],
  };
  const now = Date.parse("2001-01-01T00:00:00Z"); // what the database thinks
  const slow = task("r", {
    node: { id: "n", type: "llm", name: "n", config: { prompt: "x" } },
    lease_until: new Date(now + 5000).toISOString(),
    deadline_at: new Date(now + 200).toISOString(),
  });
  const started = performance.now();
  await runTasks(reading, [slow], { leaseMs: 5000 });
  const took = performance.now() - started;
  assert.ok(took > 180 && took < 2000, `${took} ms`);
  const { error } = asked[0]!.args["p_outcome"] as { error: { code: string } };
  assert.equal(error.code, "timed_out");
  await model.close();
});

Deno.test("a step ends at its deadline, and a worker at its own, whatever does not answer", async () => {
  const { host, asked } = fakeHost({
    mira_advance: () => ({ data: completed("timed") }),
    mira_release_runs: () => ({ data: {} }),
  });
  // an answer that was lost: neither a result nor an error ever comes
  const lost = { ...host, openSecret: () => new Promise<undefined>(() => {}) };
  const node = { id: "n", type: "llm", name: "n", config: { prompt: "x", provider: "openai" } };
  const now = Date.parse("2001-01-01T00:00:00Z");
  const timed = task("timed", {
    node,
    lease_until: new Date(now + 5000).toISOString(),
    deadline_at: new Date(now + 100).toISOString(),
  });
  const report = await runTasks(lost, [timed, task("open", { node })], {
    leaseMs: 5000,
    wallMs: 200,
    graceMs: 200,
  });
  const { error } = asked[0]!.args["p_outcome"] as { error: { code: string } };
  assert.deepEqual([asked[0]!.args["p_run_id"], error.code], ["timed", "timed_out"]);
  assert.deepEqual(report.left, ["open"]);
});

Deno.test("no model service is a clear failure that nobody retries", async () => {
  const { host, asked } = fakeHost({ mira_advance: () => ({ data: completed("r") }) });
  await runTasks(host, [
    task("r", { node: { id: "n", type: "llm", name: "n", config: { prompt: "x" } } }),
  ]);
  const { error } = asked[0]!.args["p_outcome"] as {
    error: { code: string; message: string; retryable: boolean };
  };
  assert.deepEqual([error.code, error.retryable], ["llm_not_configured", false]);
  assert.match(error.message, /MIRA_LLM_URL, MIRA_LLM_KEY and MIRA_LLM_MODEL/);
});

Deno.test("an answer's schema that cannot be used fails the step before anybody is asked for it", async () => {
  const { host, asked } = fakeHost({ mira_advance: () => ({ data: completed("r") }) });
  const config = { prompt: "x", response_schema: { properties: { n: "number" } } };
  await runTasks(host, [task("r", { node: { id: "n", type: "llm", name: "n", config } })]);
  const { error } = asked[0]!.args["p_outcome"] as {
    error: { code: string; message: string; retryable: boolean };
  };
  assert.deepEqual([error.code, error.retryable], ["schema_invalid", false]);
  assert.match(error.message, /\/properties\/n/);
});

Deno.test("what an unknown exception says goes to the server's log, not into the run", async () => {
  const { host, asked, unknown } = fakeHost({ mira_advance: () => ({ data: completed("r") }) });
  const leaky = {
    ...host,
    admin: {
      ...host.admin,
      from: () => {
        throw new Error("password is hunter2");
      },
    },
  } as unknown as RunnerHost;
  await runTasks(leaky, [task("r")]);
  assert.ok(!JSON.stringify(asked).includes("hunter2"));
  assert.match(String(unknown[0]), /hunter2/);
});
