/** Embeddings that are paid for once: by the cache in SQL, else by the model. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Embedder } from "../ai/embeddings.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import { vectorText } from "../patterns/vector_text.ts";

type Db = SupabaseClient<Database>;

/** Texts that are being embedded in this process: who asks meanwhile waits instead of paying again. */
const underWay = new Map<string, Promise<string>>();

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
  const missing = [...new Set(texts.filter((_, index) => vectors[index] === undefined))];
  const key = (text: string) => `${model}\n${text}`;
  const wanted = missing.filter((text) => !underWay.has(key(text)));
  if (wanted.length > 0) {
    const made = make(db, embedder, wanted, model);
    wanted.forEach((text, i) => underWay.set(key(text), made.then((written) => written[i]!)));
    // whoever waits hears of a failure; a later call may try again
    made.catch(() => {}).finally(() => wanted.forEach((text) => underWay.delete(key(text))));
  }
  const written = await Promise.all(missing.map((text) => underWay.get(key(text))!));
  return texts.map((text, index) => vectors[index] ?? written[missing.indexOf(text)]!);
}

/** Embeds texts and remembers them. */
async function make(
  db: Db,
  embedder: Embedder,
  texts: string[],
  model: string,
): Promise<string[]> {
  const made = await embedder.embed(texts, model);
  const written = made.map((vector) => vectorText(vector));
  await rpc(db, "mira_cache_embeddings", {
    p_model: model,
    p_dimensions: made[0]!.length,
    p_texts: texts,
    p_embeddings: written,
  });
  return written;
}
