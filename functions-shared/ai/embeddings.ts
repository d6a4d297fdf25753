/** Texts to vectors, whoever computes them. */

import { optionalEnv } from "../env.ts";
import { Problem } from "../http/problem.ts";
import { openaiEmbedder } from "./embeddings_openai.ts";
import { gteEmbedder, hasGte } from "./embeddings_gte.ts";

/** Something that embeds texts. */
export interface Embedder {
  /** The configured model; vectors of different models are never compared. */
  readonly model: string;
  /**
   * One vector for each text, in order, with the model's own number of dimensions.
   *
   * @param texts any number; batches are the embedder's business.
   * @param model another model of the same endpoint, while one replaces the other.
   * @throws {Problem} 503 `embeddings_unavailable` after retries; 502 `embeddings_refused`.
   */
  embed(texts: string[], model?: string): Promise<Float32Array[]>;
}

const NOT_CONFIGURED = "No embedding model is configured. Set MIRA_EMBEDDINGS_URL and " +
  "MIRA_EMBEDDINGS_MODEL (any OpenAI-compatible endpoint), or OPENAI_API_KEY; or send an embedding.";

/**
 * The embedder the environment asks for: MIRA_EMBEDDINGS_URL + MIRA_EMBEDDINGS_MODEL
 * (+ MIRA_EMBEDDINGS_KEY), else OPENAI_API_KEY (+ OPENAI_BASE_URL) with text-embedding-3-small, else
 * the gte-small of a hosted Supabase project, else none.
 */
export function configuredEmbedder(): Embedder | undefined {
  const url = optionalEnv("MIRA_EMBEDDINGS_URL");
  if (url !== undefined) {
    const model = optionalEnv("MIRA_EMBEDDINGS_MODEL") ?? "text-embedding-3-small";
    return openaiEmbedder({ url, model, key: optionalEnv("MIRA_EMBEDDINGS_KEY") });
  }
  const key = optionalEnv("OPENAI_API_KEY");
  if (key !== undefined) {
    return openaiEmbedder({
      url: optionalEnv("OPENAI_BASE_URL") ?? "https://api.openai.com/v1",
      model: optionalEnv("MIRA_EMBEDDINGS_MODEL") ?? "text-embedding-3-small",
      key,
    });
  }
  return hasGte() ? gteEmbedder() : undefined;
}

/**
 * As {@linkcode configuredEmbedder}, when there must be one.
 *
 * @throws {Problem} 503 `embeddings_not_configured`, naming what to set.
 */
export function requiredEmbedder(): Embedder {
  const embedder = configuredEmbedder();
  if (embedder === undefined) throw new Problem(503, "embeddings_not_configured", NOT_CONFIGURED);
  return embedder;
}
