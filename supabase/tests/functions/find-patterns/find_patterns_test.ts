import { deepEqual, equal, match, ok } from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());

const PATH = "/functions/v1/find-patterns";
const STEPS = [{ tool: "Read", outcome: "success" }, { tool: "Edit" }, { tool: "Bash" }];
const pattern = (change: Record<string, unknown> = {}) => ({
  trigger: "Deploy the API to staging",
  context: { directory: "/home/dev/api", project_type: "typescript-api", branch: "main" },
  actions: STEPS,
  final_outcome: "success",
  ...change,
});
type As = TestUser | "secret" | "cron" | "anon";
const post = async (as: As, path: string, json: unknown, headers: Record<string, string> = {}) => {
  const response = await stack.fetch(PATH + path, { as, json, headers });
  return { status: response.status, body: await response.json(), headers: response.headers };
};
const record = (as: As, change: Record<string, unknown> = {}) =>
  post(as, "/record", pattern(change));
const find = (as: As, json: unknown, headers = {}) => post(as, "", json, headers);
const triggers = (answer: { body: { patterns: { trigger: string }[] } }) =>
  answer.body.patterns.map((found) => found.trigger);
/** A vector in a direction of its own; `lean` tilts it towards the next one. */
const vector = (axis: number, lean = 0, dimensions = 1536) =>
  Array.from(
    { length: dimensions },
    (_, i) => Math.cos(axis * 12.9898 + i * 0.7 * (axis + 1)) + lean * Math.sin(i * 3.1),
  );
const eventually = async (check: () => Promise<boolean>) => {
  for (let i = 0; i < 100; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ok(await check(), "did not become true within 5 s");
};

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

Deno.test("record answers 201, and the same deed again merges: wording and context kept, nothing lost", async () => {
  const user = await stack.newUser();
  const first = await record(user);
  equal(first.status, 201);
  const again = await record(user, { trigger: "deploy the API  to Staging" });
  deepEqual(again.body, { id: first.body.id, merged: true });
  const elsewhere = await record(user, {
    trigger: "Deploy API to staging",
    context: { directory: "/home/dev/web" },
  });
  deepEqual(elsewhere.body, { id: first.body.id, merged: true });
  const other = await record(user, { actions: [{ tool: "Browser" }, { tool: "Click" }] });
  equal(other.body.merged, false, "the same words with other steps are another way");
  const rows = await stack.sql(
    "select id, use_count, success_count, aliases, other_contexts from behavior_patterns where user_id = $1 order by created_at",
    [user.id],
  );
  equal(rows.length, 2);
  equal(rows[0].use_count, 3);
  equal(rows[0].success_count, 3);
  deepEqual(rows[0].aliases, ["Deploy API to staging"]);
  deepEqual(rows[0].other_contexts, [{ directory: "/home/dev/web" }]);
  const inWeb = await find(user, {
    query: "deploy to staging",
    context: { directory: "/home/dev/web" },
  });
  deepEqual(inWeb.body.patterns.map((p: { id: string }) => p.id), [first.body.id]);
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

Deno.test("a recall counts as a use once, also when its request is repeated", async () => {
  const user = await stack.newUser();
  const { body: { id } } = await record(user);
  const uses = async () =>
    (await stack.sql("select use_count from behavior_patterns where id = $1", [id]))[0].use_count;
  const key = { "idempotency-key": crypto.randomUUID() };
  const first = await find(user, { query: "Deploy the API to staging" }, key);
  const second = await find(user, { query: "Deploy the API to staging" }, key);
  deepEqual(second.body, first.body);
  equal(second.headers.get("idempotent-replayed"), "true");
  await eventually(async () => await uses() === 2);
  await find(user, { query: "Deploy the API to staging" });
  await eventually(async () => await uses() === 3);
  await stack.sql("select private.count_recalls()");
  equal(await uses(), 3);
});

Deno.test("feedback moves the posterior exactly, and enough failures move a pattern to avoid", async () => {
  const user = await stack.newUser();
  const { body: { id } } = await record(user); // prior .7 worth 2, one success: 2.4 / 3
  const rate = async (outcome: string) => (await post(user, `/${id}/feedback`, { outcome })).body;
  const near = (value: number, expected: number) =>
    ok(Math.abs(value - expected) < 1e-8, `${value}`);
  near((await rate("success")).confidence, 3.4 / 4);
  near((await rate("partial")).confidence, 3.9 / 5);
  near((await rate("failed")).confidence, 3.9 / 6);
  const before = await find(user, { query: "Deploy the API to staging" });
  equal(before.body.patterns.length, 1);
  await rate("failed");
  const last = await rate("failed");
  near(last.confidence, 3.9 / 8);
  const after = await find(user, { query: "Deploy the API to staging" });
  deepEqual(after.body.patterns, []);
  equal(after.body.avoid[0].id, id);
});

Deno.test("feedback whose answer was lost in a crash counts once when it is sent again", async () => {
  const user = await stack.newUser();
  const { body: { id } } = await record(user);
  const { data: note } = await user.client.from("memories").insert({
    user_id: user.id,
    content: "The books close on the third",
    type: "workflow",
  }).select("id").single();
  for (const subject of [id, note!.id]) {
    const key = { "idempotency-key": crypto.randomUUID() };
    const rate = () => post(user, `/${subject}/feedback`, { outcome: "failed" }, key);
    const first = await rate();
    equal(first.status, 200, JSON.stringify(first.body));
    // what is left when the server dies between the effect and the answer
    await stack.sql(
      `update private.idempotency_keys set status = null, body = null, claimed_until = now() - interval '1 s'
       where key = $1`,
      [key["idempotency-key"]],
    );
    deepEqual((await rate()).body, first.body);
  }
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

Deno.test("secrets in steps and contexts are removed before they are stored", async () => {
  const user = await stack.newUser();
  await record(user, {
    actions: [{
      tool: "Http",
      parameters: { password: "hunter2", header: "Bearer abcdefghijklmnop" },
    }],
    context: { api_key: "sk-abcdefghijklmnopqrstuvwx" },
  });
  const [row] = await stack.sql(
    "select actions::text || context::text as stored from behavior_patterns where user_id = $1",
    [user.id],
  );
  ok(!/hunter2|abcdefghijklmnop/.test(row.stored), row.stored);
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

Deno.test("seed 001 through the Data API: a client's own insert, the search and the counter", async () => {
  const user = await stack.newUser();
  const other = await stack.newUser();
  const inserted = await user.client.from("behavior_patterns").insert({
    user_id: user.id,
    trigger: "Test workflow trigger",
    context: { directory: "/test" },
    actions: [{ tool: "Read", outcome: "success" }],
    final_outcome: "success",
  }).select().single();
  equal(inserted.error, null);
  equal(inserted.data.confidence, 0.7);
  equal(inserted.data.use_count, 1);
  const cheat = await user.client.from("behavior_patterns").update({ confidence: 1 }).eq(
    "id",
    inserted.data.id,
  );
  equal(cheat.error?.code, "42501");
  await post("cron", "/embed", {});
  equal(
    (await find(user, { query: "test workflow trigger" })).body.patterns[0].id,
    inserted.data.id,
  );

  await record(user, { trigger: "by vector", embedding: vector(9) });
  const ask = (who: TestUser, more: Record<string, unknown> = {}) =>
    who.client.rpc("find_similar_patterns", {
      query_embedding: `[${vector(9).join(",")}]`,
      match_threshold: 0.9,
      ...more,
    });
  const found = await ask(user);
  equal(found.error, null);
  deepEqual(Object.keys(found.data[0]), [
    "id",
    "trigger",
    "context",
    "actions",
    "final_outcome",
    "confidence",
    "use_count",
    "similarity",
  ]);
  equal(found.data[0].trigger, "by vector");
  ok(Math.abs(found.data[0].similarity - 1) < 1e-6);
  deepEqual((await ask(other)).data, []);
  equal((await ask(other, { p_user_id: user.id })).error?.message, "not_your_user");
  equal((await ask(user, { query_embedding: "[1,2,3]" })).error?.message, "embedding_dimensions");
  ok((await stack.anon.rpc("find_similar_patterns", { query_embedding: "[1]" })).error);
  const all = await stack.service.rpc("find_similar_patterns", {
    query_embedding: `[${vector(9).join(",")}]`,
  });
  equal(all.error, null);
  ok(all.data.some((row: { trigger: string }) => row.trigger === "by vector"));

  const used = await user.client.rpc("increment_pattern_use_count", {
    pattern_id: found.data[0].id,
  });
  equal(used.error, null);
  const stolen = await other.client.rpc("increment_pattern_use_count", {
    pattern_id: found.data[0].id,
  });
  equal(stolen.error?.message, "pattern_not_found");
  const [row] = await stack.sql(
    "select use_count, last_used_at from behavior_patterns where id = $1",
    [
      found.data[0].id,
    ],
  );
  equal(row.use_count, 2);
  ok(row.last_used_at);
});

Deno.test("the same text is embedded once, whoever asks", async () => {
  const [ann, bo] = [await stack.newUser(), await stack.newUser()];
  const query = `a question nobody asked before ${crypto.randomUUID()}`;
  const cached = async () =>
    Number((await stack.sql("select count(*) from private.embedding_cache"))[0].count);
  const before = await cached();
  await find(ann, { query });
  await find(bo, { query });
  await find(ann, { query: ` ${query} ` });
  equal(await cached(), before + 1);
});

Deno.test("a change of model is carried through while the old model answers, then the new one does", async () => {
  const user = await stack.newUser();
  await record(user, { trigger: "Rename the main branch" });
  const work = async (model: string, limit: number) =>
    (await stack.service.rpc("mira_embedding_work", {
      p_model: model,
      p_dimensions: 8,
      p_limit: limit,
      p_lease_seconds: null,
    })).data;
  const answers = async () => {
    const { body } = await find(user, { query: "Rename the main branch" });
    return [body.model, body.patterns.length];
  };
  let batches = 0;
  for (;;) {
    const { state, items } = await work("another-model", 5);
    if (state === "idle" || state === "sweeping") break;
    deepEqual(await answers(), ["use-lite-512", 1], "the old model answers until the move is done");
    await stack.service.rpc("mira_put_embeddings", {
      p_model: "another-model",
      p_items: items.map((item: Record<string, unknown>) => ({
        ...item,
        embedding: `[${vector(11).join(",")}]`,
      })),
    });
    ok(++batches < 100);
  }
  ok(batches > 1, "in several batches");
  equal((await stack.service.rpc("mira_answering_model")).data, "another-model");
  while ((await work("another-model", 5)).state !== "idle") ok(++batches < 200);
  const [row] = await stack.sql(
    "select embedding_model from behavior_patterns where user_id = $1",
    [user.id],
  );
  equal(row.embedding_model, "another-model");
  const facts = (await stack.service.rpc("mira_check_recall")).data;
  ok(facts.every((fact: { is_good: boolean }) => fact.is_good), JSON.stringify(facts));
  // and back, by the job itself
  let state = "";
  while (state !== "idle") state = (await post("cron", "/embed", { budget_ms: 5000 })).body.state;
  deepEqual(await answers(), ["use-lite-512", 1]);
});
