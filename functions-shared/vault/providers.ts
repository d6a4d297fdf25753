/**
 * OAuth 2.0 providers as data: where to refresh, where to revoke, which variables hold the client.
 *
 * The operator adds or replaces providers with `VAULT_PROVIDERS`, a JSON object by provider name:
 * `{"crm":{"token_url":"https://crm.example/token","revoke_url":"https://crm.example/revoke"}}`.
 * They live in the environment and not in a table, because whoever may change a token URL receives
 * refresh tokens.
 */

import { z } from "zod";
import { optionalEnv } from "../env.ts";
import { Problem } from "../http/problem.ts";

/** https anywhere; http only to this machine, for tests and development. */
const EndpointUrl = z.url().refine((text) => {
  const url = new URL(text);
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  return (url.protocol === "https:" || (url.protocol === "http:" && isLocal)) &&
    url.username === "" && url.password === "";
}, "must be https and hold no credentials");

const EnvName = z.string().regex(/^[A-Z][A-Z0-9_]{0,99}$/);

const OAuthProvider = z.strictObject({
  /** Token endpoint (RFC 6749 §3.2). */
  token_url: EndpointUrl,
  /** Revocation endpoint (RFC 7009), where the provider has one. */
  revoke_url: EndpointUrl.optional(),
  /** Variable that holds the client id; default `<PROVIDER>_CLIENT_ID`. */
  client_id_env: EnvName.optional(),
  /**
   * Variable that holds the client secret; default `<PROVIDER>_CLIENT_SECRET`. A public client has
   * none.
   */
  client_secret_env: EnvName.optional(),
  /** How the client names itself (RFC 6749 §2.3.1). */
  client_auth: z.enum(["post", "basic"]).default("post"),
  /** Scopes to ask for on refresh; without them the granted ones stay. */
  scopes: z.array(z.string().regex(/^[\x21-\x7e]{1,200}$/)).max(100).optional(),
});

/** How to talk to one provider. */
export type OAuthProvider = z.output<typeof OAuthProvider>;

const BUILT_IN: Record<string, OAuthProvider> = {
  google: {
    token_url: "https://oauth2.googleapis.com/token",
    revoke_url: "https://oauth2.googleapis.com/revoke",
    client_auth: "post",
  },
  github: { token_url: "https://github.com/login/oauth/access_token", client_auth: "post" },
  microsoft: {
    token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    client_auth: "post",
  },
};

let cached: { text: string | undefined; providers: ReadonlyMap<string, OAuthProvider> } | undefined;

/**
 * All known providers by name: the built-in ones and those of `VAULT_PROVIDERS`.
 *
 * @throws {Problem} 503 `providers_invalid` naming the entry that does not fit.
 */
export function oauthProviders(): ReadonlyMap<string, OAuthProvider> {
  const text = optionalEnv("VAULT_PROVIDERS");
  if (cached === undefined || cached.text !== text) {
    cached = {
      text,
      providers: new Map(Object.entries({ ...BUILT_IN, ...(text ? parse(text) : {}) })),
    };
  }
  return cached.providers;
}

/** The client's id and secret for a provider; null while the operator has not set the id. */
export function oauthClient(
  name: string,
  provider: OAuthProvider,
): { id: string; secret: string | undefined } | null {
  const prefix = name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
  const id = optionalEnv(provider.client_id_env ?? `${prefix}_CLIENT_ID`);
  const secret = optionalEnv(provider.client_secret_env ?? `${prefix}_CLIENT_SECRET`);
  return id === undefined ? null : { id, secret };
}

function parse(text: string): Record<string, OAuthProvider> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Problem(503, "providers_invalid", "VAULT_PROVIDERS is not JSON.");
  }
  const result = z.record(z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/), OAuthProvider)
    .safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const detail = `VAULT_PROVIDERS: ${issue?.path.join(".")}: ${issue?.message}.`;
  throw new Problem(503, "providers_invalid", detail);
}
