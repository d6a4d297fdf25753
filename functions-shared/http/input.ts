/** Reading input: size, encoding, media type and depth first, then the contract. */

import type { z } from "zod";
import type { MiraContext } from "./app.ts";
import { redactText } from "../observe/redact.ts";
import type { Bytes } from "./bytes.ts";
import { Problem, type ProblemField } from "./problem.ts";
import { isUuid } from "./uuids.ts";
import { WORDING } from "./wording.ts";

const MAX_DEPTH = 32;

/**
 * The raw body, read once and kept on the context; counts bytes while they arrive.
 *
 * @throws {Problem} 413 `body_too_large`, 415 `encoding_not_supported`.
 */
export async function readBytes(c: MiraContext): Promise<Bytes> {
  if (c.var.bodyBytes) return c.var.bodyBytes;
  const encoding = c.req.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity") {
    throw new Problem(415, "encoding_not_supported", "Send the body without Content-Encoding.");
  }
  const max = c.var.maxBodyBytes;
  const tooLarge = () => new Problem(413, "body_too_large", `The body may have ${max} bytes.`);
  if (Number(c.req.header("content-length") ?? 0) > max) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = c.req.raw.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > max) {
      await reader?.cancel();
      throw tooLarge();
    }
    chunks.push(part.value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  c.set("bodyBytes", bytes);
  return bytes;
}

/**
 * The JSON body, unchecked but for its form.
 *
 * @throws {Problem} 415 unless `application/json`; 413; 400 for bad UTF-8 or JSON.
 */
export async function readJson(c: MiraContext): Promise<unknown> {
  const type = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new Problem(415, "json_required", "Send Content-Type: application/json.");
  }
  return parseJson(await readBytes(c));
}

/**
 * The JSON body, checked against a contract.
 *
 * @throws {Problem} as `readJson`, and 422 with one entry per broken rule.
 */
export async function readBody<S extends z.ZodType>(
  c: MiraContext,
  schema: S,
): Promise<z.output<S>> {
  return validate(schema, await readJson(c));
}

/**
 * `value` as the contract reads it.
 *
 * @throws {Problem} 422 `invalid_input` with JSON pointer and rule of each issue, never the value.
 */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  return check(schema, value, (path) => `/${path.map(escape).join("/")}`);
}

/**
 * The query string as an object of strings, checked against a contract.
 *
 * @throws {Problem} 422 with `?name` pointers.
 */
export function readQuery<S extends z.ZodType>(c: MiraContext, schema: S): z.output<S> {
  return check(schema, c.req.query(), (path) => `?${path.join(".")}`);
}

/**
 * A path parameter that must be a uuid; anything else cannot exist.
 *
 * @throws {Problem} 404 `not_found`.
 */
export function uuidParam(c: MiraContext, name: string): string {
  const value = c.req.param(name) ?? "";
  if (!isUuid(value)) throw new Problem(404, "not_found", "There is nothing with this id.");
  return value.toLowerCase();
}

/**
 * Bytes to JSON: strict UTF-8, depth at most 32, and no NUL, which jsonb cannot hold. Halves of
 * surrogate pairs, left by whoever cut a text in the middle of an emoji, become U+FFFD as everywhere on
 * the web.
 *
 * @throws {Problem} 400 `invalid_json`, 422 `json_too_deep` or `nul_character`.
 */
export function parseJson(bytes: Bytes): unknown {
  let value: unknown;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text, /\\ud[89a-f]/i.test(text) ? wellFormed : undefined);
  } catch {
    throw new Problem(400, "invalid_json", "The body is not JSON in UTF-8.");
  }
  inspect(value, 1, "");
  return value;
}

/** For `JSON.parse`: texts and names without halves of surrogate pairs. */
function wellFormed(_: string, part: unknown): unknown {
  if (typeof part === "string") return part.toWellFormed();
  if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => [name.toWellFormed(), value]),
  );
}

function inspect(value: unknown, depth: number, pointer: string): void {
  if (typeof value === "string") {
    if (value.includes("\u0000")) nul(pointer);
    return;
  }
  if (value === null || typeof value !== "object") return;
  if (depth > MAX_DEPTH) {
    const detail = `At most ${MAX_DEPTH} levels are allowed.`;
    throw new Problem(422, "json_too_deep", detail, {
      errors: [{ pointer: pointer.slice(0, 200), code: "json_too_deep", detail }],
    });
  }
  for (const [key, item] of Object.entries(value)) {
    if (key.includes("\u0000")) nul(pointer);
    inspect(item, depth + 1, `${pointer}/${escape(key)}`);
  }
}

function nul(pointer: string): never {
  const detail = "Text may not contain the NUL character.";
  throw new Problem(422, "nul_character", detail, {
    errors: [{ pointer, code: "nul_character", detail }],
  });
}

function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  pointerOf: (path: PropertyKey[]) => string,
): z.output<S> {
  const result = schema.safeParse(value, WORDING);
  if (result.success) return result.data;
  const errors = result.error.issues.slice(0, 50).map((issue): ProblemField => ({
    // names are the caller's text too, and a secret may stand where a name belongs
    pointer: issue.path.length === 0 ? "" : redactText(pointerOf(issue.path)),
    code: issue.code,
    detail: redactText(issue.message),
  }));
  const first = errors[0];
  const where = first?.pointer ? `${first.pointer}: ` : "";
  throw new Problem(422, "invalid_input", `${where}${first?.detail ?? "Input does not fit."}`, {
    errors,
  });
}

/** One segment of a JSON pointer (RFC 6901). */
function escape(segment: PropertyKey): string {
  return String(segment).replaceAll("~", "~0").replaceAll("/", "~1").slice(0, 200);
}
