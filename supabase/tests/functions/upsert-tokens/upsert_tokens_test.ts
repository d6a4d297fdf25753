import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { openSecret } from "../../../../functions-shared/vault/open_secret.ts";
import { SecretList } from "../../../../functions-shared/contracts/upsert_tokens.ts";
import { newKeyring } from "../../../../scripts/vault_keys.ts";
import { startStack, type TestUser } from "../../support/stack.ts";
import { startTokenProvider } from "../../support/token_provider.ts";

const provider = startTokenProvider();
const env = {
  VAULT_KEYRING: newKeyring(),
  VAULT_PROVIDERS: JSON.stringify({
    mock: { token_url: provider.tokenUrl, revoke_url: provider.revokeUrl },
  }),
  MOCK_CLIENT_ID: "client",
};
for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
const stack = await startStack({ env });
Deno.test.afterAll(async () => {
  await stack.close();
  await provider.close();
});

const ROUTE = "/functions/v1/upsert-tokens";
const call = async (user: TestUser, path: string, json?: unknown, init: RequestInit = {}) => {
  const response = await stack.fetch(`${ROUTE}${path}`, {
    as: user,
    ...(json === undefined ? {} : { json }),
    ...init,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
};
const open = (user: TestUser, name: string, more: { label?: string; agentName?: string } = {}) =>
  openSecret(stack.service, { userId: user.id, provider: name, purpose: "test", ...more });
/** What the schedule does every minute. */
const work = async () => {
  const response = await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} });
  return (await response.json()).vault;
};
const audit = async (user: TestUser) =>
  (await stack.sql("select action from private.vault_audit where user_id = $1 order by id", [
    user.id,
  ])).map((row) => row.action);

const ACCESS = "ya29.canary-access-Zx81-AbCdEfGh-wxyz";
const REFRESH = "1//canary-refresh-Zx82-AbCdEfGh";
const KEY = "sk-canary-key-Zx83-AbCdEfGhIjKl-9876";

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

Deno.test("a base_url changed in the database does not receive the key", async () => {
  const user = await stack.newUser();
  const metadata = { base_url: "https://llm.example.com/v1" };
  await call(user, "/api-keys", { provider: "openai_compatible", key: KEY, metadata });
  await stack.sql(
    `update api_keys set metadata = '{"base_url": "https://thief.example.com/v1"}' where user_id = $1`,
    [user.id],
  );
  await rejects(open(user, "openai_compatible"), { code: "ciphertext_out_of_place" });
});

Deno.test("a row moved to another person in the database cannot even be written, or does not open", async () => {
  const [owner, thief] = [await stack.newUser(), await stack.newUser()];
  await call(owner, "/", { provider: "google", access_token: ACCESS });
  await call(thief, "/", { provider: "google", access_token: "own" });
  const move = "update user_tokens t set encrypted_access_token = o.encrypted_access_token " +
    "from user_tokens o where t.user_id = $1 and o.user_id = $2";
  await rejects(stack.sql(move, [thief.id, owner.id]), { code: "23503" });
  const other = { provider: "github", access_token: "own-too" };
  await call(owner, "/", other);
  await stack.sql(
    "update user_tokens t set encrypted_access_token = o.encrypted_access_token " +
      "from user_tokens o where t.user_id = $1 and o.user_id = $1 and t.provider = 'github' and o.provider = 'google'",
    [owner.id],
  );
  await rejects(open(owner, "github"), { code: "ciphertext_out_of_place" });
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

Deno.test("nobody deletes, opens or lists another person's credentials", async () => {
  const [owner, other] = [await stack.newUser(), await stack.newUser()];
  const { body: key } = await call(owner, "/api-keys", { provider: "openai", key: KEY });
  await call(owner, "/", { provider: "google", access_token: ACCESS });
  equal((await call(other, `/api-keys/${key.id}`, undefined, { method: "DELETE" })).status, 404);
  equal((await call(other, "/google", undefined, { method: "DELETE" })).status, 404);
  deepEqual((await call(other, "/")).body, { tokens: [], api_keys: [] });
  for (const table of ["user_tokens", "oauth_tokens", "api_keys"]) {
    const { data } = await other.client.from(table).select("id, provider");
    deepEqual(data, [], table);
  }
  const named = { p_user_id: owner.id, p_provider: "google" };
  for (const name of ["get_user_tokens", "delete_user_tokens"]) {
    const { error } = await other.client.rpc(name, named);
    equal(error?.message, "not_your_user", name);
  }
  equal((await open(owner, "openai"))?.secret, KEY);
});

Deno.test("a browser reads masks and no ciphertext, and writes nothing", async () => {
  const user = await stack.newUser();
  await call(user, "/", { provider: "google", access_token: ACCESS, refresh_token: REFRESH });
  await call(user, "/api-keys", { provider: "openai", key: KEY });
  const { data: mine } = await user.client.rpc("get_user_tokens");
  equal(mine[0].masked_token, "****wxyz");
  deepEqual([mine[0].encrypted_access_token, mine[0].encrypted_refresh_token], [null, null]);
  const { data: served } = await stack.service.rpc("get_user_tokens", { p_user_id: user.id });
  match(served[0].encrypted_access_token, /^v1\./);
  equal((await audit(user)).at(-1), "use");
  for (
    const [table, column] of [
      ["user_tokens", "encrypted_access_token"],
      ["user_tokens", "encrypted_refresh_token"],
      ["user_tokens", "generation"],
      ["api_keys", "encrypted_key"],
      ["api_keys", "key_hash"],
    ] as const
  ) {
    const { error } = await user.client.from(table).select(column);
    equal(error?.code, "42501", `${table}.${column}`);
  }
  const writes = [
    await user.client.from("user_tokens").update({ status: "active" }).eq("user_id", user.id),
    await user.client.from("user_tokens").delete().eq("user_id", user.id),
    await user.client.from("api_keys").insert({ user_id: user.id, provider: "x" }),
    await user.client.from("api_keys").update({ metadata: {} }).eq("user_id", user.id),
    await user.client.rpc("upsert_user_tokens", {
      p_user_id: user.id,
      p_provider: "google",
      p_access_token: "x",
    }),
    await user.client.rpc("mira_open_secret", {
      p_user_id: user.id,
      p_provider: "google",
      p_purpose: "theft",
    }),
  ];
  deepEqual(writes.map(({ error }) => error?.code), Array(6).fill("42501"));
});

Deno.test("plaintext is refused by the tables and by seed 004's function, and is not quoted", async () => {
  const CLEAR = "ya29.someone-bypassing-the-vault";
  const user = await stack.newUser();
  const refused = (error: { code: string; message: string; detail?: string }) => {
    ok(["23514", "PT422"].includes(error.code));
    equal(error.message, "plaintext_refused");
    ok(!JSON.stringify(error).includes(CLEAR));
    return true;
  };
  await rejects(
    stack.sql(
      "insert into user_tokens (user_id, provider, encrypted_access_token) values ($1, 'google', $2)",
      [user.id, CLEAR],
    ),
    refused,
  );
  await rejects(
    stack.sql(
      "insert into api_keys (user_id, provider, encrypted_key, key_hash, masked_key) values ($1, 'vanchin', $2, 'hash', 'x')",
      [user.id, CLEAR],
    ),
    refused,
  );
  const { error } = await stack.service.rpc("upsert_user_tokens", {
    p_user_id: user.id,
    p_provider: "google",
    p_access_token: CLEAR,
  });
  equal(error?.message, "plaintext_refused");
  ok(!JSON.stringify(error).includes(CLEAR));
});

Deno.test("what does not fit is refused by rule and pointer, and never echoed", async () => {
  const user = await stack.newUser();
  const token = { provider: "google", access_token: ACCESS };
  const key = { provider: "openai", key: KEY };
  const cases: [string, unknown, string][] = [
    ["/", {}, "/provider"],
    ["/", { ...token, provider: "a b" }, "/provider"],
    ["/", { ...token, provider: "api-keys" }, "/provider"],
    ["/", { ...token, access_token: `${ACCESS} x` }, "/access_token"],
    ["/", { ...token, access_token: `${ACCESS}${"x".repeat(8200)}` }, "/access_token"],
    ["/", { ...token, expires_in: 0 }, "/expires_in"],
    ["/", { ...token, expires_in: 60, expires_at: "2030-01-01T00:00:00Z" }, "/expires_in"],
    ["/", { ...token, expires_at: "tomorrow" }, "/expires_at"],
    ["/", { ...token, scopes: ["a b"] }, "/scopes"],
    ["/api-keys", { ...key, key: "" }, "/key"],
    ["/api-keys", { ...key, label: "" }, "/label"],
    [
      "/api-keys",
      { ...key, metadata: { base_url: "http://llm.example.com" } },
      "/metadata/base_url",
    ],
    ["/api-keys", { ...key, metadata: { base_url: "https://10.0.0.1/v1" } }, "/metadata/base_url"],
    ["/api-keys", { ...key, metadata: { base_url: "https://0x7f.1/v1" } }, "/metadata/base_url"],
    [
      "/api-keys",
      { ...key, metadata: { base_url: "https://u:p@a.example/" } },
      "/metadata/base_url",
    ],
    ["/api-keys", { ...key, metadata: { client_secret: "x" } }, "/metadata/client_secret"],
    ["/api-keys", { ...key, metadata: { note: KEY } }, "/metadata/note"],
    ["/api-keys", { ...key, metadata: { nested: {} } }, "/metadata/nested"],
    ["/api-keys", { ...key, provider: "vanchin" }, "/metadata/endpoint_id"],
    ["/api-keys", { ...key, provider: "openai_compatible" }, "/metadata/base_url"],
  ];
  for (const [path, body, pointer] of cases) {
    const answer = await call(user, path, body);
    equal(answer.status, 422, pointer);
    match(answer.headers.get("content-type") ?? "", /problem\+json/);
    ok(
      answer.body.errors[0].pointer.startsWith(pointer),
      `${answer.body.errors[0].pointer} ${pointer}`,
    );
    ok(!JSON.stringify(answer.body).includes("canary"), pointer);
  }
  equal((await call(user, "/nothing/here")).status, 404);
  equal((await call(user, "/", undefined, { method: "DELETE" })).status, 405);
  equal((await stack.fetch(ROUTE, { as: "secret" })).status, 401);
  equal((await stack.fetch(ROUTE)).status, 401);
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

Deno.test("the canary secrets of this file stand in clear in no table and no line of output", async () => {
  const tables = await stack.sql<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname in ('public', 'private', 'auth')`,
  );
  ok(tables.length > 10);
  for (const { name } of tables) {
    const [found] = await stack.sql(
      `select count(*) as n from ${name} t where t::text like '%canary%'`,
    );
    equal(Number(found.n), 0, name);
  }
  deepEqual(stack.output().split("\n").filter((line) => line.includes("canary")), []);
});
