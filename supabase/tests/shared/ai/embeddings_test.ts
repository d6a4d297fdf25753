import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import {
  configuredEmbedder,
  requiredEmbedder,
} from "../../../../functions-shared/ai/embeddings.ts";
import { openaiEmbedder } from "../../../../functions-shared/ai/embeddings_openai.ts";
import { Problem } from "../../../../functions-shared/http/problem.ts";

interface Asked {
  model: string;
  input: string[];
  encoding_format?: string;
}

/** An endpoint that answers as told; the last answer repeats. */
async function endpoint(
  answers: ((asked: Asked) => Response | Promise<Response>)[],
  use: (url: string, asked: Asked[], headers: Headers[]) => Promise<void>,
) {
  const asked: Asked[] = [];
  const headers: Headers[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const body = await request.json();
    asked.push(body);
    headers.push(request.headers);
    return await answers[Math.min(asked.length, answers.length) - 1]!(body);
  });
  try {
    await use(`http://127.0.0.1:${server.addr.port}/v1/`, asked, headers);
  } finally {
    await server.shutdown();
  }
}
/** Each text becomes [its length, 1]. */
const numbers = ({ input }: Asked) =>
  Response.json({ data: input.map((text, index) => ({ index, embedding: [text.length, 1] })) });
const base64 = ({ input }: Asked) =>
  Response.json({
    data: input.map((text, index) => ({
      index,
      embedding: btoa(
        String.fromCharCode(...new Uint8Array(Float32Array.of(text.length, 1).buffer)),
      ),
    })).reverse(),
  });
const status = (code: number, headers: Record<string, string> = {}) => () =>
  new Response("no", { status: code, headers });
const problem = (code: string) => (error: unknown) =>
  error instanceof Problem && error.code === code;

Deno.test("texts go in batches and come back in order, as base64 or as numbers", async () => {
  for (const answer of [numbers, base64]) {
    await endpoint([answer], async (url, asked, headers) => {
      const embedder = openaiEmbedder({ url, model: "m", key: "k" });
      const texts = Array.from({ length: 200 }, (_, i) => "x".repeat(i + 1));
      const vectors = await embedder.embed(texts);
      deepEqual(vectors.map(([length]) => length), texts.map((text) => text.length));
      deepEqual(asked.map(({ input }) => input.length), [96, 96, 8]);
      equal(asked[0]!.model, "m");
      equal(headers[0]!.get("authorization"), "Bearer k");
    });
  }
});

Deno.test("another model of the same endpoint may be asked", async () => {
  await endpoint([numbers], async (url, asked) => {
    await openaiEmbedder({ url, model: "new" }).embed(["a"], "old");
    equal(asked[0]!.model, "old");
  });
});

Deno.test("overload is waited out; a refusal is not repeated", async () => {
  await endpoint(
    [status(429, { "retry-after": "0" }), status(503), numbers],
    async (url, asked) => {
      const [vector] = await openaiEmbedder({ url, model: "m" }).embed(["abc"]);
      equal(vector![0], 3);
      equal(asked.length, 3);
    },
  );
  await endpoint([status(401)], async (url, asked) => {
    await rejects(openaiEmbedder({ url, model: "m" }).embed(["a"]), problem("embeddings_refused"));
    equal(asked.length, 1);
  });
});

Deno.test("a pause may be asked for by the clock", async () => {
  const until = new Date(Date.now() + 2000).toUTCString();
  await endpoint([status(429, { "retry-after": until }), numbers], async (url) => {
    await openaiEmbedder({ url, model: "m" }).embed(["abc"]);
    ok(Date.now() >= Date.parse(until), "asked again too soon");
  });
});

Deno.test("an endpoint that stays silent, breaks or talks nonsense is a named problem", async () => {
  await endpoint([status(500)], async (url, asked) => {
    await rejects(
      openaiEmbedder({ url, model: "m" }).embed(["a"]),
      (error: unknown) =>
        problem("embeddings_unavailable")(error) && (error as Problem).status === 503,
    );
    equal(asked.length, 3);
  });
  const slow = () =>
    new Promise<Response>((resolve) => setTimeout(() => resolve(status(200)()), 200));
  await endpoint([slow, numbers], async (url) => {
    const [vector] = await openaiEmbedder({ url, model: "m", timeoutMs: 50 }).embed(["ab"]);
    equal(vector![0], 2, "the second attempt answers in time");
  });
  const one = (embedding: unknown) => ({ data: [{ index: 0, embedding }] });
  const nonsense = [null, {}, { data: [] }, { data: [null] }, one("AAA="), one("!!!"), one(["a"])];
  for (const body of [...nonsense, one([1, null, "NaN"]), one([1e300])]) {
    await endpoint([() => Response.json(body)], async (url) => {
      await rejects(
        openaiEmbedder({ url, model: "m" }).embed(["a"]),
        problem("embeddings_unreadable"),
      );
    });
  }
});

Deno.test("vectors without an index come in order, and a text is cut between characters", async () => {
  const bare = ({ input }: Asked) =>
    Response.json({ data: input.map((text) => ({ embedding: [text.length, 1] })) });
  await endpoint([bare], async (url, asked) => {
    const long = "x".repeat(7999) + "🙂";
    const made = await openaiEmbedder({ url, model: "m" }).embed(["a", "abc", long]);
    deepEqual(made.map((vector) => vector[0]), [1, 3, 8000]);
    ok(asked[0]!.input.every((text) => text.isWellFormed()));
  });
});

Deno.test("a model too long for the index is named, a text without a vector is refused", async () => {
  const embedder = (url: string) => openaiEmbedder({ url, model: "m" });
  const said = (embedding: number[]) => () => Response.json({ data: [{ index: 0, embedding }] });
  await endpoint([said(new Array(3072).fill(0.1))], async (url) => {
    await rejects(
      embedder(url).embed(["a"]),
      (error: unknown) =>
        problem("embeddings_unreadable")(error) &&
        /3072 numbers and 1536 .*MIRA_EMBEDDINGS_MODEL/.test((error as Problem).message),
    );
  });
  await endpoint([said([0, 0, 0])], async (url) => {
    await rejects(embedder(url).embed(["a"]), problem("embeddings_refused"));
  });
});

Deno.test("the environment chooses: an endpoint, OpenAI, the runtime's own model, or a clear refusal", async () => {
  const names = [
    "MIRA_EMBEDDINGS_URL",
    "MIRA_EMBEDDINGS_MODEL",
    "MIRA_EMBEDDINGS_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
  ];
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  const global = globalThis as { Supabase?: unknown };
  try {
    for (const name of names) Deno.env.delete(name);
    equal(configuredEmbedder(), undefined);
    try {
      requiredEmbedder();
      ok(false, "must throw");
    } catch (error) {
      ok(problem("embeddings_not_configured")(error));
      equal((error as Problem).status, 503);
      for (const name of ["MIRA_EMBEDDINGS_URL", "OPENAI_API_KEY"]) {
        ok((error as Problem).message.includes(name), "says what to set");
      }
    }
    global.Supabase = {
      ai: {
        Session: class {
          run(text: string) {
            return Promise.resolve([text.length, 1]);
          }
        },
      },
    };
    equal(configuredEmbedder()!.model, "gte-small");
    deepEqual([...(await configuredEmbedder()!.embed(["abc"]))[0]!], [3, 1]);
    await rejects(configuredEmbedder()!.embed(["a"], "other"), problem("embeddings_refused"));
    Deno.env.set("OPENAI_API_KEY", "k");
    equal(configuredEmbedder()!.model, "text-embedding-3-small");
    Deno.env.set("MIRA_EMBEDDINGS_URL", "http://127.0.0.1:1/v1");
    Deno.env.set("MIRA_EMBEDDINGS_MODEL", "mine");
    equal(configuredEmbedder()!.model, "mine");
  } finally {
    delete global.Supabase;
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
