/** What is found: by meaning, context and outcome, of one's own, or nothing. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { find, PATH, pattern, post, record, stack, triggers, vector } from "./recall_stack.ts";

Deno.test("supabase-js: what was recorded is found by other words, whole", async () => {
  const user = await stack.newUser();
  const recorded = await user.client.functions.invoke("find-patterns/record", { body: pattern() });
  equal(recorded.error, null);
  equal(recorded.data.merged, false);
  const { data, error } = await user.client.functions.invoke("find-patterns", {
    body: { query: "ship the api to our staging environment" },
  });
  equal(error, null);
  equal(data.model, "use-lite-512");
  deepEqual(data.avoid, []);
  const [found] = data.patterns;
  deepEqual(
    { ...found, similarity: 0, score: 0 },
    {
      id: recorded.data.id,
      source: "behavior_patterns",
      ...pattern(),
      confidence: 0.8,
      use_count: 1,
      similarity: 0,
      score: 0,
    },
  );
  ok(found.similarity >= 0.7 && found.similarity <= 1);
  ok(found.score > 0 && found.score <= found.similarity);
});

Deno.test("nobody finds, rates or merges into another person's patterns", async () => {
  const [ann, bo] = [await stack.newUser(), await stack.newUser()];
  const { body: { id } } = await record(ann);
  deepEqual(
    (await find(bo, { query: "Deploy the API to staging", threshold: 0 })).body.patterns,
    [],
  );
  const rated = await post(bo, `/${id}/feedback`, { outcome: "failed" });
  equal(rated.status, 404);
  equal(rated.body.code, "pattern_not_found");
  equal((await record(bo)).body.merged, false);
  equal((await find(bo, { query: "x", user_id: ann.id })).status, 403);
});

Deno.test("what failed is in avoid, never among the patterns", async () => {
  const user = await stack.newUser();
  await record(user, { final_outcome: "failed", actions: [{ tool: "Yolo" }] });
  const { body } = await find(user, { query: "Deploy the API to staging" });
  deepEqual(body.patterns, []);
  equal(body.avoid[0].final_outcome, "failed");
  deepEqual(body.avoid[0].actions, [{ tool: "Yolo" }]);
});

Deno.test("it abstains rather than answer with something unlike", async () => {
  const user = await stack.newUser();
  await record(user);
  const { status, body } = await find(user, { query: "bake a chocolate cake for grandmother" });
  equal(status, 200);
  deepEqual(body, { patterns: [], avoid: [], model: "use-lite-512" });
});

Deno.test("a context filters by containment: directory, project type, branch, files", async () => {
  const user = await stack.newUser();
  for (const n of [1, 2, 3]) {
    await record(user, {
      trigger: `Deploy the API to staging ${n}`,
      actions: [{ tool: `Tool${n}` }],
      context: {
        directory: `/d${n}`,
        project_type: n < 3 ? "api" : "web",
        branch: "main",
        files_touched: ["a.ts", `${n}.ts`],
        retries: n,
      },
    });
  }
  const ask = async (context: unknown) =>
    triggers(await find(user, { query: "Deploy the API to staging", threshold: 0, context }))
      .map((trigger) => Number(trigger.slice(-1))).sort();
  deepEqual(await ask({ directory: "/d2" }), [2]);
  deepEqual(await ask({ project_type: "api", branch: "main" }), [1, 2]);
  deepEqual(await ask({ files_touched: ["a.ts"] }), [1, 2, 3]);
  deepEqual(await ask({ files: ["a.ts", "3.ts"] }), [3]);
  deepEqual(await ask({ retries: 2.0 }), [2]);
  deepEqual(await ask({ directory: "/nowhere" }), []);
  deepEqual(await ask({}), [1, 2, 3]);
});

Deno.test("an embedding is searched as it is: cosine, threshold, limit, padding", async () => {
  const user = await stack.newUser();
  for (const [i, lean] of [0, 0.3, 0.9, 3].entries()) {
    await record(user, {
      trigger: `vector ${i}`,
      actions: [{ tool: `T${i}` }],
      embedding: vector(2, lean),
    });
  }
  const cosine = (a: number[], b: number[]) => {
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const { body } = await find(user, { embedding: vector(2), limit: 50 });
  deepEqual(triggers({ body }).sort(), ["vector 0", "vector 1", "vector 2"]);
  for (const found of body.patterns) {
    const exact = cosine(vector(2), vector(2, [0, 0.3, 0.9, 3][Number(found.trigger.slice(-1))]!));
    ok(Math.abs(found.similarity - exact) < 1e-3, `${found.similarity} against ${exact}`);
  }
  equal((await find(user, { embedding: vector(2), limit: 1 })).body.patterns.length, 1);
  deepEqual(triggers(await find(user, { embedding: vector(2), threshold: 0.999 })), ["vector 0"]);
  await record(user, { trigger: "short", actions: [], embedding: vector(5, 0, 384) });
  deepEqual(triggers(await find(user, { embedding: vector(5, 0, 384), threshold: 0.99 })), [
    "short",
  ]);
});

Deno.test("wrong input is refused and says what is wrong", async () => {
  const user = await stack.newUser();
  const cases: [unknown, string][] = [
    [{}, "/query"],
    [{ query: " " }, "/query"],
    [{ query: "x".repeat(8001) }, "/query"],
    [{ embedding: vector(1, 0, 1537) }, "/embedding"],
    [{ embedding: [0, 0, 0] }, "/embedding"],
    [{ embedding: ["1"] }, "/embedding/0"],
    [{ embedding: [1, 1e300] }, "/embedding/1"],
    [{ embedding: [1e-300, -1e-40] }, "/embedding"],
    [{ query: "x", limit: 51 }, "/limit"],
    [{ query: "x", limit: 1.5 }, "/limit"],
    [{ query: "x", threshold: 2 }, "/threshold"],
    [{ query: "x", include: ["secrets"] }, "/include/0"],
    [{ query: "x", context: ["a"] }, "/context"],
  ];
  for (const [body, pointer] of cases) {
    const refused = await find(user, body);
    equal(refused.status, 422, JSON.stringify(body).slice(0, 60));
    equal(refused.body.code, "invalid_input");
    equal(refused.body.errors[0].pointer, pointer);
    match(refused.headers.get("content-type")!, /problem\+json/);
  }
  equal((await record(user, { final_outcome: "great" })).status, 422);
  equal((await record(user, { actions: {} })).status, 422);
  equal((await post(user, "/not-a-uuid/feedback", { outcome: "success" })).status, 404);
  equal((await post(user, `/${crypto.randomUUID()}/feedback`, { outcome: "success" })).status, 404);
  equal((await stack.fetch(PATH, { as: user })).status, 405);
  equal((await find("anon", { query: "x" })).status, 401);
  equal((await post(user, "/embed", {})).status, 401, "the job is not for people");
});

Deno.test("a service names the person it acts for", async () => {
  const user = await stack.newUser();
  equal((await record("secret")).status, 422);
  const { status, body } = await record("secret", { user_id: user.id });
  equal(status, 201);
  const found = await find("secret", { query: "Deploy the API to staging", user_id: user.id });
  equal(found.body.patterns[0].id, body.id);
});

Deno.test("memories (option A) are recalled beside patterns once the job has embedded them", async () => {
  const user = await stack.newUser();
  const { data, error } = await user.client.from("memories").insert([
    {
      user_id: user.id,
      type: "workflow",
      content: JSON.stringify({
        trigger: "Rotate the Stripe webhook secret",
        actions: [{ tool: "Stripe" }, { tool: "Vault" }],
        outcome: "success",
      }),
      metadata: { confidence: 0.9, use_count: 4, context: { directory: "/pay" } },
    },
    {
      user_id: user.id,
      content: "The customer prefers invoices by post",
      metadata: { confidence: "high" },
    },
  ]).select("id, type, embedding");
  equal(error, null);
  equal(data![0]!.embedding, null);
  const job = await post("cron", "/embed", {});
  equal(job.status, 200);
  equal(job.body.state, "idle");
  ok(job.body.embedded >= 2);
  const { body } = await find(user, { query: "rotate the webhook secret of Stripe" });
  equal(body.patterns[0].source, "memories");
  deepEqual(body.patterns[0].actions, [{ tool: "Stripe" }, { tool: "Vault" }]);
  equal(body.patterns[0].confidence, 0.9);
  equal(body.patterns[0].use_count, 4);
  deepEqual(body.patterns[0].context, { directory: "/pay" });
  const note = await find(user, { query: "customer prefers invoices by post", context: {} });
  equal(note.body.patterns[0].trigger, "The customer prefers invoices by post");
  const without = await find(user, {
    query: "rotate the webhook secret of Stripe",
    include: ["behavior_patterns"],
  });
  deepEqual(without.body.patterns, []);
  const rated = await post(user, `/${body.patterns[0].id}/feedback`, { outcome: "failed" });
  ok(Math.abs(rated.body.confidence - 1.8 / 3) < 1e-8);
});
