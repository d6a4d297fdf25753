import assert from "node:assert/strict";
import { callHttps } from "../../../../functions-shared/runner/tools/https_tool.ts";
import type {
  ToolContext,
  ToolDefinition,
} from "../../../../functions-shared/runner/tools/tool.ts";
import { startCountingServer } from "../../support/counting_server.ts";

const SECRET = "canary-token-0123456789";

async function withTool(
  path: string,
  options: Record<string, unknown>,
  test: (
    call: (args: Record<string, unknown>) => Promise<unknown>,
    service: ReturnType<typeof startCountingServer>,
    opened: unknown[],
  ) => Promise<void>,
  answer?: Parameters<typeof startCountingServer>[0],
) {
  const service = startCountingServer(answer);
  const opened: unknown[] = [];
  const context = {
    userId: "u1",
    runId: "r1",
    key: "r1:4",
    signal: new AbortController().signal,
    read: (name: string) => name === "MIRA_HTTP_TRUSTED_ORIGINS" ? service.origin : undefined,
    openSecret: (ask: { provider: string }) => {
      opened.push(ask);
      return Promise.resolve(ask.provider === "acme" ? { secret: SECRET } : undefined);
    },
  } as unknown as ToolContext;
  const definition = { name: "t", function_path: service.origin + path, options } as ToolDefinition;
  try {
    await test((args) => callHttps(args, context, definition), service, opened);
  } finally {
    await service.close();
  }
}

Deno.test("arguments go into the address, the query or the body, and nowhere else", async () => {
  await withTool("/v1/items/{id}", { method: "GET" }, async (call, { arrivals }) => {
    await call({ id: "b?c#d", q: "x&y=1", list: [1] });
    assert.equal(arrivals[0]!.path, "/v1/items/b%3Fc%23d?q=x%26y%3D1&list=%5B1%5D");
    // a slash inside a segment could mean another path to the server behind it
    await assert.rejects(call({ id: "a/../admin" }), { code: "url_refused" });
    assert.equal(arrivals.length, 1);
  });
  await withTool("/v1/items/{id}", { headers: { "x-api": "2" } }, async (call, { arrivals }) => {
    await call({ id: 7, title: "ä" });
    const [{ path, body, method, headers }] = arrivals as [typeof arrivals[0]];
    assert.deepEqual([method, path, JSON.parse(body)], ["POST", "/v1/items/7", { title: "ä" }]);
    assert.equal(headers.get("idempotency-key"), "r1:4");
    assert.equal(headers.get("x-api"), "2");
  });
  for (const id of ["..", ".", "", undefined, {}]) {
    await withTool("/v1/items/{id}", {}, async (call, { arrivals }) => {
      await assert.rejects(call({ id }), { code: "arguments_invalid" }, String(id));
      assert.equal(arrivals.length, 0);
    });
  }
});

Deno.test("the user's secret goes into the header, and an echo of it is scrubbed", async () => {
  const echo = ({ headers }: { headers: Headers }) =>
    Response.json({ youSent: headers.get("authorization"), key: headers.get("x-key") });
  await withTool("/v1", { secret: { provider: "acme" } }, async (call, { arrivals }, opened) => {
    const result = await call({ a: 1 });
    assert.equal(arrivals[0]!.headers.get("authorization"), `Bearer ${SECRET}`);
    assert.deepEqual(result, { status: 200, body: { youSent: "Bearer [secret]", key: null } });
    assert.deepEqual(opened, [{ userId: "u1", provider: "acme", purpose: "tool:t", runId: "r1" }]);
  }, echo);
  await withTool(
    "/v1",
    { secret: { provider: "acme", header: "x-key" } },
    async (call, service) => {
      await call({});
      assert.equal(service.arrivals[0]!.headers.get("x-key"), SECRET);
    },
    echo,
  );
});

Deno.test("an echo is scrubbed however JSON writes it, in names too", async () => {
  const escaped = `"${[...SECRET].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join("")}"`;
  const body = `{"you": [${escaped}], ${escaped}: 1, "half": "\\ud83d"}`;
  await withTool("/v1", { secret: { provider: "acme" } }, async (call) => {
    assert.deepEqual(await call({}), {
      status: 200,
      body: { you: ["[secret]"], "[secret]": 1, half: "\ufffd" },
    });
  }, () => new Response(body, { headers: { "content-type": "application/json" } }));
});

Deno.test("without the account the step says what to do and nothing is sent", async () => {
  await withTool("/v1", { secret: { provider: "other" } }, async (call, { arrivals }) => {
    await assert.rejects(call({}), { code: "secret_not_found" });
    assert.equal(arrivals.length, 0);
  });
});

Deno.test("a failure keeps the service's wish for a pause and not its words", async () => {
  const answers: [Response, string, boolean, number | undefined][] = [
    [
      new Response("secret words", { status: 429, headers: { "retry-after": "3" } }),
      "http_429",
      true,
      3000,
    ],
    [new Response("secret words", { status: 500 }), "http_500", true, undefined],
    [new Response("secret words", { status: 404 }), "http_404", false, undefined],
  ];
  for (const [answer, code, retryable, retryAfterMs] of answers) {
    await withTool("/v1", {}, async (call) => {
      await assert.rejects(
        call({}),
        (error: Error & { code: string; options: Record<string, unknown> }) => {
          assert.deepEqual([error.code, error.options.retryable, error.options.retryAfterMs], [
            code,
            retryable,
            retryAfterMs,
          ]);
          assert.ok(!error.message.includes("secret words"));
          return true;
        },
      );
    }, () => answer);
  }
});

Deno.test("broken JSON is an error, other text is text without what jsonb cannot hold", async () => {
  await withTool("/v1", {}, async (call) => {
    await assert.rejects(call({}), { code: "response_invalid" });
  }, () => new Response("{", { headers: { "content-type": "application/json" } }));
  await withTool("/v1", {}, async (call) => {
    assert.deepEqual(await call({}), { status: 200, body: "ab" });
  }, () => new Response("a\u0000b", { headers: { "content-type": "text/plain" } }));
});
