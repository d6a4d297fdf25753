/** A Data API client that acts as the caller, so that row-level security decides. */

import { createContextClient } from "@supabase/server/core";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { Problem } from "../http/problem.ts";
import type { Caller } from "./caller.ts";

/**
 * @param caller a verified person.
 * @throws {Problem} 403 `user_required` for a service, which has no rows of its own.
 */
export function userDb(caller: Caller): SupabaseClient<Database> {
  if (caller.kind !== "user") {
    throw new Problem(403, "user_required", "This call needs a signed-in user.");
  }
  return createContextClient<Database>({ auth: { token: caller.jwt } });
}
