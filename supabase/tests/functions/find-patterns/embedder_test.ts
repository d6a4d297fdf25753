/** What people notice when the embedding model misbehaves: a named problem, and nothing lost. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

/** A model of words: each sets one of 64 numbers. A test may set how it answers, and to which texts. */
let answer: (text: string) => number[] | Response = words;
/** How long it thinks, milliseconds. */
let hold = 0;
const model = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
  const { input } = await request.json() as { input: string[] };
  const made = input.map(answer);
  await new Promise((resolve) => setTimeout(resolve, hold));
  const failure = made.find((one) => one instanceof Response);
  if (failure) return failure;
  return Response.json({ data: made.map((embedding, index) => ({ index, embedding })) });
});

function words(text: string): number[] {
  const vector = new Array<number>(64).fill(0);
  for (const word of text.toLowerCase().match(/[a-z]+/g) ?? []) {
    let hash = 0;
    for (const char of word) hash = (hash * 31 + char.charCodeAt(0)) % 64;
    vector[hash]! += 1;
  }
  return vector;
}

const stack = await startStack({
  env: {
    MIRA_EMBEDDINGS_URL: `http://127.0.0.1:${model.addr.port}/v1`,
    MIRA_EMBEDDINGS_MODEL: "words",
  },
});
Deno.test.afterAll(async () => {
  await stack.close();
  await model.shutdown();
});

async function post(as: TestUser | "cron", path: string, json: unknown) {
  const response = await stack.fetch(`/functions/v1/find-patterns${path}`, { as, json });
  return { status: response.status, headers: response.headers, body: await response.json() };
}
const record = (user: TestUser, trigger: string) =>
  post(user, "/record", { trigger, actions: [{ tool: "Edit" }], final_outcome: "success" });

Deno.test("whatever the model says, a query gets a named problem and a record is kept", async () => {
  const user = await stack.newUser();
  const cases: [string, typeof answer, number, string][] = [
    ["nothing", () => [0, 0, 0], 502, "embeddings_refused"],
    ["too much", () => new Array(3072).fill(0.1), 502, "embeddings_unreadable"],
    ["no numbers", () => ["a", null] as never, 502, "embeddings_unreadable"],
    [
      "no",
      () => new Response("bad key sk-canary-0123456789", { status: 401 }),
      502,
      "embeddings_refused",
    ],
    [
      "later",
      () => new Response(null, { status: 503, headers: { "retry-after": "0" } }),
      503,
      "embeddings_unavailable",
    ],
  ];
  for (const [name, misbehaves, status, code] of cases) {
    answer = misbehaves;
    const found = await post(user, "", { query: `how to ${name}` });
    deepEqual([found.status, found.body.code], [status, code], name);
    match(found.headers.get("content-type")!, /problem\+json/);
    ok(!JSON.stringify(found.body).includes("canary"));
    const kept = await record(user, `do ${name}`);
    equal(kept.status, 201, JSON.stringify(kept.body));
  }
  answer = words;
  let state = "";
  while (state !== "idle") state = (await post("cron", "/embed", {})).body.state;
  const found = await post(user, "", { query: "do too much" });
  equal(found.body.patterns[0]?.trigger, "do too much", JSON.stringify(found.body));
});

Deno.test("a text that several ask for at once is paid for once, and tried again after a failure", async () => {
  const user = await stack.newUser();
  let asked = 0;
  const query = "how to water the plants";
  const ask = () => Promise.all([1, 2, 3, 4, 5, 6].map(() => post(user, "", { query })));
  hold = 1000; // long enough for all six to arrive on a busy machine
  answer = (text) => (asked++, text === query ? [0] : words(text));
  const refused = await ask();
  assertAll(refused, 502);
  equal(asked, 1);
  answer = (text) => (asked++, words(text));
  const answered = await ask();
  hold = 0;
  assertAll(answered, 200);
  equal(asked, 2);
  await post(user, "", { query });
  equal(asked, 2);
});

function assertAll(answers: { status: number }[], status: number) {
  deepEqual(answers.map((one) => one.status), answers.map(() => status));
}

Deno.test("one text that the model has nothing to say of holds up no other", async () => {
  const user = await stack.newUser();
  answer = () => new Response(null, { status: 503, headers: { "retry-after": "0" } });
  for (const trigger of ["paint the fence", "???", "mow the lawn"]) await record(user, trigger);
  answer = words; // which gives zeros for "???"
  const states: string[] = [];
  while (states.at(-1) !== "idle" && states.length < 10) {
    states.push((await post("cron", "/embed", {})).body.state);
  }
  equal(states.at(-1), "idle", states.join());
  for (const query of ["paint the fence", "mow the lawn"]) {
    equal((await post(user, "", { query })).body.patterns[0]?.trigger, query);
  }
});
