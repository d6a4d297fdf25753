/**
 * Data keys: one per person, random, stored wrapped by a root key.
 *
 * Text: `w1.<root key id>.<check value of the root key>.<iv>.<ciphertext and tag>`. The person and
 * the data key's id are authenticated with it, so a wrapped key moved to another person does not
 * open.
 */

import { Problem } from "../http/problem.ts";
import { type Bytes, fromBase64Url, lengthPrefixed, randomBytes, toBase64Url } from "./bytes.ts";
import type { Keyring, RootKey } from "./keyring.ts";

/** What the database keeps of a data key. */
export interface WrappedDataKey {
  id: string;
  wrapped_key: string;
}

/** A data key opened for writing; its keys cannot be read back. */
export interface SealingKey {
  id: string;
  /** AES-256-GCM, for encrypting only. */
  cipher: CryptoKey;
  /** HMAC-SHA-256, for fingerprints. */
  mac: CryptoKey;
}

const WRAPPED =
  /^w1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{8})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{107})$/;
const CIPHER_BYTES = 32;

/** A new random data key of `userId`, wrapped by the active root key. */
export async function newDataKey(ring: Keyring, userId: string): Promise<WrappedDataKey> {
  const id = crypto.randomUUID();
  return { id, wrapped_key: await wrap(ring.active, userId, id, randomBytes(2 * CIPHER_BYTES)) };
}

/**
 * Opens a wrapped data key for writing.
 *
 * @throws {Problem} 500 `data_key_damaged` not a wrapped key; 503 `root_key_missing` its root key
 *   left the ring; 503 `root_key_wrong` the ring's key of that id is another one; 500
 *   `data_key_out_of_place` it belongs to another person or id, or was altered.
 */
export async function openForSealing(
  ring: Keyring,
  userId: string,
  key: WrappedDataKey,
): Promise<SealingKey> {
  const bytes = await unwrap(ring, userId, key);
  const [cipher, mac] = await Promise.all([
    importCipher(bytes, "encrypt"),
    crypto.subtle.importKey(
      "raw",
      bytes.subarray(CIPHER_BYTES),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    ),
  ]);
  bytes.fill(0);
  return { id: key.id, cipher, mac };
}

/** Data keys a ring has opened, so that a run that uses a credential again unwraps only once. */
const opened = new WeakMap<Keyring, Map<string, Promise<CryptoKey>>>();
const MAX_OPENED = 256;

/**
 * Opens a wrapped data key for reading: the AES-256-GCM key, for decrypting only. Throws as above.
 *
 * The newest few are kept with the ring that opened them, as keys that cannot be read back; the
 * wrapped text still has to come from the database each time, so a shredded key opens nothing.
 */
export function openForUnsealing(
  ring: Keyring,
  userId: string,
  key: WrappedDataKey,
): Promise<CryptoKey> {
  const kept = opened.get(ring) ?? new Map<string, Promise<CryptoKey>>();
  opened.set(ring, kept);
  const name = [userId.toLowerCase(), key.id, key.wrapped_key].join(" ");
  const known = kept.get(name);
  if (known !== undefined) return known;
  const cipher = unwrap(ring, userId, key).then(async (bytes) => {
    const imported = await importCipher(bytes, "decrypt");
    bytes.fill(0);
    return imported;
  });
  kept.set(name, cipher);
  cipher.catch(() => kept.delete(name));
  if (kept.size > MAX_OPENED) kept.delete(kept.keys().next().value!);
  return cipher;
}

/** The same data key wrapped by the active root key; throws as `openForSealing`. */
export async function rewrapDataKey(
  ring: Keyring,
  userId: string,
  key: WrappedDataKey,
): Promise<string> {
  const bytes = await unwrap(ring, userId, key);
  const wrapped = await wrap(ring.active, userId, key.id, bytes);
  bytes.fill(0);
  return wrapped;
}

function importCipher(bytes: Bytes, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes.subarray(0, CIPHER_BYTES), "AES-GCM", false, [use]);
}

async function wrap(root: RootKey, userId: string, id: string, bytes: Bytes): Promise<string> {
  const iv = randomBytes(12);
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: place(root, userId, id) },
    root.wrapping,
    bytes,
  );
  return `w1.${root.id}.${root.check}.${toBase64Url(iv)}.${toBase64Url(sealed)}`;
}

async function unwrap(ring: Keyring, userId: string, key: WrappedDataKey): Promise<Bytes> {
  const [, rootId, check, iv, sealed] = WRAPPED.exec(key.wrapped_key) ?? [];
  if (rootId === undefined || check === undefined || iv === undefined || sealed === undefined) {
    throw new Problem(500, "data_key_damaged", "A data key is cut or not a wrapped key at all.");
  }
  const root = ring.keys.get(rootId);
  if (root === undefined) {
    const detail = `VAULT_KEYRING lacks root key "${rootId}", which wraps this person's data key.`;
    throw new Problem(503, "root_key_missing", detail);
  }
  if (root.check !== check) {
    const detail =
      `Root key "${rootId}" in VAULT_KEYRING is not the key that wrapped this data key.`;
    throw new Problem(503, "root_key_wrong", detail);
  }
  try {
    return new Uint8Array(
      await crypto.subtle.decrypt(
        { name: "AES-GCM", iv: fromBase64Url(iv), additionalData: place(root, userId, key.id) },
        root.wrapping,
        fromBase64Url(sealed),
      ),
    );
  } catch {
    const detail = "A data key was altered, or moved here from another person or id.";
    throw new Problem(500, "data_key_out_of_place", detail);
  }
}

function place(root: RootKey, userId: string, id: string): Bytes {
  return lengthPrefixed(["dek", root.id, userId.toLowerCase(), id]);
}
