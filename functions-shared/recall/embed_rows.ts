/** The embedding job: rows without a vector get one, and a change of model is carried through. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { configuredEmbedder, type Embedder } from "../ai/embeddings.ts";
import type { EmbedResponse } from "../contracts/find_patterns.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import { vectorText } from "../patterns/vector_text.ts";

interface Item {
  source: number;
  id: string;
  text: string;
}
type Made = Item & { embedding?: string; error?: string };
interface Work {
  state: EmbedResponse["state"];
  items: Item[];
}

const BATCH = 64;
const LEASE_SECONDS = 60;

/**
 * Works until `budgetMs` is over or nothing is left. Where it stands is in the database: it may be
 * cut off at any moment and called again. While a model is replaced, the old one answers until
 * every row has a vector of the new one.
 *
 * @throws {Problem} 503 when the model does not answer; what was embedded before stays.
 */
export async function embedRows(
  db: SupabaseClient<Database>,
  budgetMs: number,
): Promise<EmbedResponse> {
  const embedder = configuredEmbedder();
  if (embedder === undefined) {
    return { state: "not_configured", embedded: 0, failed: 0, model: null };
  }
  const until = performance.now() + budgetMs;
  const done: EmbedResponse = { state: "idle", embedded: 0, failed: 0, model: embedder.model };
  do {
    const work = await rpc<Work>(db, "mira_embedding_work", {
      p_model: embedder.model,
      p_limit: BATCH,
      p_lease_seconds: LEASE_SECONDS,
    });
    done.state = work.state;
    if (work.state === "idle" || work.state === "busy") break;
    const made = await embedItems(embedder, work.items);
    done.embedded += await rpc<number>(db, "mira_put_embeddings", {
      p_model: embedder.model,
      p_dimensions: made.dimensions,
      p_items: made.items,
    });
    done.failed += made.items.filter((item) => item.error !== undefined).length;
  } while (performance.now() < until);
  return done;
}

/** A batch; when it is refused as a whole, one by one, so that one bad text stands alone. */
async function embedItems(
  embedder: Embedder,
  items: Item[],
): Promise<{ items: Made[]; dimensions: number | null }> {
  if (items.length === 0) return { items: [], dimensions: null };
  try {
    const vectors = await embedder.embed(items.map((item) => item.text));
    return {
      items: items.map((item, i) => ({ ...item, embedding: vectorText(vectors[i]!) })),
      dimensions: vectors[0]!.length,
    };
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "embeddings_refused") throw error;
    if (items.length === 1) {
      return { items: [{ ...items[0]!, error: error.message }], dimensions: null };
    }
  }
  const each = [];
  for (const item of items) each.push(await embedItems(embedder, [item]));
  return {
    items: each.flatMap((made) => made.items),
    dimensions: each.find((made) => made.dimensions !== null)?.dimensions ?? null,
  };
}
