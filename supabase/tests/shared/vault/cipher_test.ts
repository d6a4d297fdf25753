import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { crc32 } from "../../../../functions-shared/vault/bytes.ts";
import {
  newDataKey,
  openForSealing,
  rewrapDataKey,
} from "../../../../functions-shared/vault/data_key.ts";
import { type Keyring, keyring, parseKeyring } from "../../../../functions-shared/vault/keyring.ts";
import { mask } from "../../../../functions-shared/vault/mask.ts";
import type { Place } from "../../../../functions-shared/vault/place.ts";
import { fingerprint, seal } from "../../../../functions-shared/vault/seal.ts";
import { unseal } from "../../../../functions-shared/vault/unseal.ts";
import { addKey, newKeyring, removeKey } from "../../../../scripts/vault_keys.ts";

const SECRET = "ya29.a0AfB_canary-Zx81";
const userId = "6f0d4c1e-5d1c-4b0f-9a55-3f5ad1f0c001";
const place: Place = {
  userId,
  provider: "google",
  field: "access_token",
  generation: 3,
  label: "work",
  baseUrl: "https://api.example.com/v1",
};
const code = (expected: string) => (error: unknown) =>
  (error as { code?: string }).code === expected && !`${(error as Error).message}`.includes(SECRET);

async function sealed(ring: Keyring) {
  const wrapped = await newDataKey(ring, userId);
  const text = await seal(await openForSealing(ring, userId, wrapped), place, SECRET);
  return { wrapped, text };
}

Deno.test("what was sealed opens at its own place, and looks like nothing", async () => {
  const ring = await parseKeyring(newKeyring());
  const { wrapped, text } = await sealed(ring);
  equal(await unseal(ring, wrapped.wrapped_key, place, text), SECRET);
  match(text, new RegExp(`^v1\\.${wrapped.id}\\.[\\w-]{16}\\.[\\w-]+\\.[0-9a-f]{8}$`));
  ok(!text.includes("canary"));
  const key = await openForSealing(ring, userId, wrapped);
  notEqual(await seal(key, place, SECRET), text);
});

Deno.test("the person's id is the same in upper and lower case", async () => {
  const ring = await parseKeyring(newKeyring());
  const { wrapped, text } = await sealed(ring);
  const upper = { ...place, userId: userId.toUpperCase() };
  equal(await unseal(ring, wrapped.wrapped_key, upper, text), SECRET);
});

const moves: Record<string, Partial<Place>> = {
  "another person": { userId: "6f0d4c1e-5d1c-4b0f-9a55-3f5ad1f0c002" },
  "another provider": { provider: "github" },
  "another field": { field: "refresh_token" },
  "a later generation": { generation: 4 },
  "an earlier generation": { generation: 2 },
  "another label": { label: "home" },
  "another address": { baseUrl: "https://evil.example.com/v1" },
  "provider and label shifted into each other": { provider: "googlew", label: "ork" },
};
for (const [name, change] of Object.entries(moves)) {
  Deno.test(`a ciphertext moved to ${name} does not open`, async () => {
    const ring = await parseKeyring(newKeyring());
    const { wrapped, text } = await sealed(ring);
    await rejects(
      unseal(ring, wrapped.wrapped_key, { ...place, ...change }, text),
      code(change.userId ? "data_key_out_of_place" : "ciphertext_out_of_place"),
    );
  });
}

Deno.test("a ciphertext under another data key of the same person does not open", async () => {
  const ring = await parseKeyring(newKeyring());
  const { text } = await sealed(ring);
  const other = await newDataKey(ring, userId);
  await rejects(unseal(ring, other.wrapped_key, place, text), code("data_key_out_of_place"));
});

Deno.test("person and data key are bound to the credential itself, not only through the data key", async () => {
  const ring = await parseKeyring(newKeyring());
  const wrapped = await newDataKey(ring, userId);
  const key = await openForSealing(ring, userId, wrapped);
  const forOther = await seal(key, { ...place, userId: crypto.randomUUID() }, SECRET);
  const otherId = crypto.randomUUID();
  const renamed = (await seal({ ...key, id: otherId }, place, SECRET))
    .replace(otherId, wrapped.id).replace(/\.[^.]*$/, "");
  for (const text of [forOther, `${renamed}.${crc32(renamed)}`]) {
    await rejects(
      unseal(ring, wrapped.wrapped_key, place, text),
      code("ciphertext_out_of_place"),
    );
  }
});

Deno.test("with the other person's data key copied along it still does not open", async () => {
  const ring = await parseKeyring(newKeyring());
  const { wrapped, text } = await sealed(ring);
  const thief = { ...place, userId: crypto.randomUUID() };
  await rejects(unseal(ring, wrapped.wrapped_key, thief, text), code("data_key_out_of_place"));
});

Deno.test("cut, mangled and foreign texts are named as damaged, every single cut of them", async () => {
  const ring = await parseKeyring(newKeyring());
  const { wrapped, text } = await sealed(ring);
  for (let length = 0; length < text.length; length++) {
    await rejects(
      unseal(ring, wrapped.wrapped_key, place, text.slice(0, length)),
      code("ciphertext_damaged"),
    );
  }
  for (let at = 40; at < text.length; at += 7) {
    const other = text[at] === "A" ? "B" : "A";
    const bent = text.slice(0, at) + other + text.slice(at + 1);
    await rejects(
      unseal(ring, wrapped.wrapped_key, place, bent),
      code("ciphertext_damaged"),
    );
  }
  await rejects(unseal(ring, wrapped.wrapped_key, place, SECRET), code("ciphertext_damaged"));
});

Deno.test("a lost root key, a wrong one and a cut data key have three different errors", async () => {
  const text = newKeyring();
  const ring = await parseKeyring(text);
  const { wrapped, text: ciphertext } = await sealed(ring);
  const id = ring.active.id;
  const open = (other: Keyring, key = wrapped.wrapped_key) => unseal(other, key, place, ciphertext);
  const without = await parseKeyring(removeKey(JSON.parse(addKey(JSON.parse(text))), id));
  await rejects(open(without), code("root_key_missing"));
  const impostor = await parseKeyring(newKeyring().replaceAll(/"[\d-]{7}"/g, `"${id}"`));
  await rejects(open(impostor), code("root_key_wrong"));
  await rejects(open(ring, wrapped.wrapped_key.slice(0, -1)), code("data_key_damaged"));
  const bent = wrapped.wrapped_key.replace(/..$/, (end) => end === "AA" ? "BB" : "AA");
  await rejects(open(ring, bent), code("data_key_out_of_place"));
});

Deno.test("rotation: a re-wrapped data key opens the old ciphertext without the old root key", async () => {
  const first = newKeyring();
  const old = await parseKeyring(first);
  const { wrapped, text } = await sealed(old);
  const both = addKey(JSON.parse(first));
  const wrapped_key = await rewrapDataKey(await parseKeyring(both), userId, wrapped);
  const only = await parseKeyring(removeKey(JSON.parse(both), old.active.id));
  equal(await unseal(only, wrapped_key, place, text), SECRET);
  await rejects(unseal(old, wrapped_key, place, text), code("root_key_missing"));
});

Deno.test("keys in memory cannot be read back, and a writer's key cannot decrypt", async () => {
  const ring = await parseKeyring(newKeyring());
  const key = await openForSealing(ring, userId, await newDataKey(ring, userId));
  for (const each of [ring.active.wrapping, key.cipher, key.mac]) {
    equal(each.extractable, false);
    await rejects(crypto.subtle.exportKey("raw", each));
  }
  deepEqual(key.cipher.usages, ["encrypt"]);
});

Deno.test("fingerprints are equal for one person's equal keys and unrelated across people", async () => {
  const ring = await parseKeyring(newKeyring());
  const print = async (
    user: string,
    wrapped: Awaited<ReturnType<typeof newDataKey>>,
    p = "openai",
  ) => await fingerprint(await openForSealing(ring, user, wrapped), p, SECRET);
  const [mine, theirs] = [await newDataKey(ring, userId), await newDataKey(ring, "b")];
  equal(await print(userId, mine), await print(userId, mine));
  notEqual(await print(userId, mine), await print("b", theirs));
  notEqual(await print(userId, mine), await print(userId, mine, "google"));
});

Deno.test("a ring that cannot be used says why and shows no key", async () => {
  const key = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v";
  const cases: Record<string, RegExp> = {
    "": /not JSON/,
    "nonsense": /not JSON/,
    "null": /"active" must name/,
    "[]": /"active" must name/,
    '{"active":"a"}': /"keys" must be an object/,
    '{"active":"a","keys":[]}': /"keys" must be an object/,
    '{"active":"a","keys":{}}': /holds no key/,
    [`{"active":"b","keys":{"a":"${key}"}}`]: /not in "keys"/,
    [`{"active":"a","keys":{"a":"${key.slice(1)}"}}`]: /"a" must be 32 bytes/,
    [`{"active":"a","keys":{"a":"${key}A"}}`]: /"a" must be 32 bytes/,
    '{"active":"a","keys":{"a":7}}': /"a" must be 32 bytes/,
    [`{"active":"a","keys":{"a":"${"A".repeat(43)}"}}`]: /"a" is not random/,
    [`{"active":"a","keys":{"a":"${key}","b":"${key}="}}`]: /are the same key/,
    [`{"active":"a","keys":{"a":"${key}","a":"${key.replace("A1", "Z9")}"}}`]: /appears twice/,
    [`{"active":"a.b","keys":{"a.b":"${key}"}}`]: /a key id has/,
  };
  for (const [text, why] of Object.entries(cases)) {
    await rejects(parseKeyring(text), (error: Error & { code: string; status: number }) => {
      equal(error.code, "keyring_invalid");
      equal(error.status, 503);
      match(error.message, why);
      ok(!error.message.includes(key.slice(1, 20)) && error.cause === undefined);
      return true;
    });
  }
});

Deno.test("a missing ring is a rejection that names the variable, not a crash at the start", async () => {
  Deno.env.delete("VAULT_KEYRING");
  const promise = keyring();
  await rejects(promise, { code: "not_configured", status: 503, message: /VAULT_KEYRING/ });
});

Deno.test("generated rings are usable, grow and shrink, and never lose the active key", async () => {
  const one = JSON.parse(newKeyring());
  const two = JSON.parse(addKey(one));
  const three = JSON.parse(addKey(two));
  equal(Object.keys(three.keys).length, 3);
  equal((await parseKeyring(JSON.stringify(three))).active.id, three.active);
  notEqual(newKeyring(), newKeyring());
  await rejects(async () => await removeKey(one, one.active), /active key/);
  await rejects(async () => await removeKey(one, "nope"), /no key/);
});

Deno.test("a mask shows four characters of a long secret and none of a short one", () => {
  equal(mask("sk-0123456789abcdefghij"), "****ghij");
  equal(mask("WW8G7T9g-short"), "****");
  equal(mask(""), "****");
});
