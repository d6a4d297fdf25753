/** Embeddings from any endpoint that speaks OpenAI's `POST /embeddings`. */

import { Problem } from "../http/problem.ts";
import { retryAfter } from "./chat_failure.ts";
import type { Embedder } from "./embeddings.ts";

/** Where and as whom to ask. */
export interface OpenaiEndpoint {
  /** Base URL, up to and without `/embeddings`. */
  url: string;
  model: string;
  key?: string | undefined;
  /** Milliseconds one attempt may take. */
  timeoutMs?: number;
}

const BATCH = 96;
const ATTEMPTS = 3;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 5000;
/** What a model reads of a text at most; the endpoints refuse longer ones. */
const MAX_CHARS = 8000;
/** What can be stored of a vector. */
const MAX_NUMBERS = 1536;

/**
 * An embedder over `endpoint`: batches of 96, three attempts with growing waits (or as long as
 * Retry-After says) on time-outs, 408, 409, 429 and 5xx.
 */
export function openaiEmbedder(endpoint: OpenaiEndpoint): Embedder {
  return {
    model: endpoint.model,
    async embed(texts, model = endpoint.model) {
      const vectors: Float32Array[] = [];
      for (let at = 0; at < texts.length; at += BATCH) {
        vectors.push(...await ask(endpoint, model, texts.slice(at, at + BATCH)));
      }
      return vectors;
    },
  };
}

async function ask(
  endpoint: OpenaiEndpoint,
  model: string,
  texts: string[],
): Promise<Float32Array[]> {
  let wait = FIRST_WAIT_MS;
  let cause: unknown;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    let response: Response | undefined;
    try {
      response = await fetch(`${endpoint.url.replace(/\/+$/, "")}/embeddings`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(endpoint.key ? { authorization: `Bearer ${endpoint.key}` } : {}),
        },
        body: JSON.stringify({
          model,
          // a cut may fall into the middle of a character
          input: texts.map((text) => text.slice(0, MAX_CHARS).toWellFormed()),
          encoding_format: "base64", // a third of the bytes, and no float parsing
        }),
        signal: AbortSignal.timeout(endpoint.timeoutMs ?? 15_000),
      });
      if (response.ok) return read(await response.json(), texts.length);
    } catch (error) {
      if (error instanceof Problem) throw error;
      cause = error; // time-out or network: the next attempt may succeed
    }
    if (response !== undefined && !response.ok) {
      const said = (await response.text().catch(() => "")).slice(0, 500);
      cause = new Error(`embeddings endpoint answered ${response.status}: ${said}`);
      if (![408, 409, 429].includes(response.status) && response.status < 500) {
        throw new Problem(
          502,
          "embeddings_refused",
          `The embedding endpoint answered ${response.status}; check its key and model name.`,
          { cause },
        );
      }
    }
    if (attempt === ATTEMPTS) break;
    const asked = retryAfter(response?.headers);
    await new Promise((resolve) => setTimeout(resolve, Math.min(MAX_WAIT_MS, asked ?? wait)));
    wait *= 4;
  }
  throw new Problem(503, "embeddings_unavailable", "The embedding model does not answer.", {
    headers: { "retry-after": "5" },
    cause,
  });
}

/**
 * The vectors of an answer, in the order of the texts.
 *
 * @throws {Problem} 502 `embeddings_unreadable`; `embeddings_refused` when the model has nothing to say of a text
 */
function read(body: unknown, count: number): Float32Array[] {
  const data = (body as { data?: unknown } | null)?.data;
  const vectors = new Array<Float32Array | undefined>(count);
  if (Array.isArray(data)) {
    data.forEach((item: { index?: unknown; embedding?: unknown } | null, place) => {
      const index = item?.index ?? place;
      if (Number.isInteger(index)) vectors[index as number] = numbers(item?.embedding);
    });
  }
  return Array.from({ length: count }, (_, i) => {
    const vector = vectors[i];
    if (vector === undefined || !vector.every(Number.isFinite)) {
      throw new Problem(502, "embeddings_unreadable", "The embedding endpoint answered oddly.");
    }
    if (vector.length > MAX_NUMBERS) {
      throw new Problem(
        502,
        "embeddings_unreadable",
        `The embedding model gives ${vector.length} numbers and ${MAX_NUMBERS} can be kept: set MIRA_EMBEDDINGS_MODEL to another.`,
      );
    }
    if (vector.every((x) => x === 0)) {
      const detail = "The embedding model has nothing to say of this text.";
      throw new Problem(502, "embeddings_refused", detail);
    }
    return vector;
  });
}

/** An embedding as base64 of little-endian floats, or as plain numbers where that is not known. */
function numbers(value: unknown): Float32Array | undefined {
  if (Array.isArray(value) && value.length > 0) return Float32Array.from(value as number[]);
  if (typeof value !== "string") return undefined;
  try {
    const bytes = Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
    return bytes.length > 0 && bytes.length % 4 === 0 ? new Float32Array(bytes.buffer) : undefined;
  } catch {
    return undefined; // no base64
  }
}
