/** Secrets stored, opened, refreshed, revoked and deleted by their person. */

import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { SecretList } from "../../../../functions-shared/contracts/upsert_tokens.ts";
import {
  ACCESS,
  assertNoCanary,
  audit,
  call,
  KEY,
  open,
  provider,
  REFRESH,
  stack,
  work,
} from "./vault_stack.ts";

Deno.test("supabase-js: a token is stored and comes back as a mask with its state", async () => {
  const user = await stack.newUser();
  const { data, error } = await user.client.functions.invoke("upsert-tokens", {
    body: {
      provider: "Google",
      access_token: ACCESS,
      refresh_token: REFRESH,
      expires_in: 3600,
      scopes: ["https://www.googleapis.com/auth/drive"],
    },
  });
  equal(error, null);
  equal(data.provider, "google");
  equal(data.masked_token, "****wxyz");
  equal(data.status, "active");
  equal(data.has_refresh_token, true);
  const { body } = await call(user, "/");
  SecretList.parse(body);
  equal(body.tokens.length, 1);
  equal(body.tokens[0].last_used_at, null);
  equal((await open(user, "google"))?.secret, ACCESS);
  notEqual((await call(user, "/")).body.tokens[0].last_used_at, null);
  deepEqual(await audit(user), ["store", "use"]);
});

Deno.test("storing again replaces the token and counts its generation", async () => {
  const user = await stack.newUser();
  const first = await call(user, "/", { provider: "google", access_token: "one" });
  const second = await call(user, "/", { provider: "google", access_token: "two" });
  equal(first.body.id, second.body.id);
  equal((await open(user, "google"))?.secret, "two");
  const [row] = await stack.sql("select generation from user_tokens where user_id = $1", [user.id]);
  equal(row.generation, 2);
});

Deno.test("twenty writes of a new person at the same moment all land, on one data key", async () => {
  const user = await stack.newUser();
  const answers = await Promise.all(
    Array.from(
      { length: 20 },
      (_, i) =>
        call(user, "/api-keys", { provider: "openai", key: `key-number-${i}`, label: `l${i}` }),
    ),
  );
  deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  const keys = await stack.sql("select id from private.vault_data_keys where user_id = $1", [
    user.id,
  ]);
  equal(keys.length, 1);
  equal((await open(user, "openai", { label: "l7" }))?.secret, "key-number-7");
});

Deno.test("states follow time and decisions: active, expiring, expired, needs_reauth, revoked", async () => {
  const user = await stack.newUser();
  const state = async (body: Record<string, unknown>) =>
    (await call(user, "/", { provider: "p", access_token: "a", ...body })).body.status;
  equal(await state({}), "active");
  equal(await state({ expires_in: 3600 }), "active");
  equal(await state({ expires_in: 60 }), "expiring");
  equal(await state({ expires_at: "2020-01-01T00:00:00Z" }), "expired");
  await rejects(open(user, "p"), { code: "token_expired" });
  await stack.sql("update user_tokens set status = 'needs_reauth' where user_id = $1", [user.id]);
  const view = await user.client.from("oauth_tokens").select().single();
  equal(view.data?.["status"], "needs_reauth");
  await rejects(open(user, "p"), { code: "needs_reauth" });
  equal((await call(user, "/p", undefined, { method: "DELETE" })).body.status, "revoked");
  equal((await call(user, "/")).body.tokens[0].status, "revoked");
  equal(await open(user, "p"), undefined);
  equal(await state({}), "active");
  equal((await open(user, "p"))?.secret, "a");
});

Deno.test("API keys: several per provider by label or agent, with their settings", async () => {
  const user = await stack.newUser();
  const agent = (n: number) => ({
    provider: "vanchin",
    key: `${KEY}-${n}`,
    metadata: {
      endpoint_id: `ep-lpvcnv-176146734762413347${n}`,
      agent_name: `Agent ${n}`,
      description: "General purpose AI assistant",
      base_url: "https://vanchin.example.com/v1",
    },
  });
  for (const n of [1, 2, 3]) {
    const { status, body } = await call(user, "/api-keys", agent(n));
    equal(status, 200);
    equal(body.label, `Agent ${n}`);
    equal(body.masked_key, `****76-${n}`);
    deepEqual(body.same_key_as, []);
  }
  const opened = await open(user, "vanchin", { agentName: "Agent 2" });
  equal(opened?.secret, `${KEY}-2`);
  equal(opened?.metadata["endpoint_id"], "ep-lpvcnv-1761467347624133472");
  equal((await open(user, "vanchin", { label: "Agent 3" }))?.secret, `${KEY}-3`);
  equal((await open(user, "vanchin"))?.secret, `${KEY}-1`);
  equal(await open(user, "vanchin", { label: "Agent 9" }), undefined);
  const twin = await call(user, "/api-keys", { ...agent(1), label: "spare" });
  deepEqual(twin.body.same_key_as, ["Agent 1"]);
});

Deno.test("delete: an API key and a token are emptied at once and the audit stays", async () => {
  const user = await stack.newUser();
  const { body: key } = await call(user, "/api-keys", { provider: "openai", key: KEY });
  await call(user, "/", { provider: "github", access_token: ACCESS });
  const gone = await call(user, `/api-keys/${key.id}`, undefined, { method: "DELETE" });
  deepEqual([gone.status, gone.body.id, gone.body.status], [200, key.id, "revoked"]);
  equal((await call(user, "/github", undefined, { method: "DELETE" })).status, 200);
  const left = await stack.sql(
    "select encrypted_key as c from api_keys where user_id = $1 union all " +
      "select coalesce(encrypted_access_token, encrypted_refresh_token) from user_tokens where user_id = $1",
    [user.id],
  );
  deepEqual(left.map((row) => row.c), [null, null]);
  equal((await call(user, "/")).body.api_keys.length, 0);
  deepEqual(await audit(user), ["store", "store", "delete", "delete"]);
  for (const path of [`/api-keys/${key.id}`, "/github", "/never", "/Bad%20Name", "/api-keys/7"]) {
    equal((await call(user, path, undefined, { method: "DELETE" })).status, 404, path);
  }
});

Deno.test("the same Idempotency-Key stores once and answers twice", async () => {
  const user = await stack.newUser();
  const headers = { "idempotency-key": crypto.randomUUID() };
  const send = (token: string) =>
    call(user, "/", { provider: "google", access_token: token }, { headers });
  const [first, second] = [await send("one"), await send("one")];
  deepEqual(second.body, first.body);
  equal(second.headers.get("idempotent-replayed"), "true");
  equal((await send("two")).status, 422);
  deepEqual(await audit(user), ["store"]);
});

Deno.test("a due token is refreshed ahead by the worker, and the provider hears of a disconnect", async () => {
  const user = await stack.newUser();
  const granted = provider.grant();
  await call(user, "/", { provider: "mock", ...granted, expires_in: 3600 });
  await stack.sql("update user_tokens set refresh_due_at = now() where user_id = $1", [user.id]);
  const report = await work();
  deepEqual([report.refreshed, report.failed, report.needs_reauth], [1, 0, 0]);
  const opened = await open(user, "mock");
  notEqual(opened?.secret, granted.access_token);
  ok(opened && provider.accepts(opened.secret));
  equal((await work()).refreshed, 0);

  await call(user, "/mock", undefined, { method: "DELETE" });
  await work();
  equal(provider.accepts(opened.secret), false);
  deepEqual(
    await stack.sql("select id from private.token_revocations where user_id = $1", [user.id]),
    [],
  );
  deepEqual(await audit(user), ["store", "refresh", "refreshed", "use", "delete", "revoked"]);
});

Deno.test("a revocation the provider refuses is tried again, and given up with an audit row", async () => {
  const user = await stack.newUser();
  await call(user, "/", { provider: "mock", ...provider.grant() });
  await call(user, "/mock", undefined, { method: "DELETE" });
  for (let attempt = 1; attempt <= 8; attempt++) {
    provider.failures.push({ status: 500 });
    await stack.sql("update private.token_revocations set due_at = now() where user_id = $1", [
      user.id,
    ]);
    equal((await work()).revoked, attempt === 8 ? 1 : 0);
  }
  deepEqual(await audit(user), ["store", "delete", "revoke_failed"]);
});

Deno.test("deleting a person leaves no credential, data key, audit or owed revocation", async () => {
  const user = await stack.newUser();
  await call(user, "/", { provider: "mock", ...provider.grant() });
  await call(user, "/api-keys", { provider: "openai", key: KEY });
  await call(user, "/mock", undefined, { method: "DELETE" });
  await stack.sql("delete from auth.users where id = $1", [user.id]);
  const [left] = await stack.sql(
    `select (select count(*) from user_tokens where user_id = $1)
      + (select count(*) from api_keys where user_id = $1)
      + (select count(*) from private.vault_data_keys where user_id = $1)
      + (select count(*) from private.token_revocations where user_id = $1)
      + (select count(*) from private.vault_audit where user_id = $1) as n`,
    [user.id],
  );
  equal(Number(left.n), 0);
});

Deno.test(
  "the secrets of this file stand in clear in no table and no line of output",
  assertNoCanary,
);
