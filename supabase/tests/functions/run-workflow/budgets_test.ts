import assert from "node:assert/strict";
import { chain, llm, stored } from "./graphs.ts";
import { ada, fresh, type Json, model, run, stack } from "./model_stack.ts";

Deno.test("a run stops before it spends more than its budget", async () => {
  fresh();
  model.say({ text: "x ".repeat(30) }, { text: "never asked" });
  const prompt = "word ".repeat(40);
  const workflow = chain(
    llm("first", { prompt, max_tokens: 100 }),
    llm("second", { prompt, max_tokens: 100 }),
  );
  const body = await run(workflow, {}, { budget: { tokens: 150 } });
  assert.deepEqual(
    [body.status, body.error.code],
    ["failed", "budget_exceeded"],
    JSON.stringify(body),
  );
  assert.equal(model.requests.length, 1);
  assert.ok(body.usage.tokens <= 150, `${body.usage.tokens} tokens`);

  fresh();
  model.say({ text: "short" });
  const money = await run(chain(llm("first", { prompt: "hi", max_tokens: 4000 })), {}, {
    budget: { cost_micros: 100_000 },
  });
  assert.equal(money.status, "completed", JSON.stringify(money.error));
  // 100 000 micros buy 100 tokens at this price: prompt and answer together
  assert.ok(model.requests[0]!.body.max_tokens! < 100);
});

Deno.test("branches side by side do not spend the same budget twice", async () => {
  fresh();
  for (const _ of [1, 2, 3]) model.say({ text: "x ".repeat(30) });
  const prompt = "word ".repeat(40);
  const branch = (name: string) => llm(name, { prompt, max_tokens: 100 });
  const workflow = {
    name: "wide",
    nodes: [{ type: "start", name: "begin" }, branch("a"), branch("b"), branch("c"), {
      type: "end",
      name: "done",
    }],
    edges: ["a", "b", "c"].flatMap((name) => [
      { source: "begin", target: name },
      { source: name, target: "done" },
    ]),
  };
  // one call costs 73 tokens and may cost some 180: two fit, and not at the same time
  const tight = await run(workflow, {}, { budget: { tokens: 200 } });
  assert.deepEqual(
    [tight.status, tight.error?.code],
    ["failed", "budget_exceeded"],
    JSON.stringify(tight),
  );
  assert.equal(model.requests.length, 2);
  assert.ok(tight.usage.tokens <= 200, `${tight.usage.tokens} tokens`);

  fresh();
  for (const _ of [1, 2, 3]) model.say({ text: "x ".repeat(30) });
  const enough = await run(workflow, {}, { budget: { tokens: 260 } });
  assert.equal(enough.status, "completed", JSON.stringify(enough.error));
  assert.ok(enough.usage.tokens <= 260);
});

/** A model that takes its time, so that many calls are under way at once; one costs 64 tokens. */
function chatty(times: number) {
  for (let i = 0; i < times; i++) model.say({ text: "x ".repeat(60), delayMs: 150 });
}

Deno.test("elements of a map, worked side by side by several workers, share one budget", async () => {
  fresh();
  chatty(12);
  const { data: started } = await stack.service.rpc("mira_start_run", {
    p_user_id: ada.id,
    p_workflow: chain({
      type: "map",
      name: "all",
      config: {
        items: "$.n",
        batch: 1,
        each: { type: "llm", config: { prompt: "word ".repeat(20), max_tokens: 60 } },
      },
    }),
    p_input: { n: [...Array(12).keys()] },
    p_options: { budget: { tokens: 400 } },
  });
  await Promise.all([1, 2, 3, 4].map(async () => {
    const response = await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} });
    await response.body?.cancel();
  }));
  const response = await stack.fetch(`/functions/v1/run-workflow/${started.run_id}`, { as: ada });
  const body = await response.json();
  assert.deepEqual([body.status, body.error?.code], ["failed", "budget_exceeded"]);
  assert.ok(body.usage.tokens <= 400, `${body.usage.tokens} tokens`);
  assert.ok(model.requests.length >= 3, `${model.requests.length} calls could be paid for`);
});

Deno.test("many runs of one user, each with a worker of its own, share the user's day", async () => {
  fresh();
  chatty(20);
  const bob = await stack.newUser();
  await stack.sql(
    "insert into private.user_limits (user_id, day_tokens, day_cost_micros) values ($1, 500, 450000)",
    [bob.id],
  );
  const workflow = chain(llm("talk", { prompt: "word ".repeat(20), max_tokens: 60 }));
  const runs: Json[] = await Promise.all(Array.from({ length: 20 }, async () => {
    const response = await stack.fetch("/functions/v1/run-workflow", {
      as: bob,
      json: { workflow },
    });
    return await response.json();
  }));
  const [spent] = await stack.sql(
    "select tokens::int, cost_micros::int from private.user_spend where user_id = $1",
    [bob.id],
  );
  assert.ok(spent.tokens <= 500 && spent.cost_micros <= 450_000, JSON.stringify(spent));
  const done = runs.filter(({ status }) => status === "completed");
  assert.ok(done.length >= 3, `${done.length} runs could be paid for`);
  assert.equal(done.length, model.requests.length, "no call was made in vain");
  for (const run of runs) {
    const code = run.error?.code ?? run.code;
    if (run.status === "completed") continue;
    assert.ok(["budget_exceeded", "user_budget_exceeded"].includes(code), JSON.stringify(run));
  }
  const [left] = await stack.sql("select count(*)::int as n from private.run_reserves");
  assert.equal(left.n, 0, "nothing stays set aside");
});

Deno.test("children of a run spend from its budget, and need none when it has none", async () => {
  fresh();
  chatty(6);
  const workflow_id = await stored(
    ada,
    chain(llm("talk", { prompt: "word ".repeat(20), max_tokens: 60 })),
  );
  const child = (name: string) => ({
    type: "subworkflow",
    name,
    config: { workflow_id },
  });
  const names = ["a", "b", "c"];
  const wide = {
    name: "wide",
    nodes: [
      { type: "start", name: "begin" },
      ...names.map(child),
      { type: "end", name: "done" },
    ],
    edges: names.flatMap((name) => [
      { source: "begin", target: name },
      { source: name, target: "done" },
    ]),
  };
  const free = await run(wide);
  assert.equal(free.status, "completed", JSON.stringify(free.error));
  const before = model.requests.length;
  const tight = await run(wide, {}, { budget: { tokens: 150 } });
  assert.equal(tight.status, "failed", JSON.stringify(tight));
  const [spent] = await stack.sql(
    "select sum(tokens_used)::int as n from public.mira_workflow_state where parent_run_id = $1",
    [tight.run_id],
  );
  assert.ok(spent.n <= 150, `${spent.n} tokens`);
  assert.ok(model.requests.length - before < 3);
});

Deno.test("a model without a price cannot run under a money budget", async () => {
  fresh();
  const workflow = chain(llm("first", { prompt: "hi", model: "mystery-model" }));
  const body = await run(workflow, {}, { budget: { cost_micros: 1_000_000 } });
  assert.deepEqual([body.status, body.error.code], ["failed", "llm_price_unknown"]);
  assert.equal(model.requests.length, 0);
  model.say({ text: "hello" });
  const free = await run(workflow);
  assert.deepEqual([free.status, free.usage.cost_micros, free.usage.is_priced], [
    "completed",
    0,
    false,
  ]);
  model.say({ text: "hello" });
  const priced = await run(chain(llm("first", { prompt: "hi" })));
  assert.ok(priced.usage.cost_micros > 0 && priced.usage.is_priced);
});

Deno.test("a model service that counts backwards gives nobody their budget back", async () => {
  fresh();
  const usage = { prompt_tokens: -1_000_000, completion_tokens: -1_000_000 };
  const choices = [{ message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
  model.say({ garbage: JSON.stringify({ choices, usage }) });
  const spent = async () =>
    Number((await stack.sql("select coalesce(sum(tokens), 0) as n from private.user_spend"))[0].n);
  const before = await spent();
  const body = await run(chain(llm("a", { prompt: "hi" })));
  assert.equal(body.status, "completed", JSON.stringify(body.error));
  assert.ok(body.usage.tokens > 0 && body.usage.cost_micros > 0, JSON.stringify(body.usage));
  assert.ok(await spent() > before);
});
