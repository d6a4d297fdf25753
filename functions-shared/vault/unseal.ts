/**
 * Unsealing: the only code that turns a stored credential back into plaintext.
 *
 * Who may import it is a closed list (`open_secret.ts`, `refresh_token.ts`, `revoke_tokens.ts`),
 * and those are reached from run-workflow alone; a test walks the imports and holds both.
 */

import { Problem } from "../http/problem.ts";
import { crc32, fromBase64Url } from "./bytes.ts";
import { openForUnsealing } from "./data_key.ts";
import type { Keyring } from "./keyring.ts";
import { type Place, placeBytes } from "./place.ts";

const SEALED = /^(v1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{23,}))\.([0-9a-f]{8})$/;
const decoder = new TextDecoder();

/**
 * Decrypts a credential that stands at `place`.
 *
 * @param wrappedKey the person's data key as stored.
 * @throws {Problem} 500 `ciphertext_damaged` cut or mangled; 500 `ciphertext_out_of_place` whole,
 *   but sealed for another person, provider, field, generation, label or address; or as
 *   `openForUnsealing`.
 */
export async function unseal(
  ring: Keyring,
  wrappedKey: string,
  place: Place,
  ciphertext: string,
): Promise<string> {
  const [, text, id, iv, sealed, sum] = SEALED.exec(ciphertext) ?? [];
  if (!text || !id || !iv || !sealed || crc32(text) !== sum) {
    throw new Problem(500, "ciphertext_damaged", "A stored credential is cut or mangled.");
  }
  // WebCrypto on purpose: node:crypto of the hosted base (Deno 2.1.4) opens what its tag forbids
  const cipher = await openForUnsealing(ring, place.userId, { id, wrapped_key: wrappedKey });
  try {
    const secret = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: fromBase64Url(iv), additionalData: placeBytes(id, place) },
      cipher,
      fromBase64Url(sealed),
    );
    return decoder.decode(secret);
  } catch {
    const detail = "A stored credential was sealed for another place than the one it stands in.";
    throw new Problem(500, "ciphertext_out_of_place", detail);
  }
}
