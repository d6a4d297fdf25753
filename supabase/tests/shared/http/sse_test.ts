import assert from "node:assert/strict";
import { Hono } from "hono";
import type { MiraEnv } from "../../../../functions-shared/http/app.ts";
import { eventStream } from "../../../../functions-shared/http/sse.ts";

/** Events without end, and whether their source was let go. */
function endless() {
  const state = { ended: false };
  async function* source() {
    try {
      for (let id = 1;; id++) {
        yield { id: String(id), event: "tick", data: "x".repeat(1000) };
        await new Promise((resolve) => setTimeout(resolve));
      }
    } finally {
      state.ended = true;
    }
  }
  return { state, source };
}

const serve = (source: Parameters<typeof eventStream>[1], wallMs: number) => {
  const app = new Hono<MiraEnv>();
  app.get("/", (c) => eventStream(c, source, { wallMs }));
  return app.request("/");
};

async function until(fact: () => boolean, ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end && !fact();) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return fact();
}

Deno.test("a client that stays and reads nothing is let go at the wall", async () => {
  const { state, source } = endless();
  const response = await serve(source, 200);
  assert.ok(await until(() => state.ended, 5000), "the source is still held");
  await response.body!.cancel();
});

Deno.test("a client that leaves ends its source at once", async () => {
  const { state, source } = endless();
  const response = await serve(source, 60_000);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  assert.ok(await until(() => state.ended, 5000), "the source is still held");
});

Deno.test("a stream that nears the wall ends after a whole event, so that it can be followed on", async () => {
  const { state, source } = endless();
  const text = await (await serve(source, 200)).text();
  assert.ok(state.ended);
  assert.match(text, /^retry: 1000\n\nid: 1\nevent: tick\n/);
  assert.match(text, /\n\n$/);
});

Deno.test("what breaks a stream is told in our words, its own go to the log", async () => {
  const printed: unknown[] = [];
  const app = new Hono<MiraEnv>();
  app.get("/", (c) => {
    c.set("log", { error: (_: string, more: unknown) => printed.push(more) } as never);
    // deno-lint-ignore require-yield
    return eventStream(c, async function* () {
      await Promise.resolve();
      throw new Error("password is hunter2");
    });
  });
  const text = await (await app.request("/")).text();
  assert.match(text, /event: problem\ndata: \{"code":"stream_failed"/);
  assert.ok(!text.includes("hunter2"), text);
  assert.match(JSON.stringify(printed), /hunter2/);
});
