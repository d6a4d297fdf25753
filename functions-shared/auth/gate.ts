/**
 * The gate behind `@supabase/server`: the library proves that a token was signed by a trusted key;
 * the gate demands that it is a person's access token and nothing else. Without it, tokens with no
 * expiry, a foreign audience, a service role or an empty subject would pass.
 */

import type { JWTClaims } from "@supabase/server";
import { Problem } from "../http/problem.ts";
import { isUuid } from "../http/uuids.ts";

/** Longest life of an access token we accept, in seconds: Supabase's own maximum is a week, its default an hour. */
const MAX_LIFE_SECONDS = 24 * 60 * 60;

/**
 * Checks exp, iss, aud, role and sub.
 *
 * @param claims payload of a token whose signature was verified.
 * @param issuers accepted values of `iss`.
 * @param nowSeconds seconds since 1970.
 * @returns the user's id.
 * @throws {Problem} 401 `token_not_accepted` that names the claim.
 */
export function gate(claims: JWTClaims, issuers: readonly string[], nowSeconds: number): string {
  const { exp, iss, aud, role, sub } = claims;
  if (typeof exp !== "number") refuse("exp", "is missing");
  else if (exp <= nowSeconds) refuse("exp", "has passed");
  else if (exp > nowSeconds + MAX_LIFE_SECONDS) refuse("exp", "is more than a day ahead");
  if (typeof iss !== "string" || !issuers.includes(iss)) refuse("iss", "is not this project");
  if (aud !== "authenticated") refuse("aud", "is not authenticated");
  if (role !== "authenticated") refuse("role", "is not authenticated");
  if (typeof sub !== "string" || !isUuid(sub)) refuse("sub", "is not a user id");
  return (sub as string).toLowerCase();
}

function refuse(claim: string, why: string): never {
  throw new Problem(401, "token_not_accepted", `The access token's ${claim} ${why}.`);
}
