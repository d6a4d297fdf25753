/**
 * Secrets with a name of their own travel through every route, through refused requests and through
 * runs with a hostile provider that sends the key back in answers and errors. Afterwards they are
 * looked for everywhere.
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";
import { startTokenProvider } from "../../support/token_provider.ts";

const CANARY = "sk-canary-7Hq2vXw9-please-find-me-nowhere";
const provider = startTokenProvider();

/** What reached the model service. */
const heard: string[] = [];
/** A model service that gives the caller's key back to them, as an answer or as an error. */
const model = Deno.serve(
  { port: 0, hostname: "127.0.0.1", onListen: () => {} },
  async (request) => {
    const key = request.headers.get("authorization") ?? "";
    heard.push(key);
    if (new URL(request.url).pathname.startsWith("/failing")) {
      return Response.json({ error: { message: `bad key: ${key}`, code: key } }, { status: 401 });
    }
    const { stream } = await request.json();
    if (!stream) {
      const message = { role: "assistant", content: `your ${key}` };
      const choices = [{ index: 0, finish_reason: "stop", message }];
      return Response.json({
        id: "1",
        object: "chat.completion",
        created: 1,
        model: "echo",
        choices,
      });
    }
    // streamed in two halves, so that no single piece looks like the key
    const half = Math.floor(key.length / 2);
    const pieces = [key.slice(0, half), key.slice(half)].map((content, index) => ({
      id: "1",
      object: "chat.completion.chunk",
      created: 1,
      model: "echo",
      choices: [{ index: 0, delta: { content }, finish_reason: index === 1 ? "stop" : null }],
    }));
    const lines = [...pieces.map((piece) => JSON.stringify(piece)), "[DONE]"];
    return new Response(lines.map((line) => `data: ${line}\n\n`).join(""), {
      headers: { "content-type": "text/event-stream" },
    });
  },
);
const origin = `http://127.0.0.1:${model.addr.port}`;

const stack = await startStack({
  env: {
    MIRA_HTTP_TRUSTED_ORIGINS: origin,
    VAULT_PROVIDERS: JSON.stringify({
      mock: { token_url: provider.tokenUrl, revoke_url: provider.revokeUrl },
    }),
    MOCK_CLIENT_ID: "client",
  },
});
Deno.test.afterAll(async () => {
  await stack.close();
  await Promise.all([provider.close(), model.shutdown()]);
});

/** Everything the stack ever answered. */
const answers: string[] = [];
const send = async (user: TestUser, method: string, path: string, body?: unknown, key?: string) => {
  const response = await stack.fetch(`/functions/v1${path}`, {
    method,
    as: user,
    ...(body === undefined ? {} : { json: body }),
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
  const text = await response.text();
  answers.push(text, JSON.stringify([...response.headers]));
  return { status: response.status, body: JSON.parse(text) };
};
const graph = (config: Record<string, unknown>) => ({
  nodes: [
    { type: "start", name: "start" },
    { type: "llm", name: "ask", config },
    { type: "end", name: "end" },
  ],
  edges: [{ source: "start", target: "ask" }, { source: "ask", target: "end" }],
});

Deno.test("a canary secret is used and stands in no table, log line, answer or published column", async () => {
  const user = await stack.newUser();
  const key = (label: string, path: string) => ({
    provider: "openai_compatible",
    key: `${CANARY}-${label}`,
    label,
    metadata: { base_url: `${origin}/${path}/v1`, agent_name: label, model: "echo" },
  });

  // every route, also twice under one idempotency key
  const once = crypto.randomUUID();
  for (let n = 0; n < 2; n++) {
    equal(
      (await send(user, "POST", "/upsert-tokens/api-keys", key("good", "echo"), once)).status,
      200,
    );
  }
  const { body: bad } = await send(user, "POST", "/upsert-tokens/api-keys", key("bad", "failing"));
  const granted = provider.grant();
  const token = { provider: "mock", access_token: CANARY, refresh_token: granted.refresh_token };
  equal((await send(user, "POST", "/upsert-tokens", { ...token, expires_in: 60 })).status, 200);
  await send(user, "POST", "/upsert-tokens", { provider: "other", access_token: CANARY });
  await send(user, "GET", "/upsert-tokens");

  // requests that fail, with the secret in every place a request has
  const refused = [
    await send(user, "POST", "/upsert-tokens", { provider: CANARY + "!", access_token: CANARY }),
    await send(user, "POST", "/upsert-tokens", { [CANARY]: 1, provider: "x", access_token: "a b" }),
    await send(user, "POST", "/upsert-tokens", {
      ...token,
      expires_at: CANARY,
      scopes: [`${CANARY} `],
    }),
    await send(user, "POST", "/upsert-tokens/api-keys", {
      ...key("x", "x"),
      metadata: { note: CANARY },
    }),
    await send(user, "POST", "/upsert-tokens/api-keys", { ...key("x", "x"), key: `${CANARY}\n` }),
    await send(
      user,
      "POST",
      "/upsert-tokens",
      { provider: "mock", access_token: `${CANARY}2` },
      once,
    ),
  ];
  const broken = await stack.fetch("/functions/v1/upsert-tokens", {
    method: "POST",
    as: user,
    headers: { "content-type": "application/json" },
    body: `{"access_token":"${CANARY}`,
  });
  answers.push(await broken.text());
  equal(broken.status, 400);
  ok(refused.every(({ status }) => status === 422 || status === 200), "refused");

  // runs that use it: a service that echoes it, one that fails with it
  const good = graph({ provider: "openai_compatible", agent_name: "good", prompt: "hello" });
  const failing = graph({ provider: "openai_compatible", agent_name: "bad", prompt: "hello" });
  const ran = await send(user, "POST", "/run-workflow", { workflow: good, input: {} });
  const failed = await send(user, "POST", "/run-workflow", { workflow: failing, input: {} });
  const streamed = await stack.fetch("/functions/v1/run-workflow", {
    as: user,
    headers: { accept: "text/event-stream" },
    json: { workflow: good, input: {} },
  });
  const events = await streamed.text();
  answers.push(events);
  ok(events.includes("[key]"), events);
  await send(user, "GET", `/run-workflow/${ran.body.run_id}`);
  await send(user, "GET", `/run-workflow/${failed.body.run_id}`);
  deepEqual(
    [ran.body.status, failed.body.status],
    ["completed", "failed"],
    JSON.stringify([ran, failed]),
  );
  ok(heard.includes(`Bearer ${CANARY}-good`) && heard.includes(`Bearer ${CANARY}-bad`));

  // a refresh, a failed refresh, a revocation, a failed revocation
  const work = async () => {
    const response = await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} });
    answers.push(await response.text());
  };
  await stack.sql("update user_tokens set refresh_due_at = now() where provider = 'mock'");
  provider.failures.push({ status: 400, body: { error: `${CANARY}`, error_description: CANARY } });
  await work();
  await stack.sql("update private.token_refresh_leases set not_before = now(), expires_at = now()");
  await work();
  await send(user, "DELETE", "/upsert-tokens/mock");
  provider.failures.push({ status: 500, body: { error: CANARY } });
  await work();
  await send(user, "DELETE", `/upsert-tokens/api-keys/${bad.id}`);
  await send(user, "DELETE", `/upsert-tokens/${CANARY}`);
  await send(user, "GET", "/upsert-tokens");

  const found: string[] = [];
  const tables = await stack.sql<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'm', 'v') and n.nspname in ('public', 'private', 'auth')`,
  );
  ok(tables.length > 40, `${tables.length} tables and views`);
  for (const { name } of tables) {
    const [row] = await stack.sql(
      `select count(*) as n from ${name} t where t::text like '%canary%' or t::text like '%7Hq2vXw9%'`,
    );
    if (Number(row.n) > 0) found.push(name);
  }
  deepEqual(found, []);
  const leaks = (text: string) => text.split("\n").filter((line) => line.includes("7Hq2vXw9"));
  deepEqual(leaks(stack.output()), []);
  deepEqual(answers.flatMap(leaks), []);

  const published = await stack.sql<{ name: string }>(
    `select tablename || '.' || unnest(attnames) as name from pg_publication_tables`,
  );
  const sealed = /encrypted|key_hash|wrapped|data_key/;
  deepEqual(published.filter(({ name }) => sealed.test(name)), []);
});
