import assert from "node:assert/strict";
import { chat } from "../../../../functions-shared/ai/chat.ts";
import {
  type ChatEndpoint,
  environmentEndpoint,
  providerEndpoint,
} from "../../../../functions-shared/ai/chat_endpoint.ts";
import { ChatError } from "../../../../functions-shared/ai/chat_error.ts";
import { startLlmServer, tokensOf } from "../../support/llm_server.ts";

const KEY = "sk-canary-0123456789abcdef";
const messages = [{ role: "user" as const, content: "Say hello" }];

async function withServer(
  test: (llm: ReturnType<typeof startLlmServer>, endpoint: ChatEndpoint) => Promise<void>,
) {
  const llm = startLlmServer();
  const prices = { "test-model": { input: 1, output: 2 } };
  try {
    await test(llm, { url: llm.url, key: KEY, model: "test-model", prices });
  } finally {
    await llm.close();
  }
}

const failsWith = (code: string) => (error: unknown) => {
  assert.ok(error instanceof ChatError, String(error));
  assert.equal(error.code, code);
  assert.ok(!error.message.includes(KEY), "the key is quoted");
  return true;
};

Deno.test("an answer comes with its tokens and cost", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ text: "Hello there" });
    const answer = await chat(endpoint, { messages, max_tokens: 50, idempotencyKey: "run:1:0" });
    assert.equal(answer.reply.content, "Hello there");
    const input = tokensOf(JSON.stringify(messages)), output = tokensOf("Hello there" + "[]");
    assert.deepEqual(answer.usage, {
      input_tokens: input,
      output_tokens: output,
      cost_usd: (input + 2 * output) / 1e6,
    });
    const [{ headers, body }] = llm.requests as [typeof llm.requests[0]];
    assert.equal(headers.get("authorization"), `Bearer ${KEY}`);
    assert.equal(headers.get("idempotency-key"), "run:1:0");
    assert.equal(body.max_tokens, 50);
    assert.equal(body.stream, false);
  });
});

Deno.test("tokens arrive as they are written, and streamed tool calls are put together", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ text: "one two three" });
    const seen: string[] = [];
    const { reply, usage } = await chat(endpoint, { messages }, { onToken: (t) => seen.push(t) });
    assert.deepEqual(seen, ["one ", "two ", "three"]);
    assert.equal(reply.content, "one two three");
    assert.equal(usage.output_tokens, tokensOf("one two three[]"));

    llm.say({ toolCalls: [{ name: "a", arguments: { x: 1 } }, { name: "b", arguments: {} }] });
    const tools = [{ name: "a", description: "a", parameters: { type: "object" } }];
    const called = await chat(endpoint, { messages, tools }, { onToken: () => {} });
    assert.deepEqual(called.reply.tool_calls.map(({ name, arguments: args }) => [name, args]), [
      ["a", '{"x":1}'],
      ["b", "{}"],
    ]);
    assert.equal(called.reply.finish, "tool_calls");
  });
});

Deno.test("429 and 503 wait as long as the service says and go on", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say(
      { status: 429, headers: { "retry-after": "1" } },
      { status: 503, headers: { "retry-after-ms": "150" } },
      { text: "ok" },
    );
    const { reply } = await chat(endpoint, { messages });
    assert.equal(reply.content, "ok");
    const [a, b, c] = llm.requests.map(({ at }) => at) as [number, number, number];
    assert.ok(b - a >= 990, `waited ${b - a} ms of 1 s`);
    assert.ok(c - b >= 145 && c - b < 900, `waited ${c - b} ms of 150`);
  });
});

Deno.test("a wait beyond one's patience is told instead of slept through", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ status: 429, headers: { "retry-after": "120" } });
    await assert.rejects(chat(endpoint, { messages }), (error: ChatError) => {
      failsWith("llm_rate_limited")(error);
      assert.equal(error.retryAfterMs, 120_000);
      assert.equal(error.retryable, true);
      return true;
    });
    assert.equal(llm.requests.length, 1);
  });
});

Deno.test("what cannot get better is not tried again", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ status: 401, error: { message: `Incorrect API key provided: ${KEY}` } });
    await assert.rejects(chat(endpoint, { messages }), failsWith("llm_refused"));
    llm.say({ status: 429, error: { message: "no money", code: "insufficient_quota" } });
    await assert.rejects(chat(endpoint, { messages }), failsWith("llm_quota_exhausted"));
    assert.equal(llm.requests.length, 2);
  });
});

Deno.test("broken answers and streams that stop in the middle are errors, not answers", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ garbage: "{not json" });
    await assert.rejects(chat(endpoint, { messages }, { attempts: 1 }), failsWith("llm_bad_reply"));
    llm.say({ cut: "half an ans" });
    const seen: string[] = [];
    await assert.rejects(
      chat(endpoint, { messages }, { onToken: (t) => seen.push(t) }),
      failsWith("llm_bad_reply"),
    );
    assert.ok(seen.length > 0);
    assert.equal(llm.requests.length, 2, "shown text was not asked for again");
  });
});

/** A completion with this message, counted so. */
const said = (message: unknown, usage: unknown = { prompt_tokens: 3, completion_tokens: 2 }) => ({
  garbage: JSON.stringify({ choices: [{ message, finish_reason: "stop" }], usage }),
});

Deno.test("a count of tokens that is missing or impossible is estimated, never believed", async () => {
  await withServer(async (llm, endpoint) => {
    for (
      const usage of [
        null,
        { prompt_tokens: -1e6, completion_tokens: -5 },
        { prompt_tokens: "3", completion_tokens: {} },
        { prompt_tokens: 1e300, completion_tokens: null },
      ]
    ) {
      llm.say(said({ content: "Hello there" }, usage));
      const answer = await chat(endpoint, { messages });
      const { input_tokens: input, output_tokens: output, cost_usd: cost } = answer.usage;
      assert.ok(input > 5 && input < 50 && output > 0 && output < 10, JSON.stringify(answer.usage));
      assert.equal(cost, (input + 2 * output) / 1e6);
    }
    llm.say(said({ content: "" }, { prompt_tokens: 1.2, completion_tokens: 0 }));
    const { usage } = await chat(endpoint, { messages });
    assert.deepEqual([usage.input_tokens, usage.output_tokens], [2, 0], "whole tokens are counted");
  });
});

Deno.test("an answer in a form of its own is understood where it is clear, and else refused as such", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say(said({ content: [{ type: "text", text: "in " }, { type: "text", text: "parts" }] }));
    assert.equal((await chat(endpoint, { messages })).reply.content, "in parts");
    llm.say(said({
      content: null,
      tool_calls: [
        { function: { name: "a", arguments: { x: 1 } } },
        { id: "", type: "function", function: { name: "b", arguments: null } },
        { id: "same", type: "function", function: { name: "c", arguments: "{}" } },
        { id: "same", type: "function", function: { name: "d", arguments: "{}" } },
        { id: "other", type: "custom", custom: { name: "e", input: "" } },
      ],
    }));
    const { reply } = await chat(endpoint, { messages });
    assert.deepEqual(reply.tool_calls, [
      { id: "call_0", name: "a", arguments: '{"x":1}' },
      { id: "call_1", name: "b", arguments: "" },
      { id: "same", name: "c", arguments: "{}" },
      { id: "call_3", name: "d", arguments: "{}" },
    ]);
    const odd = [said(null), said({ content: 42 }), said({ tool_calls: [{ function: {} }] })];
    for (const one of [...odd, { garbage: '{"choices":[null]}' }, { garbage: "[]" }]) {
      llm.say(one);
      await assert.rejects(
        chat(endpoint, { messages }, { attempts: 1 }),
        failsWith("llm_bad_reply"),
        one.garbage,
      );
    }
  });
});

Deno.test("a stream that leaves the indexes of its tool calls out is put together all the same", async () => {
  await withServer(async (llm, endpoint) => {
    const chunk = (delta: unknown, finish_reason: string | null = null) =>
      `data: ${JSON.stringify({ choices: [{ delta, finish_reason }] })}\n\n`;
    const part = (id: string | undefined, name: string | undefined, args: string) =>
      chunk({ tool_calls: [{ id, function: { name, arguments: args } }] });
    llm.say({
      type: "text/event-stream",
      garbage: part("one", "a", '{"x"') + part(undefined, undefined, ":1}") +
        part("two", "b", "{}") + chunk({ refusal: null }, "tool_calls") + "data: [DONE]\n\n",
    });
    const { reply } = await chat(endpoint, { messages }, { onToken: () => {} });
    assert.deepEqual(reply.tool_calls, [
      { id: "one", name: "a", arguments: '{"x":1}' },
      { id: "two", name: "b", arguments: "{}" },
    ]);
  });
});

Deno.test("what no database holds does not come through: NUL, and halves of characters", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ garbage: '{"choices":[{"message":{"content":"a\\u0000b \\ud83d"}}],"usage":null}' });
    assert.equal((await chat(endpoint, { messages })).reply.content, "ab \ufffd");
  });
});

Deno.test("a model that never answers is a time-out though nobody set a deadline", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ text: "late", delayMs: 5_000 });
    await assert.rejects(
      chat(endpoint, { messages }, { timeoutMs: 100 }),
      failsWith("llm_timed_out"),
    );
    assert.equal(llm.requests.length, 1);
  });
});

Deno.test("a model that does not answer in time is a time-out", async () => {
  await withServer(async (llm, endpoint) => {
    llm.say({ text: "late", delayMs: 400 });
    const signal = AbortSignal.timeout(100);
    await assert.rejects(chat(endpoint, { messages }, { signal }), failsWith("llm_timed_out"));
    llm.say({ status: 429, headers: { "retry-after": "5" } });
    const second = AbortSignal.timeout(200);
    const started = performance.now();
    await assert.rejects(
      chat(endpoint, { messages }, { signal: second }),
      failsWith("llm_timed_out"),
    );
    assert.ok(performance.now() - started < 2000, "slept through its own end");
  });
});

Deno.test("nobody there is llm_unavailable", async () => {
  const endpoint = { url: "http://127.0.0.1:1/v1", key: KEY, model: "m", prices: {} };
  await assert.rejects(chat(endpoint, { messages }, { attempts: 1 }), failsWith("llm_unavailable"));
});

const environment = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("without configuration the error names what to set", () => {
  assert.throws(() => environmentEndpoint(environment({})), (error: ChatError) => {
    assert.equal(error.code, "llm_not_configured");
    for (const name of ["MIRA_LLM_URL", "MIRA_LLM_KEY", "MIRA_LLM_MODEL", "OPENAI_API_KEY"]) {
      assert.match(error.message, new RegExp(name));
    }
    return true;
  });
  const half = environment({ MIRA_LLM_URL: "http://127.0.0.1:11434/v1" });
  assert.throws(() => environmentEndpoint(half), /MIRA_LLM_MODEL/);
  const prices = environment({ OPENAI_API_KEY: KEY, MIRA_LLM_PRICES: "{" });
  assert.throws(() => environmentEndpoint(prices), /MIRA_LLM_PRICES/);
});

Deno.test("an OpenAI key goes to OpenAI only, never to another address", () => {
  const both = environment({
    OPENAI_API_KEY: KEY,
    MIRA_LLM_URL: "http://127.0.0.1:11434/v1/",
    MIRA_LLM_MODEL: "llama",
  });
  const endpoint = environmentEndpoint(both);
  assert.deepEqual([endpoint.url, endpoint.key, endpoint.model], [
    "http://127.0.0.1:11434/v1",
    "none",
    "llama",
  ]);
  const openai = environmentEndpoint(environment({ OPENAI_API_KEY: KEY }), "gpt-5");
  assert.deepEqual([openai.url, openai.key, openai.model], [
    "https://api.openai.com/v1",
    KEY,
    "gpt-5",
  ]);
});

Deno.test("a user's key finds its address and model", () => {
  const none = environment({});
  const of = (provider: string, metadata: Record<string, unknown>, model?: string) =>
    providerEndpoint(provider, { secret: KEY, metadata }, model, none);
  assert.equal(of("groq", { model: "m" }).url, "https://api.groq.com/openai/v1");
  assert.equal(of("groq", {}, "m").isForeign, false);
  assert.throws(() => of("groq", {}), { code: "llm_not_configured" });
  const own = of("openai_compatible", { base_url: "https://llm.example.com/v1/", model: "m" });
  assert.deepEqual([own.url, own.model, own.isForeign], ["https://llm.example.com/v1", "m", true]);
  assert.equal(of("vanchin", { endpoint_id: "ep-1" }).model, "ep-1");
  assert.throws(() => of("nobody", {}), { code: "llm_provider_unknown" });
  assert.throws(() => of("constructor", {}), { code: "llm_provider_unknown" });
  assert.throws(() => of("vanchin", {}), { code: "llm_not_configured" });
});
