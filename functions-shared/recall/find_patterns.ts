/** The whole of a recall: embed, search, choose, fetch. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { requiredEmbedder } from "../ai/embeddings.ts";
import type { FindRequest, FindResponse, RecalledPattern } from "../contracts/find_patterns.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { choose } from "../patterns/choose.ts";
import { habitsOf } from "../patterns/model_habits.ts";
import type { Candidate, Scored } from "../patterns/score.ts";
import { vectorText } from "../patterns/vector_text.ts";
import { embedOnce } from "./embed_once.ts";

type Db = SupabaseClient<Database>;

interface Candidates {
  model: string;
  needs_embedding: boolean;
  candidates: Candidate[];
}

/**
 * Patterns of `userId` for a request.
 *
 * @param recallId its uses are counted later, once for this id, however often it is asked.
 * @throws {Problem} 503 `embeddings_not_configured` for a query not seen before without a model.
 */
export async function findPatterns(
  db: Db,
  userId: string,
  recallId: string,
  request: FindRequest,
): Promise<FindResponse> {
  const { model, candidates } = await search(db, userId, request);
  const habits = habitsOf(model);
  const { patterns, avoid } = choose(candidates, {
    query: request.embedding === undefined ? request.query : undefined,
    habits: request.words === undefined ? habits : { ...habits, words: request.words },
    limit: request.limit,
    threshold: request.threshold,
    now: Date.now(),
  });
  if (patterns.length + avoid.length === 0) return { patterns: [], avoid: [], model };
  const rows = await rpc<Omit<RecalledPattern, "similarity" | "score">[]>(
    db,
    "mira_recall_patterns",
    {
      p_user_id: userId,
      p_recall_id: recallId,
      p_used: patterns.map((pattern) => pattern.id),
      p_shown: avoid.map((pattern) => pattern.id),
    },
  );
  const full = new Map(rows.map((row) => [row.id, row]));
  const complete = (chosen: Scored[]) =>
    chosen.flatMap(({ id, similarity, score }) => {
      const row = full.get(id); // gone, if deleted meanwhile
      return row ? [{ ...row, similarity: round(similarity), score: round(score) }] : [];
    });
  return { patterns: complete(patterns), avoid: complete(avoid), model };
}

/** Candidates by the caller's embedding, by a cached one, or by one made now. */
async function search(db: Db, userId: string, request: FindRequest): Promise<Candidates> {
  const ask = (more: Record<string, unknown>) =>
    rpc<Candidates>(db, "mira_recall_candidates", {
      p_user_id: userId,
      p_sources: request.include,
      p_context: request.context ?? null,
      p_limit: Math.min(200, Math.max(32, 4 * request.limit)),
      ...more,
    });
  if (request.embedding !== undefined) {
    return await ask({ p_embedding: vectorText(request.embedding) });
  }
  const query = request.query!;
  // no model named: the one that answers now, which is the old one while another replaces it
  const first = await ask({ p_query: query });
  if (!first.needs_embedding) return first;
  const embedder = requiredEmbedder();
  const { model, vectors } = await embedOnce(db, embedder, [query], first.model);
  return await ask({ p_query: query, p_model: model, p_embedding: vectors[0] });
}

function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
