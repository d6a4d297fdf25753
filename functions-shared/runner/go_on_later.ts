/**
 * Work that is left for a request of its own.
 *
 * @module
 */
import { keepAlive } from "../http/afterwards.ts";
import { secretKey } from "./secret_key.ts";
import type { RunnerHost } from "./tools/tool.ts";

/**
 * Asks for another `POST /work`, so that what was left due does not wait for cron. A request of its
 * own has a budget of its own. Failing to ask costs nothing but the time until the next tick.
 */
export function goOnLater(host: RunnerHost): void {
  const base = host.read("SUPABASE_URL");
  const key = secretKey(host.read, "cron") ?? secretKey(host.read, "default");
  if (!base || !key) return;
  keepAlive(
    fetch(`${base}/functions/v1/run-workflow/work`, {
      method: "POST",
      headers: { apikey: key, "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(5_000),
    }).then((response) => response.body?.cancel(), () => {}),
  );
}
