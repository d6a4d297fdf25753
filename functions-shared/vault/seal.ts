/** Sealing: the half of the cipher every writer may use. */

import { crc32, randomBytes, toBase64Url, utf8 } from "./bytes.ts";
import type { SealingKey } from "./data_key.ts";
import { type Place, placeBytes } from "./place.ts";

/**
 * Encrypts `secret` for one place, with AES-256-GCM and a random 96-bit iv.
 *
 * @param key data key of the place's person, opened for encrypting.
 * @returns `v1.<data key id>.<iv>.<ciphertext and tag>.<crc32>`.
 */
export async function seal(key: SealingKey, place: Place, secret: string): Promise<string> {
  const iv = randomBytes(12);
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: placeBytes(key.id, place) },
    key.cipher,
    utf8(secret),
  );
  const text = `v1.${key.id}.${toBase64Url(iv)}.${toBase64Url(sealed)}`;
  return `${text}.${crc32(text)}`;
}

/**
 * A keyed fingerprint: equal for equal secrets of one person at one provider, unrelated otherwise.
 *
 * @returns `h1.<HMAC-SHA-256, base64url>`.
 */
export async function fingerprint(
  key: SealingKey,
  provider: string,
  secret: string,
): Promise<string> {
  const mac = await crypto.subtle.sign("HMAC", key.mac, utf8(`${provider}\n${secret}`));
  return `h1.${toBase64Url(mac)}`;
}
