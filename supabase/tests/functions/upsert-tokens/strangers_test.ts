/** Who must not get at a secret: other people, browsers, whoever writes the tables; and what is refused. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import {
  ACCESS,
  assertNoCanary,
  audit,
  call,
  KEY,
  open,
  REFRESH,
  ROUTE,
  stack,
} from "./vault_stack.ts";

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

Deno.test(
  "the secrets of this file stand in clear in no table and no line of output",
  assertNoCanary,
);
