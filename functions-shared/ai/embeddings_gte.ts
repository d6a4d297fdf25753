/** gte-small (384 dimensions), which hosted Edge Functions run themselves. */

import { Problem } from "../http/problem.ts";
import type { Embedder } from "./embeddings.ts";

interface Session {
  run(text: string, options: { mean_pool: boolean; normalize: boolean }): Promise<number[]>;
}
interface SupabaseGlobal {
  ai?: { Session: new (model: string) => Session };
}

const supabase = () => (globalThis as { Supabase?: SupabaseGlobal }).Supabase;
let session: Session | undefined;

/** Whether this runtime brings the model. */
export function hasGte(): boolean {
  return supabase()?.ai?.Session !== undefined;
}

/** The embedder over the runtime's own model; no key, no network. */
export function gteEmbedder(): Embedder {
  return {
    model: "gte-small",
    async embed(texts, model = "gte-small") {
      if (model !== "gte-small") {
        throw new Problem(502, "embeddings_refused", "This runtime only has the model gte-small.");
      }
      const { Session } = supabase()!.ai!;
      session ??= new Session("gte-small");
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        // one after the other: the model has one thread and the function two seconds of CPU
        vectors.push(
          Float32Array.from(await session.run(text, { mean_pool: true, normalize: true })),
        );
      }
      return vectors;
    },
  };
}
