/** The vault's share of `POST /run-workflow/work`: refresh what is due, revoke what is owed. */

import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../db/types.gen.ts";
import { rpc } from "../db/rpc.ts";
import { optionalEnv } from "../env.ts";
import { oauthClient, oauthProviders } from "./providers.ts";
import { refreshToken } from "./refresh_token.ts";
import { revokeTokens } from "./revoke_tokens.ts";

/** What one pass did. */
export interface MaintenanceReport {
  refreshed: number;
  needs_reauth: number;
  /** Refreshes that failed for now. */
  failed: number;
  /** Disconnected tokens that left the queue. */
  revoked: number;
}

const BATCH = 20;

/**
 * Refreshes tokens ahead of their expiry and finishes revocations, until nothing is due or the
 * budget is spent. Several workers may do so at once: leases keep them apart. Without a key ring it
 * does nothing, because nothing can be stored either. Never throws: the runs beside it must go on.
 *
 * @param options.budgetMs no new batch starts after it; a batch ends within the providers' time
 *   limit.
 * @param options.onError hears what went wrong, for the log.
 */
export async function maintainVault(
  admin: SupabaseClient<Database>,
  options: { budgetMs: number; onError(cause: unknown): void },
): Promise<MaintenanceReport> {
  const report: MaintenanceReport = { refreshed: 0, needs_reauth: 0, failed: 0, revoked: 0 };
  if (optionalEnv("VAULT_KEYRING") === undefined) return report;
  const deadline = Date.now() + options.budgetMs;
  try {
    while (Date.now() < deadline && await maintainBatch(admin, report, options.onError));
  } catch (error) {
    options.onError(error);
  }
  return report;
}

/** One batch, added to `report`; whether more may be due. */
async function maintainBatch(
  admin: SupabaseClient<Database>,
  report: MaintenanceReport,
  onError: (cause: unknown) => void,
): Promise<boolean> {
  const refreshable = [...oauthProviders()]
    .filter(([name, provider]) => oauthClient(name, provider) !== null)
    .map(([name]) => name);
  const [due, revoked] = await Promise.all([
    rpc<{ user_id: string; provider: string }[]>(admin, "mira_list_due_refreshes", {
      p_providers: refreshable,
      p_limit: BATCH,
    }),
    revokeTokens(admin, BATCH),
  ]);
  report.revoked += revoked;
  await Promise.all(due.map(async (token) => {
    try {
      const { outcome } = await refreshToken(admin, token.user_id, token.provider);
      if (outcome === "refreshed" || outcome === "needs_reauth" || outcome === "failed") {
        report[outcome]++;
      }
    } catch (error) {
      report.failed++;
      onError(error);
    }
  }));
  return due.length === BATCH || revoked === BATCH;
}
