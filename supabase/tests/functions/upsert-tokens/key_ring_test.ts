/** The key ring over a life: broken, rotated by the task, and a data key that grows old. */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { openSecret } from "../../../../functions-shared/vault/open_secret.ts";
import { addKey, newKeyring, removeKey } from "../../../../scripts/vault_keys.ts";
import { startStack, type TestStack, type TestUser } from "../../support/stack.ts";

const ROUTE = "/functions/v1/upsert-tokens";
const first = newKeyring();
const oldId = JSON.parse(first).active;
const both = addKey(JSON.parse(first));

const store = async (stack: TestStack, user: TestUser, label: string) => {
  const json = { provider: "openai", key: `key-of-${label}`, label };
  equal((await stack.fetch(`${ROUTE}/api-keys`, { as: user, json })).status, 200);
};
const open = async (stack: TestStack, user: TestUser, label: string) => {
  const ask = { userId: user.id, provider: "openai", label, purpose: "test" };
  return (await openSecret(stack.service, ask))?.secret;
};
async function task(name: string, args: string[], env: Record<string, string>) {
  const root = new URL("../../../../", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", "--no-check", `${root}scripts/${name}.ts`, ...args],
    env: { VAULT_KEYRING: "", ...env },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("a broken ring is told at the start and to every request, and stores nothing", async () => {
  const stack = await startStack({ env: { VAULT_KEYRING: '{"active":"x","keys":{}}' } });
  try {
    const user = await stack.newUser();
    for (const init of [{}, { json: { provider: "google", access_token: "canary-token" } }]) {
      const response = await stack.fetch(ROUTE, { as: user, ...init });
      const body = await response.json();
      deepEqual([response.status, body.code], [503, "keyring_invalid"]);
      match(body.detail, /VAULT_KEYRING cannot be used: it holds no key/);
    }
    match(stack.output(), /"keyring_invalid"/);
    ok(!stack.output().includes("canary"));
  } finally {
    await stack.close();
  }
});

Deno.test("vault:rotate moves everybody to the new root key and says which may leave", async () => {
  const stack = await startStack({ env: { VAULT_KEYRING: first } });
  try {
    const users = await Promise.all(Array.from({ length: 5 }, () => stack.newUser()));
    for (const user of users) await store(stack, user, "mine");
    const env = { SUPABASE_URL: stack.url, SUPABASE_SECRET_KEY: stack.secretKey };

    // a person whose data key another ring wrapped holds the old key back, and is counted
    const [stranger] = users;
    const [kept] = await stack.sql(
      "select wrapped_key from private.vault_data_keys where user_id = $1",
      [stranger!.id],
    );
    const bend = "update private.vault_data_keys set wrapped_key = $2 where user_id = $1";
    const bent = kept.wrapped_key.replace(/^(w1\.[^.]+\.)[^.]+/, "$1AAAAAAAA");
    await stack.sql(bend, [stranger!.id, bent]);
    const partial = await task("vault_rotate", [], { ...env, VAULT_KEYRING: both });
    equal(partial.code, 1);
    match(partial.out, /Re-wrapped: 4\./);
    match(partial.out, /Not opened: 1 \(root_key_wrong\)/);
    match(partial.out, new RegExp(`Left on root key ${oldId}: 1\\. It must stay`));

    await stack.sql(bend, [stranger!.id, kept.wrapped_key]);
    const file = await Deno.makeTempFile();
    const { url, secretKey } = stack;
    await Deno.writeTextFile(
      file,
      `API_URL=${url}\nSECRET_KEY=${secretKey}\nVAULT_KEYRING=${both}\n`,
    );
    const whole = await task("vault_rotate", ["--env", file], {});
    await Deno.remove(file);
    equal(whole.code, 0, whole.err);
    match(whole.out, /Re-wrapped: 1\./);
    match(whole.out, new RegExp(`Root key ${oldId} wraps nothing: it may leave`));

    Deno.env.set("VAULT_KEYRING", removeKey(JSON.parse(both), oldId));
    for (const user of users) equal(await open(stack, user, "mine"), "key-of-mine");
    Deno.env.set("VAULT_KEYRING", first);
    await rejects(open(stack, users[1]!, "mine"), { code: "root_key_missing", status: 503 });
    Deno.env.set(
      "VAULT_KEYRING",
      newKeyring().replace(/"[\d-]{7}":/, `"${oldId}-x":`)
        .replace(/"active":"[^"]+"/, `"active":"${oldId}-x"`),
    );
    await rejects(open(stack, users[1]!, "mine"), { code: "root_key_missing" });
  } finally {
    await stack.close();
  }
});

Deno.test("a data key older than 180 days retires with the next write and goes when it opens nothing", async () => {
  Deno.env.set("VAULT_KEYRING", first);
  const stack = await startStack({ env: { VAULT_KEYRING: first } });
  try {
    const user = await stack.newUser();
    const keys = () =>
      stack.sql(
        "select retired_at is null as is_current from private.vault_data_keys where user_id = $1 order by created_at",
        [user.id],
      );
    await store(stack, user, "a");
    await store(stack, user, "b");
    const age = "update private.vault_data_keys set created_at = created_at - interval '181 days'";
    await stack.sql(age);
    await store(stack, user, "a");
    deepEqual((await keys()).map((key) => key.is_current), [false, true]);
    deepEqual([await open(stack, user, "a"), await open(stack, user, "b")], [
      "key-of-a",
      "key-of-b",
    ]);
    await store(stack, user, "b");
    await stack.sql(age);
    await store(stack, user, "c");
    deepEqual((await keys()).map((key) => key.is_current), [false, true], "the first is gone");
    for (const label of ["a", "b", "c"]) equal(await open(stack, user, label), `key-of-${label}`);
  } finally {
    await stack.close();
  }
});

Deno.test("vault:keys prints one line, and never a new ring over an old one", async () => {
  const fresh = await task("vault_keys", [], {});
  match(fresh.out, /^supabase secrets set VAULT_KEYRING='\{"active":"[\w-]+","keys":\{.+\}\}'\n$/);
  equal((await task("vault_keys", [], { VAULT_KEYRING: first })).code, 1);
  const added = await task("vault_keys", ["--add"], { VAULT_KEYRING: first });
  equal(Object.keys(JSON.parse(added.out.split("'")[1]!).keys).length, 2);
  const broken = await task("vault_keys", ["--add"], { VAULT_KEYRING: "{canary" });
  equal(broken.code, 1);
  ok(!broken.err.includes("canary"));
});
