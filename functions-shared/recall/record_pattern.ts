/** Recording what was done, so that it is found again. */

import type { SupabaseClient } from "@supabase/supabase-js";
import { configuredEmbedder } from "../ai/embeddings.ts";
import type { RecordRequest, RecordResponse } from "../contracts/find_patterns.ts";
import { rpc } from "../db/rpc.ts";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import type { Log } from "../observe/log.ts";
import { redact } from "../observe/redact.ts";
import { vectorText } from "../patterns/vector_text.ts";
import { embedOnce } from "./embed_once.ts";

/**
 * Stores a procedure of `userId`, or joins it to one that means and does the same. Secrets are
 * removed first. Without a model, or while it is silent, the pattern is stored all the same and the
 * embedding job catches up. The same `requestId` again counts nothing and answers as the first time.
 */
export async function recordPattern(
  db: SupabaseClient<Database>,
  userId: string,
  request: RecordRequest,
  log: Log,
  requestId?: string,
): Promise<RecordResponse> {
  const trigger = redact(request.trigger) as string;
  let vector: string | null = request.embedding ? vectorText(request.embedding) : null;
  let model: string | null = null;
  const embedder = configuredEmbedder();
  if (vector === null && embedder !== undefined) {
    try {
      const answering = await rpc<string | null>(db, "mira_answering_model", {});
      const made = await embedOnce(db, embedder, [trigger], answering);
      [vector, model] = [made.vectors[0]!, made.model];
    } catch (error) {
      if (!(error instanceof Problem) || !error.code.startsWith("embeddings_")) throw error;
      log.warn("recorded_without_embedding", { reason: error.code });
    }
  }
  const [row] = await rpc<RecordResponse[]>(db, "mira_record_pattern", {
    p_user_id: userId,
    p_trigger: trigger,
    p_context: redact(request.context),
    p_actions: redact(request.actions),
    p_final_outcome: request.final_outcome,
    p_embedding: vector,
    p_model: model,
    p_request_id: requestId,
  });
  return { id: row!.id, merged: row!.merged };
}
