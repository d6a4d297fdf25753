/**
 * `deno task bench vault`: what sealing, opening and re-wrapping cost, on one core, without a
 * database.
 *
 * Baselines: the published scheme of Nango (one key, AES-256-GCM without associated data,
 * node:crypto) for the cipher, and rotation without data keys (decrypt and encrypt every
 * credential) for re-wrapping. Both sides run in alternating rounds; figures are the fastest round
 * of each, which other work on the machine disturbs least.
 */

import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import {
  newDataKey,
  openForSealing,
  rewrapDataKey,
} from "../../functions-shared/vault/data_key.ts";
import { parseKeyring } from "../../functions-shared/vault/keyring.ts";
import type { Place } from "../../functions-shared/vault/place.ts";
import { seal } from "../../functions-shared/vault/seal.ts";
import { unseal } from "../../functions-shared/vault/unseal.ts";
import { addKey, newKeyring } from "../vault_keys.ts";
import type { BenchContext, BenchRow } from "./types.ts";

const ROUNDS = 25;
const PER_ROUND = 400;
/** As long as a Google access token. */
const SECRET = `ya29.${"aB3-_x".repeat(36)}`;
/** Credentials of one person in the rotation without data keys: OAuth pairs and a few API keys. */
const CREDENTIALS_PER_PERSON = 4;

/** Measures the vault's cipher and rotation. */
export async function bench(context: BenchContext): Promise<BenchRow[]> {
  const text = newKeyring();
  const old = await parseKeyring(text);
  const ring = await parseKeyring(addKey(JSON.parse(text)));
  const userId = crypto.randomUUID();
  const wrapped = await newDataKey(old, userId);
  const key = await openForSealing(ring, userId, wrapped);
  const place: Place = { userId, provider: "google", field: "access_token", generation: 1 };
  const sealed = await seal(key, place, SECRET);
  const plain = randomBytes(32);
  const theirs = plainEncrypt(plain, SECRET);

  context.log(`${ROUNDS} rounds of ${PER_ROUND}, a secret of ${SECRET.length} characters`);
  const [encrypt, plainEnc, decrypt, plainDec, rewrap, reencrypt] = await alternate([
    () => seal(key, place, SECRET),
    () => plainEncrypt(plain, SECRET),
    () => unseal(ring, wrapped.wrapped_key, place, sealed),
    () => plainDecrypt(plain, theirs),
    () => rewrapDataKey(ring, userId, wrapped),
    async () => {
      for (let n = 0; n < CREDENTIALS_PER_PERSON; n++) {
        const secret = await unseal(ring, wrapped.wrapped_key, place, sealed);
        await seal(key, place, secret);
      }
    },
  ]) as [number, number, number, number, number, number];

  const cipher = "one key, no binding (Nango)";
  return [
    lower("vault.encrypt_us", encrypt, cipher, plainEnc, 100),
    lower("vault.decrypt_us", decrypt, cipher, plainDec, 100),
    {
      metric: "vault.rewrap_per_s",
      ours: 1e6 / rewrap,
      baseline: "re-encrypting four credentials a person",
      baseline_value: 1e6 / reencrypt,
      ratio: reencrypt / rewrap,
      unit: "persons/s/core",
      goal: ">= 10000",
      pass: 1e6 / rewrap >= 10_000,
    },
  ];
}

function lower(
  metric: string,
  ours: number,
  baseline: string,
  value: number,
  goal: number,
): BenchRow {
  return {
    metric,
    ours,
    baseline,
    baseline_value: value,
    ratio: value / ours,
    unit: "us",
    goal: `<= ${goal}`,
    pass: ours <= goal,
  };
}

/** Microseconds per call of each in its fastest round, run in turns. */
async function alternate(calls: (() => unknown)[]): Promise<number[]> {
  const times: number[][] = calls.map(() => []);
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, call] of calls.entries()) {
      const started = performance.now();
      for (let n = 0; n < PER_ROUND; n++) await call();
      // the first round warms up
      if (round >= 0) times[index]!.push((performance.now() - started) * 1000 / PER_ROUND);
    }
  }
  return times.map((list) => Math.min(...list));
}

function plainEncrypt(key: Buffer, secret: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return [iv, text, cipher.getAuthTag()].map((part) => part.toString("base64")).join(".");
}

function plainDecrypt(key: Buffer, text: string): string {
  const [iv, sealed, tag] = text.split(".").map((part) => Buffer.from(part, "base64"));
  const cipher = createDecipheriv("aes-256-gcm", key, iv!);
  cipher.setAuthTag(tag!);
  return Buffer.concat([cipher.update(sealed!), cipher.final()]).toString("utf8");
}
