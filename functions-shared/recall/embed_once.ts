/** Embeddings that are paid for once: by the cache in SQL, else by the model. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Embedder } from "../ai/embeddings.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import { vectorText } from "../patterns/vector_text.ts";

type Db = SupabaseClient<Database>;

/**
 * Vectors of `texts` as the database reads them (1536 numbers as text), and the model they are of.
 *
 * @param answering the model that answers searches. It is asked for while another one replaces it;
 *   when the endpoint no longer has it, the configured model takes its place at once.
 * @throws {Problem} what the embedder throws.
 */
export async function embedOnce(
  db: Db,
  embedder: Embedder,
  texts: string[],
  answering: string | null,
): Promise<{ model: string; vectors: string[] }> {
  if (answering !== null && answering !== embedder.model && answering !== "unspecified") {
    try {
      return { model: answering, vectors: await embed(db, embedder, texts, answering) };
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "embeddings_refused") throw error;
    }
  }
  return { model: embedder.model, vectors: await embed(db, embedder, texts, embedder.model) };
}

async function embed(
  db: Db,
  embedder: Embedder,
  texts: string[],
  model: string,
): Promise<string[]> {
  const vectors = new Array<string | undefined>(texts.length);
  const cached = await rpc<{ ordinal: number; embedding: string }[]>(
    db,
    "mira_cached_embeddings",
    { p_model: model, p_texts: texts },
  );
  for (const { ordinal, embedding } of cached) vectors[ordinal] = embedding;
  const missing = texts.flatMap((_, index) => vectors[index] === undefined ? [index] : []);
  if (missing.length > 0) {
    const wanted = [...new Set(missing.map((index) => texts[index]!))];
    const made = await embedder.embed(wanted, model);
    const written = made.map((vector) => vectorText(vector));
    await rpc(db, "mira_cache_embeddings", {
      p_model: model,
      p_dimensions: made[0]!.length,
      p_texts: wanted,
      p_embeddings: written,
    });
    for (const index of missing) vectors[index] = written[wanted.indexOf(texts[index]!)]!;
  }
  return vectors as string[];
}
