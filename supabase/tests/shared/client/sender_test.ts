import assert from "node:assert/strict";
import { createMira, type MiraOptions } from "../../../../functions-shared/client/mod.ts";
import { Outbox } from "../../../../functions-shared/client/outbox.ts";
import { Sender } from "../../../../functions-shared/client/sender.ts";
import { createTransport } from "../../../../functions-shared/client/transport.ts";
import { memoryStorage } from "../../../../functions-shared/client/storage.ts";

interface Sent {
  event_id: string;
  target?: string;
  session_id: string;
}

/** A stand-in for supabase-js with one person who can come and go. */
function person(id: string | null) {
  // deno-lint-ignore no-explicit-any
  let tell: ((event: any, session: any) => void) | undefined;
  const session = (who: string | null) =>
    who ? { access_token: `jwt-${who}`, user: { id: who } } : null;
  let current = session(id);
  return {
    auth: {
      getSession: () => Promise.resolve({ data: { session: current } }),
      // deno-lint-ignore no-explicit-any
      onAuthStateChange(callback: (event: any, session: any) => void) {
        tell = callback;
        queueMicrotask(() => callback("INITIAL_SESSION", current));
        return { data: { subscription: { unsubscribe() {} } } };
      },
    },
    become(who: string | null) {
      current = session(who);
      tell?.("SIGNED_IN", current);
    },
  };
}

/** A server that answers as told and remembers every batch. */
function server(answer: (events: Sent[], attempt: number) => Response | Promise<Response>) {
  const batches: Sent[][] = [];
  const requests: Request[] = [];
  const send = (async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    requests.push(request);
    const { events } = await request.json();
    batches.push(events);
    return await answer(events, batches.length);
  }) as typeof fetch;
  return { send, batches, requests };
}

const ok = (events: unknown[]) =>
  Response.json({ accepted: events.length, duplicates: 0, rejected: [] });
const problem = (status: number, headers = {}) =>
  Response.json({ code: "no", detail: "No." }, { status, headers });

async function withMira(
  who: ReturnType<typeof person>,
  send: typeof fetch,
  use: (mira: ReturnType<typeof createMira>) => Promise<void>,
  more: MiraOptions = {},
) {
  const mira = createMira(who, {
    url: "http://mira.test/",
    key: "publishable",
    storage: memoryStorage(),
    fetch: send,
    ...more,
  });
  try {
    await Promise.resolve();
    await use(mira);
  } finally {
    mira.close();
  }
}

Deno.test("a batch carries the person's token, the key, ids and the time it was sent", async () => {
  const { send, batches, requests } = server(ok);
  await withMira(person("ana"), send, async (mira) => {
    assert.equal(mira.track("lead_called", { outcome: "reached" }), true);
    assert.equal(
      mira.track("click", {}, { target: "save", page: "/leads/1", module: "crm" }),
      true,
    );
    await mira.flush();
    assert.deepEqual(mira.stats(), { sent: 2, duplicates: 0, rejected: 0, dropped: 0, queued: 0 });
  });
  assert.equal(requests[0]!.url, "http://mira.test/functions/v1/track-event");
  assert.equal(requests[0]!.headers.get("authorization"), "Bearer jwt-ana");
  assert.equal(requests[0]!.headers.get("apikey"), "publishable");
  const [custom, click] = batches[0]! as unknown as Record<string, unknown>[];
  assert.equal(custom!["event_type"], "custom");
  assert.equal(custom!["target"], "lead_called");
  assert.equal(click!["event_type"], "click");
  assert.equal(click!["module"], "crm");
  assert.equal(custom!["session_id"], click!["session_id"]);
  assert.notEqual(custom!["event_id"], click!["event_id"]);
});

Deno.test("after a failure that may pass, the same ids are sent again", async () => {
  const { send, batches } = server((events, attempt) => attempt === 1 ? problem(503) : ok(events));
  await withMira(person("ana"), send, async (mira) => {
    mira.track("a");
    await mira.flush();
    assert.equal(mira.stats().queued, 1);
    await mira.flush();
    assert.equal(mira.stats().queued, 0);
  });
  assert.deepEqual(batches[0], batches[1]);
});

Deno.test("a server that cannot be reached is an offline problem, never an exception", async () => {
  const codes: string[] = [];
  const down = (() => Promise.reject(new TypeError("down"))) as typeof fetch;
  await withMira(person("ana"), down, async (mira) => {
    mira.track("a");
    await mira.flush();
    assert.equal(mira.stats().queued, 1);
  }, { onProblem: ({ code }) => codes.push(code) });
  assert.deepEqual(codes, ["offline"]);
});

Deno.test("a batch that is refused is halved until only the event at fault is lost", async () => {
  const { send } = server((events) =>
    events.some((e) => e.target === "bad") ? problem(400) : ok(events)
  );
  const lost: (string | undefined)[] = [];
  await withMira(person("ana"), send, async (mira) => {
    for (let n = 0; n < 20; n++) mira.track(n === 13 ? "bad" : `good ${n}`);
    await mira.flush();
    assert.deepEqual(mira.stats(), { sent: 19, duplicates: 0, rejected: 1, dropped: 0, queued: 0 });
  }, { onProblem: (what) => lost.push(what.code) });
  assert.deepEqual(lost, ["refused"]);
});

Deno.test("a rejected event is reported with its reason and not sent again", async () => {
  const { send, batches } = server((events) =>
    Response.json({
      accepted: events.length - 1,
      duplicates: 0,
      rejected: [{ index: 0, event_id: events[0]!.event_id, code: "too_big", detail: "Too big." }],
    })
  );
  const heard: string[] = [];
  await withMira(person("ana"), send, async (mira) => {
    mira.track("a");
    mira.track("b");
    await mira.flush();
    await mira.flush();
    assert.equal(mira.stats().rejected, 1);
  }, { onProblem: (what) => heard.push(what.detail) });
  assert.equal(batches.length, 1);
  assert.deepEqual(heard, ["too_big: Too big."]);
});

Deno.test("what happens before the session is known belongs to whoever is signed in", async () => {
  const { send, batches } = server(ok);
  const who = person("ana");
  const mira = createMira(who, {
    url: "http://m",
    key: "k",
    storage: memoryStorage(),
    fetch: send,
  });
  assert.equal(mira.track("early"), true);
  await Promise.resolve();
  await mira.flush();
  mira.close();
  assert.equal(batches[0]?.[0]?.target, "early");
});

Deno.test("nothing is recorded while nobody is signed in, and each person gets their own session", async () => {
  const { send, batches } = server(ok);
  const who = person(null);
  await withMira(who, send, async (mira) => {
    assert.equal(mira.track("nobody"), false);
    who.become("ana");
    mira.track("ana's");
    await mira.flush();
    who.become("ben");
    mira.track("ben's");
    await mira.flush();
  });
  assert.deepEqual(batches.map((batch) => batch.map((e) => e.target)), [["ana's"], ["ben's"]]);
  assert.notEqual(batches[0]![0]!.session_id, batches[1]![0]!.session_id);
});

Deno.test("opting out forgets what was not sent, lasts, and can be taken back", async () => {
  const { send, batches } = server(ok);
  const storage = memoryStorage();
  await withMira(person("ana"), send, async (mira) => {
    mira.track("a");
    mira.optOut();
    assert.equal(mira.track("b"), false);
    await mira.flush();
  }, { storage });
  await withMira(person("ana"), send, async (mira) => {
    assert.equal(mira.optedOut, true);
    assert.equal(mira.track("c"), false);
    mira.optIn();
    assert.equal(mira.track("d"), true);
    await mira.flush();
  }, { storage });
  assert.deepEqual(batches.map((batch) => batch.map((e) => e.target)), [["d"]]);
});

Deno.test("a payload that is no JSON or over 8 KiB is refused at once", async () => {
  const codes: string[] = [];
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  await withMira(person("ana"), server(ok).send, (mira) => {
    assert.equal(mira.track("a", circle), false);
    assert.equal(mira.track("b", { text: "x".repeat(9000) }), false);
    return Promise.resolve();
  }, { onProblem: ({ code }) => codes.push(code) });
  assert.deepEqual(codes, ["unserializable", "unserializable"]);
});

Deno.test("concurrent flushes share one request", async () => {
  const { send, batches } = server(async (events) => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return ok(events);
  });
  await withMira(person("ana"), send, async (mira) => {
    mira.track("a");
    await Promise.all([mira.flush(), mira.flush(), mira.flush()]);
  });
  assert.equal(batches.length, 1);
});

Deno.test("a closing page hands over at most 60 KB, once, and keeps it until the receipt", async () => {
  const { send, batches, requests } = server(ok);
  const outbox = new Outbox(memoryStorage(), 1000);
  for (let n = 0; n < 400; n++) {
    outbox.add("ana", {
      event_id: crypto.randomUUID(),
      session_id: crypto.randomUUID(),
      event_type: "click",
      module: "leads",
      page: "/leads",
      payload: { label: "ü".repeat(200) },
      occurred_at: new Date().toISOString(),
    }, Date.now() + n);
  }
  const transport = createTransport(person("ana"), { url: "http://m", key: "k", fetch: send });
  const sender = new Sender(
    outbox,
    transport,
    () => ({ access_token: "jwt", user: { id: "ana" } }),
    50,
    () => {},
  );
  sender.flushOnExit(); // hidden
  sender.flushOnExit(); // and closed
  assert.equal(outbox.size("ana"), 400);
  while (outbox.size("ana") === 400) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(requests[0]!.keepalive, true);
  const bytes = batches.map((events) =>
    new TextEncoder().encode(JSON.stringify({ events })).length
  );
  assert.ok(bytes.every((size) => size > 50_000 && size < 61_000), String(bytes));
  const ids = batches.flat().map((event) => event.event_id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(outbox.size("ana"), 400 - ids.length);
});
