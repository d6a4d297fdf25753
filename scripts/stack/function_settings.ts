/** Per-function settings of supabase/config.toml that the gateway must honour. */

import { parse } from "smol-toml";

const CONFIG = new URL("../../supabase/config.toml", import.meta.url);

/** slug → whether the gateway demands a credential, as the hosted one does (default true). */
export async function verifyJwtSettings(): Promise<Map<string, boolean>> {
  const config = parse(await Deno.readTextFile(CONFIG)) as {
    functions?: Record<string, { verify_jwt?: boolean }>;
  };
  return new Map(
    Object.entries(config.functions ?? {}).map(([slug, f]) => [slug, f.verify_jwt ?? true]),
  );
}
