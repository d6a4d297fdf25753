/** Which `iss` values belong to this project. */

import { env, optionalEnv } from "../env.ts";

/** Where the CLI's and the embedded stack's Auth answer when SUPABASE_URL is a container's name. */
const LOCAL_ISSUERS = ["http://127.0.0.1:54321/auth/v1", "http://localhost:54321/auth/v1"];

/**
 * Issuers accepted by the gate: `MIRA_JWT_ISSUER` when set (custom domains), else the project's own
 * URL and, behind `supabase functions serve` (whose SUPABASE_URL is an internal http address), the
 * CLI's public address.
 */
export function issuers(): string[] {
  const explicit = optionalEnv("MIRA_JWT_ISSUER");
  if (explicit !== undefined) return [explicit];
  const url = env("SUPABASE_URL");
  const publicUrl = optionalEnv("SUPABASE_PUBLIC_URL");
  return [
    `${url}/auth/v1`,
    ...(publicUrl === undefined ? [] : [`${publicUrl}/auth/v1`]),
    ...(url.startsWith("http://") ? LOCAL_ISSUERS : []),
  ];
}
