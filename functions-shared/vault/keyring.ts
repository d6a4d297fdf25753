/**
 * The key ring: root keys from the environment, which the database never sees.
 *
 * `VAULT_KEYRING={"active":"2026-10","keys":{"2026-04":"<32 bytes, base64url>","2026-10":"…"}}`.
 * New data keys are wrapped by the active root key; the others open what they wrapped before. Root
 * keys are used only through HKDF-SHA-256 (RFC 5869), and only as keys that cannot be read back.
 */

import { env } from "../env.ts";
import { Problem } from "../http/problem.ts";
import { type Bytes, fromBase64Url, toBase64Url, utf8 } from "./bytes.ts";

/** One root key, ready to wrap and unwrap data keys. */
export interface RootKey {
  id: string;
  /** AES-256-GCM, not extractable. */
  wrapping: CryptoKey;
  /** Six bytes derived from the key, base64url: tells a wrong key from a damaged text. */
  check: string;
}

/** The ring, parsed and derived. */
export interface Keyring {
  active: RootKey;
  /** By id. */
  keys: ReadonlyMap<string, RootKey>;
}

const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;
const KEY_TEXT = /^[A-Za-z0-9_-]{43}=?$/;
const SALT = utf8("vault/v1");

let cached: { text: string; ring: Promise<Keyring> } | undefined;

/**
 * The ring of `VAULT_KEYRING`, derived once per isolate.
 *
 * @throws {Problem} 503 `not_configured` when unset, `keyring_invalid` naming what is wrong with
 *   it.
 */
export async function keyring(): Promise<Keyring> {
  const text = env("VAULT_KEYRING");
  if (cached?.text !== text) cached = { text, ring: parseKeyring(text) };
  return await cached.ring;
}

/**
 * Checks a ring and derives its keys.
 *
 * @throws {Problem} 503 `keyring_invalid`; the detail names the rule and the key id, never a key.
 */
export async function parseKeyring(text: string): Promise<Keyring> {
  const { active, keys } = readRing(text);
  const derived = new Map<string, RootKey>();
  for (const [id, bytes] of keys) derived.set(id, await deriveRootKey(id, bytes));
  return { active: derived.get(active)!, keys: derived };
}

function readRing(text: string): { active: string; keys: Map<string, Bytes> } {
  let ring: unknown;
  try {
    ring = JSON.parse(text);
  } catch {
    // the parser's message quotes the text: it must not travel
    throw invalid("it is not JSON");
  }
  const { active, keys } = Object(ring) as { active?: unknown; keys?: unknown };
  if (typeof active !== "string") throw invalid('"active" must name a key');
  if (keys === null || typeof keys !== "object" || Array.isArray(keys)) {
    throw invalid('"keys" must be an object of key ids and keys');
  }
  const found = new Map<string, Bytes>();
  const texts = new Map<string, string>();
  for (const [id, key] of Object.entries(keys)) {
    if (!KEY_ID.test(id)) throw invalid("a key id has 1 to 32 letters, digits, '-' or '_'");
    if (typeof key !== "string" || !KEY_TEXT.test(key)) {
      throw invalid(`key "${id}" must be 32 bytes in base64url (43 characters)`);
    }
    const bytes = fromBase64Url(key);
    const canonical = toBase64Url(bytes);
    const twin = texts.get(canonical);
    if (twin !== undefined) throw invalid(`keys "${twin}" and "${id}" are the same key`);
    if (new Set(bytes).size < 8) throw invalid(`key "${id}" is not random`);
    texts.set(canonical, id);
    found.set(id, bytes);
  }
  if (found.size === 0) throw invalid("it holds no key");
  if (!found.has(active)) throw invalid('"active" names a key that is not in "keys"');
  // JSON.parse keeps the last of two equal names: count the names in the text itself
  for (const id of found.keys()) {
    if (text.split(new RegExp(`"${id}"\\s*:`)).length > 2) {
      throw invalid(`key id "${id}" appears twice`);
    }
  }
  return { active, keys: found };
}

async function deriveRootKey(id: string, bytes: Bytes): Promise<RootKey> {
  const root = await crypto.subtle.importKey("raw", bytes, "HKDF", false, [
    "deriveKey",
    "deriveBits",
  ]);
  const derive = (use: string) => ({
    name: "HKDF",
    hash: "SHA-256",
    salt: SALT,
    info: utf8(`${use}:${id}`),
  });
  const wrapping = await crypto.subtle.deriveKey(
    derive("kek"),
    root,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
  const check = toBase64Url(await crypto.subtle.deriveBits(derive("check"), root, 48));
  return { id, wrapping, check };
}

function invalid(why: string): Problem {
  return new Problem(503, "keyring_invalid", `VAULT_KEYRING cannot be used: ${why}.`);
}
