/** Bytes for the vault: base64url, length-prefixed lists, a checksum. */

import { Buffer } from "node:buffer";
import type { Bytes } from "../http/bytes.ts";

export type { Bytes };

const encoder = new TextEncoder();

/** Text to UTF-8. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Bytes to base64url without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Bytes | ArrayBuffer): string {
  const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("base64url");
}

/** Base64url to bytes; the caller has checked the alphabet. */
export function fromBase64Url(text: string): Bytes {
  return new Uint8Array(Buffer.from(text, "base64url"));
}

/** Random bytes. */
export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/**
 * A list of texts as bytes that no other list has: each part follows its length (32 bits, big
 * endian), so `["ab", "c"]` and `["a", "bc"]` differ.
 */
export function lengthPrefixed(parts: readonly string[]): Bytes {
  const encoded = parts.map(utf8);
  const bytes = new Uint8Array(encoded.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of encoded) {
    view.setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

/**
 * CRC-32 (ISO 3309) of ASCII text, as eight hex digits.
 *
 * No protection: the cipher's tag protects. It tells a text cut or mangled on its way from one that
 * was moved to another place, which the tag alone cannot tell apart.
 */
export function crc32(text: string): string {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) {
    crc = CRC_TABLE[(crc ^ text.charCodeAt(i)) & 0xff]! ^ (crc >>> 8);
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}
