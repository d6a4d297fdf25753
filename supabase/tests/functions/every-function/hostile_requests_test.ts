/** Every route of every function under hostile input: refused by name, never a 500, nothing leaked. */

import { equal, ok } from "node:assert/strict";
import { startStack } from "../../support/stack.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());

const ID = "00000000-0000-4000-8000-000000000000";
const ROUTES: [string, string][] = [
  ["POST", "track-event"],
  ["POST", "learn-patterns"],
  ["POST", "learn-patterns/next"],
  ["POST", `learn-patterns/${ID}/promote`],
  ["POST", `learn-patterns/${ID}/status`],
  ["POST", "find-patterns"],
  ["POST", "find-patterns/record"],
  ["POST", `find-patterns/${ID}/feedback`],
  ["POST", "upsert-tokens"],
  ["POST", "upsert-tokens/api-keys"],
  ["POST", "log-execution"],
  ["POST", "log-execution/tasks"],
  ["PATCH", `log-execution/tasks/${ID}`],
  ["POST", "log-execution/documents"],
  ["POST", "run-workflow"],
  ["POST", `run-workflow/${ID}/resume`],
  ["POST", `run-workflow/${ID}/signal`],
  ["POST", `run-workflow/${ID}/cancel`],
  ["POST", `run-workflow/${ID}/fork`],
];

const nest = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

/** Bodies that no route takes. */
const BODIES: [string, BodyInit, string?][] = [
  ["broken JSON", '{"a":'],
  ["a bare number", "7"],
  ["an array", "[]"],
  ["null", "null"],
  ["an unknown key", '{"no_such_key":1}'],
  ["a NUL", '{"a":"\\u0000","query":"\\u0000","message":"\\u0000"}'],
  ["depth 40", nest(40)],
  ["depth 20,000", nest(20_000)],
  ["bad UTF-8", new Uint8Array([123, 34, 0xc3, 0x28, 34, 58, 49, 125])],
  ["a prototype", '{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}'],
  [
    "SQL in every field",
    JSON.stringify(Object.fromEntries(
      [
        "query",
        "provider",
        "message",
        "workflow_id",
        "trigger",
        "name",
        "session_id",
        "outcome",
        "task_id",
        "status",
      ]
        .map((k) => [k, "'; drop table profiles; --"]),
    )),
  ],
  ["600 kB", `{"a":"${"x".repeat(600_000)}"}`],
  ["another type", "{}", "text/html"],
];

const LEAK =
  /select |insert |pg_catalog|postgres|stack"|at file:|\.ts:\d|SQLSTATE|sb_secret|node_modules/i;

Deno.test("every route refuses hostile bodies as a problem that leaks nothing", async (t) => {
  const user = await stack.newUser();
  for (const [method, route] of ROUTES) {
    await t.step(`${method} /${route}`, async () => {
      await stack.sql("delete from private.rate_limits"); // more in a minute than a limit allows
      for (const [name, body, type = "application/json"] of BODIES) {
        const response = await stack.fetch(`/functions/v1/${route}`, {
          as: user,
          method,
          body,
          headers: { "content-type": type },
        });
        const text = await response.text();
        ok(response.status >= 400 && response.status < 500, `${name}: ${response.status} ${text}`);
        equal(response.headers.get("content-type"), "application/problem+json", name);
        const problem = JSON.parse(text);
        ok(
          problem.code && problem.detail && problem.status === response.status,
          `${name}: ${text}`,
        );
        ok(!LEAK.test(text.replaceAll("drop table profiles", "")), `${name} leaks: ${text}`);
      }
    });
  }
});

Deno.test("every route refuses callers without credentials, and odd headers do not break it", async () => {
  for (const [method, route] of ROUTES) {
    const bare = await fetch(`${stack.url}/functions/v1/${route}`, {
      method,
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    equal(bare.status, 401, route);
    await bare.body?.cancel();
    const odd = await stack.fetch(`/functions/v1/${route}`, {
      method,
      body: "{}",
      headers: {
        "content-type": "application/json",
        "authorization": `Bearer ${"a".repeat(5000)}`,
        "x-request-id": "<script>alert(1)</script>",
        "idempotency-key": "x".repeat(300),
      },
    });
    equal(odd.status, 401, route);
    ok(
      !/script/.test(odd.headers.get("x-request-id") ?? ""),
      "a request id is never echoed as markup",
    );
    await odd.body?.cancel();
  }
});
