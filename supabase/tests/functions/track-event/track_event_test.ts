import { deepEqual, equal, match, ok } from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());

const event = (change: Record<string, unknown> = {}) => ({
  event_id: crypto.randomUUID(),
  session_id: crypto.randomUUID(),
  event_type: "click",
  module: "leads",
  page: "/leads",
  ...change,
});
const track = async (user: TestUser, body: unknown) => {
  const response = await stack.fetch("/functions/v1/track-event", { as: user, json: body });
  return { status: response.status, body: await response.json(), headers: response.headers };
};
const stored = (userId: string) =>
  stack.sql("select * from mira_behavioral_events where user_id = $1 order by ingest_seq", [
    userId,
  ]);

Deno.test("supabase-js: a single event is stored for the caller and answered with a receipt", async () => {
  const user = await stack.newUser();
  const { data, error } = await user.client.functions.invoke("track-event", {
    body: event({ target: "button#save", payload: { x: 1 } }),
  });
  equal(error, null);
  deepEqual(data, { accepted: 1, duplicates: 0, rejected: [] });
  const [row] = await stored(user.id);
  equal(row.target, "button#save");
  deepEqual(row.payload, { x: 1 });
});

Deno.test("a batch sent twice, also at the same moment, lands once", async () => {
  const user = await stack.newUser();
  const batch = { events: Array.from({ length: 50 }, () => event()) };
  const receipts = await Promise.all(Array.from({ length: 6 }, () => track(user, batch)));
  const accepted = receipts.reduce((sum, receipt) => sum + receipt.body.accepted, 0);
  const duplicates = receipts.reduce((sum, receipt) => sum + receipt.body.duplicates, 0);
  equal(accepted, 50);
  equal(duplicates, 250);
  equal((await stored(user.id)).length, 50);
});

Deno.test("an event twice in one batch is one event and one duplicate", async () => {
  const user = await stack.newUser();
  const twice = event();
  deepEqual((await track(user, { events: [twice, twice] })).body, {
    accepted: 1,
    duplicates: 1,
    rejected: [],
  });
});

Deno.test("two people may choose the same event id", async () => {
  const [one, two] = [await stack.newUser(), await stack.newUser()];
  const same = event();
  equal((await track(one, same)).body.accepted, 1);
  equal((await track(two, same)).body.accepted, 1);
});

Deno.test("a bad event among good ones is refused by name and the others land", async () => {
  const user = await stack.newUser();
  const bad = [
    event({ event_type: "teleport" }),
    event({ page: undefined }),
    event({ event_id: "7" }),
    event({ extra: true }),
    event({ occurred_at: "yesterday" }),
    event({ payload: { text: "x".repeat(9000) } }),
    "not an event",
    null,
  ];
  const { status, body } = await track(user, { events: [event(), ...bad, event()] });
  equal(status, 200);
  equal(body.accepted, 2);
  deepEqual(body.rejected.map((r: { index: number }) => r.index), [1, 2, 3, 4, 5, 6, 7, 8]);
  match(body.rejected[0].detail, /^event_type: /);
  match(body.rejected[1].detail, /^page: /);
  equal(body.rejected[2].event_id, "7");
  equal(body.rejected[5].code, "payload_too_large");
  equal((await stored(user.id)).length, 2);
});

Deno.test("a receipt names every field that is missing or of another kind, in a person's words", async () => {
  const ada = await stack.newUser();
  const response = await stack.fetch("/functions/v1/track-event", {
    as: ada,
    json: { events: [{ event_id: 5, event_type: "click", module: "leads" }] },
  });
  const { rejected } = await response.json();
  equal(
    rejected[0].detail,
    "event_id: This must be a text. session_id: This is required. page: This is required.",
  );
});

Deno.test("a bad event that comes alone is the request's own error", async () => {
  const user = await stack.newUser();
  const { status, body } = await track(user, event({ event_type: "teleport" }));
  equal(status, 422);
  equal(body.errors[0].pointer, "/event_type");
  const large = await track(user, event({ payload: { text: "x".repeat(9000) } }));
  equal(large.body.code, "payload_too_large");
  deepEqual(await stored(user.id), []);
});

Deno.test("a client clock that is wrong is corrected, and flagged beyond a day", async () => {
  const user = await stack.newUser();
  const at = (hoursOff: number, msAgo: number) =>
    new Date(Date.now() + hoursOff * 3_600_000 - msAgo).toISOString();
  await track(user, { sent_at: at(-3, 0), events: [event({ occurred_at: at(-3, 5000) })] });
  await track(user, { sent_at: at(30, 0), events: [event({ occurred_at: at(30, 5000) })] });
  await track(user, { sent_at: at(0, 0), events: [event({ occurred_at: at(0, 5000) })] });
  await track(user, { events: [event({ occurred_at: at(2, 0) })] });
  const [behind, ahead, right, future] = await stored(user.id);
  for (const row of [behind, ahead, right]) {
    const age = Date.parse(row.received_at) - Date.parse(row.occurred_at);
    ok(age > 3000 && age < 8000, `corrected to about five seconds ago, got ${age} ms`);
  }
  ok(Math.abs(Number(behind.clock_skew_ms) - 3 * 3_600_000) < 5000);
  deepEqual([behind, ahead, right, future].map((row) => row.is_clock_suspect), [
    false,
    true,
    false,
    true,
  ]);
  equal(right.clock_skew_ms, null);
  ok(Date.parse(future.occurred_at) <= Date.parse(future.received_at));
});

Deno.test("secrets, cards and query strings are gone before anything is stored", async () => {
  const user = await stack.newUser();
  const canaries = {
    jwt: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlc2lnbmF0dXJl",
    openai: "sk-proj-abcdefghijklmnopqrstuvwxyz",
    card: "4111 1111 1111 1111",
    supabase: "sb_secret_canarycanarycanary",
  };
  await track(
    user,
    event({
      page: `/reset?token=${canaries.openai}#x`,
      target: `a[href="${canaries.jwt}"]`,
      payload: {
        password: "hunter2-canary",
        note: `pay with ${canaries.card}, key ${canaries.openai}`,
        nested: [{ apiKey: "plain-canary", ok: "kept" }, canaries.supabase, 4111111111111111],
      },
    }),
  );
  const [row] = await stored(user.id);
  const text = JSON.stringify(row);
  for (
    const canary of [
      ...Object.values(canaries),
      "hunter2-canary",
      "plain-canary",
      "4111111111111111",
    ]
  ) {
    ok(!text.includes(canary), `${canary} was stored`);
  }
  equal(row.page, "/reset");
  equal(row.payload.nested[0].ok, "kept");
  ok(!stack.output().includes("canary"));
});

Deno.test("numbers of a user's events grow in the order of commits, without two alike", async () => {
  const user = await stack.newUser();
  await Promise.all(
    Array.from({ length: 8 }, () => track(user, { events: [event(), event(), event()] })),
  );
  const rows = await stored(user.id);
  equal(new Set(rows.map((row) => row.ingest_seq)).size, 24);
  const [head] = await stack.sql("select * from private.behaviour_heads where user_id = $1", [
    user.id,
  ]);
  equal(Number(head.last_seq), Number(rows.at(-1).ingest_seq));
  equal(Number(head.events), 24);
});

Deno.test("people read their own events only, and write none through the Data API", async () => {
  const [one, two] = [await stack.newUser(), await stack.newUser()];
  await track(one, event());
  const seen = await two.client.from("mira_behavioral_events").select("*");
  deepEqual(seen.data, []);
  const forged = await one.client.from("mira_behavioral_events").insert({ user_id: one.id });
  ok(forged.error, "a client may not insert events directly");
  const rpc = await one.client.rpc("mira_ingest_events", {
    p_user_id: two.id,
    p_events: [event()],
  });
  ok(rpc.error, "a client may not call the server's function");
});

Deno.test("the same Idempotency-Key and body replays the receipt; another body is refused", async () => {
  const user = await stack.newUser();
  const body = { events: [event(), event()] };
  const send = async (json: unknown) => {
    const response = await stack.fetch("/functions/v1/track-event", {
      as: user,
      json,
      headers: { "idempotency-key": "batch-1" },
    });
    return {
      status: response.status,
      replayed: response.headers.get("idempotent-replayed"),
      body: await response.json(),
    };
  };
  const first = await send(body);
  const second = await send(body);
  deepEqual(second.body, first.body);
  equal(second.replayed, "true");
  const other = await send({ events: [event()] });
  equal(other.status, 422);
  equal(other.body.code, "idempotency_key_reused");
  const copies = await Promise.all(
    Array.from({ length: 16 }, () =>
      stack.fetch("/functions/v1/track-event", {
        as: user,
        json: body,
        headers: { "idempotency-key": "batch-2" },
      }).then(async (r) => ({
        status: r.status,
        replayed: r.headers.get("idempotent-replayed"),
        body: await r.json(),
      }))),
  );
  equal(copies.filter((copy) => copy.status === 200 && copy.replayed === null).length, 1);
  ok(copies.every((copy) => copy.status === 200 || copy.status === 409));
});

Deno.test("bad requests are answered as problems that name the field and the rule, never a 500", async () => {
  const user = await stack.newUser();
  const send = (init: RequestInit & { raw?: BodyInit; type?: string }) =>
    stack.fetch("/functions/v1/track-event", {
      as: user,
      method: "POST",
      body: init.raw ?? null,
      headers: {
        "content-type": init.type ?? "application/json",
        ...init.headers as Record<string, string>,
      },
    });
  const deep = "[".repeat(40) + "]".repeat(40);
  const cases: [string, RequestInit & { raw?: BodyInit; type?: string }, number, string][] = [
    ["no JSON", { raw: "{" }, 400, "invalid_json"],
    ["broken UTF-8", { raw: new Uint8Array([0x22, 0xff, 0x22]) }, 400, "invalid_json"],
    ["another type", { raw: "{}", type: "text/plain" }, 415, "json_required"],
    [
      "compressed",
      { raw: "{}", headers: { "content-encoding": "gzip" } },
      415,
      "encoding_not_supported",
    ],
    ["too large", { raw: "x".repeat(600_000) }, 413, "body_too_large"],
    ["too deep", { raw: `{"events":[{"payload":${deep}}]}` }, 422, "json_too_deep"],
    ["NUL", { raw: '{"events":["\\u0000"]}' }, 422, "nul_character"],
    ["no events", { raw: '{"events":[]}' }, 422, "invalid_input"],
    ["501 events", { raw: JSON.stringify({ events: Array(501).fill(1) }) }, 422, "invalid_input"],
    ["bad sent_at", { raw: '{"sent_at":"x","events":[1]}' }, 422, "invalid_input"],
    ["prototype", { raw: '{"__proto__":{"events":[]},"events":"x"}' }, 422, "invalid_input"],
  ];
  for (const [name, init, status, code] of cases) {
    const response = await send(init);
    const body = await response.json();
    equal(response.status, status, name);
    equal(body.code, code, name);
    equal(response.headers.get("content-type"), "application/problem+json", name);
    ok(body.type && body.title && body.detail && body.instance, name);
  }
  const pointer = await (await send({ raw: '{"sent_at":"x","events":[1]}' })).json();
  equal(pointer.errors[0].pointer, "/sent_at");
});

Deno.test("wrong verbs answer 405 with Allow, unknown paths 404, and the request id is echoed", async () => {
  const user = await stack.newUser();
  const get = await stack.fetch("/functions/v1/track-event", {
    as: user,
    headers: { "x-request-id": "abc-1" },
  });
  equal(get.status, 405);
  equal(get.headers.get("allow"), "POST");
  equal(get.headers.get("x-request-id"), "abc-1");
  equal((await get.json()).instance, "urn:mira:request:abc-1");
  const none = await stack.fetch("/functions/v1/track-event/none", { as: user, json: {} });
  equal(none.status, 404);
  await none.body?.cancel();
  const preflight = await stack.fetch("/functions/v1/track-event", { method: "OPTIONS" });
  equal(preflight.status, 204);
  ok(preflight.headers.get("access-control-allow-headers")?.includes("idempotency-key"));
});

Deno.test("no one but a signed-in person gets in", async () => {
  const attempts = [
    stack.fetch("/functions/v1/track-event", { json: event() }),
    stack.fetch("/functions/v1/track-event", { json: event(), as: "secret" }),
    stack.fetch("/functions/v1/track-event", { json: event(), as: "cron" }),
    stack.fetch("/functions/v1/track-event", {
      json: event(),
      headers: { authorization: "Bearer x.y.z" },
    }),
  ];
  for (const response of await Promise.all(attempts)) {
    equal(response.status, 401);
    await response.body?.cancel();
  }
});

Deno.test("more than the allowed calls a minute are told when to come back", async () => {
  const user = await stack.newUser();
  await stack.sql(
    "insert into private.rate_limits values ($1, 'track-event', clock_timestamp() + interval '60 seconds')",
    [user.id],
  );
  const { status, body, headers } = await track(user, event());
  equal(status, 429);
  equal(body.code, "rate_limited");
  ok(Number(headers.get("retry-after")) >= 1);
});

Deno.test("parallel callers never exceed a rate limit", async () => {
  const waits = await Promise.all(
    Array.from({ length: 64 }, () =>
      stack.service.rpc("mira_take_rate_limit", {
        p_subject: "parallel",
        p_action: "test",
        p_limit: 10,
        p_window_seconds: 3600,
      })),
  );
  equal(waits.filter(({ data }) => data === 0).length, 10);
});
