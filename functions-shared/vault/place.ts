/** Where a credential stands: everything its ciphertext is bound to. */

import { type Bytes, lengthPrefixed } from "./bytes.ts";

/** The place of one sealed field. */
export interface Place {
  userId: string;
  provider: string;
  field: "access_token" | "refresh_token" | "key";
  /** Counts the writes of the row; the ciphertext opens only on its own. */
  generation: number;
  /** Label of an API key; empty for OAuth tokens. */
  label?: string;
  /** Where an API key may be sent; changing it in the database makes the key unreadable. */
  baseUrl?: string;
}

/** The associated data of AES-GCM for a place. */
export function placeBytes(dataKeyId: string, place: Place): Bytes {
  return lengthPrefixed([
    "tok",
    dataKeyId,
    place.userId.toLowerCase(),
    place.provider,
    place.field,
    String(place.generation),
    place.label ?? "",
    place.baseUrl ?? "",
  ]);
}
