/** Who listens: the role and claims that a Realtime token stands for. */

/** Claims of a verified token. */
export type Claims = Record<string, unknown>;

/** A subscriber. */
export interface Identity {
  /** Same for all channels that see the same rows. */
  key: string;
  role: "anon" | "authenticated" | "service_role";
  userId: string | undefined;
  claims: Claims;
  /** Seconds since 1970; undefined for keys. */
  expiresAt: number | undefined;
}

/** The identity of a token or key; undefined when it is neither. */
export async function identify(
  token: unknown,
  options: {
    verifyJwt: (token: string) => Promise<Claims | undefined>;
    keys: { publishable: string; secret: string };
  },
): Promise<Identity | undefined> {
  const ofKey = (role: "anon" | "service_role"): Identity => ({
    key: role,
    role,
    userId: undefined,
    claims: { role },
    expiresAt: undefined,
  });
  if (typeof token !== "string" || token === options.keys.publishable) return ofKey("anon");
  if (token === options.keys.secret) return ofKey("service_role");
  const claims = await options.verifyJwt(token);
  if (claims?.["role"] !== "authenticated" || typeof claims["sub"] !== "string") return undefined;
  return {
    key: `user:${claims["sub"]}`,
    role: "authenticated",
    userId: claims["sub"],
    claims,
    expiresAt: typeof claims["exp"] === "number" ? claims["exp"] : undefined,
  };
}
