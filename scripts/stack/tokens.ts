/**
 * Access tokens between `@supabase/lite` and the functions.
 *
 * Lite signs HS256 tokens without `kid` and `iss`; `@supabase/server` demands both. The gateway
 * verifies a token and signs the same claims again with the same secret, so that the functions
 * accept it and lite's Data API still does.
 */

import { jwtVerify, SignJWT } from "jose";

const KEY_ID = "mira-embedded";

/** Verifies and re-signs the tokens of one stack. */
export class Tokens {
  readonly #secret: Uint8Array<ArrayBuffer>;
  readonly #issuer: string;

  constructor(jwtSecret: string, apiUrl: string) {
    this.#secret = new TextEncoder().encode(jwtSecret);
    this.#issuer = `${apiUrl}/auth/v1`;
  }

  /** The JWKS for SUPABASE_JWKS. It holds the secret: it is for the functions alone. */
  jwks(): string {
    const k = btoa(String.fromCharCode(...this.#secret))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return JSON.stringify({ keys: [{ kty: "oct", kid: KEY_ID, alg: "HS256", k }] });
  }

  /** The claims of a token signed by this stack and still valid, else undefined. */
  async verify(token: string): Promise<Record<string, unknown> | undefined> {
    try {
      return (await jwtVerify(token, this.#secret, { algorithms: ["HS256"] })).payload;
    } catch {
      return undefined;
    }
  }

  /** `token` as the functions expect it; unchanged when it is not one of ours. */
  async forFunctions(token: string): Promise<string> {
    const claims = await this.verify(token);
    if (claims === undefined) return token;
    return await new SignJWT({ iss: this.#issuer, ...claims })
      .setProtectedHeader({ alg: "HS256", kid: KEY_ID, typ: "JWT" })
      .sign(this.#secret);
  }
}
