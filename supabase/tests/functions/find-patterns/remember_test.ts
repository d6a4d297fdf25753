/** What is remembered: deeds, uses, ratings, and the vectors they are found by. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { type TestUser } from "../../support/stack.ts";
import { eventually, find, post, record, stack, vector } from "./recall_stack.ts";

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
