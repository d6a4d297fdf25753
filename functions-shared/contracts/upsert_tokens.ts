/** Contract of `upsert-tokens`: what people hand over, and the masks they get back. */

import { z } from "zod";
import { ApiKeyMetadata, checkProviderMetadata } from "./api_key_metadata.ts";

const TEN_YEARS_S = 315_360_000;

/** A provider's name: google, openai, my-company.crm. Upper case is lowered. */
export const Provider = z.string().trim().toLowerCase()
  .regex(
    /^[a-z0-9][a-z0-9_.-]{0,62}$/,
    "must be 1 to 63 of a-z 0-9 _ . -, starting with a letter or digit",
  )
  .refine((name) => name !== "api-keys", "is a route, not a provider");

/** Printable ASCII without spaces, as tokens and keys are (RFC 6750 §2.1 is narrower still). */
const SecretText = (max: number) =>
  z.string().min(1).max(max).regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");

const Scope = z.string().regex(/^[\x21-\x7e]{1,200}$/, "must be printable ASCII without spaces");

/** `POST /upsert-tokens`: an OAuth token a person got from a provider. */
export const UpsertTokenRequest = z.strictObject({
  provider: Provider,
  access_token: SecretText(8192),
  refresh_token: SecretText(8192).optional(),
  /** When the access token ends; or how long it lives from now on. */
  expires_at: z.iso.datetime({ offset: true }).optional(),
  /** Seconds. */
  expires_in: z.number().int().min(1).max(TEN_YEARS_S).optional(),
  /** A list, or one text with spaces as providers send it. */
  scopes: z.union([
    z.array(Scope).max(100),
    z.string().max(8192).transform((text) => text.split(/\s+/).filter(Boolean))
      .pipe(z.array(Scope).max(100)),
  ]).default([]),
}).refine((input) => input.expires_at === undefined || input.expires_in === undefined, {
  path: ["expires_in"],
  message: "give expires_at or expires_in, not both",
});

/** A token to store, as checked. */
export type UpsertToken = z.output<typeof UpsertTokenRequest>;

/** `POST /upsert-tokens/api-keys`: a provider's API key. */
export const UpsertApiKeyRequest = z.strictObject({
  provider: Provider,
  key: SecretText(4096),
  /** Tells several keys of one provider apart; default: the agent's name, else `default`. */
  label: z.string().trim().min(1).max(100).regex(/^[^\p{Cc}]+$/u, "must hold no control characters")
    .optional(),
  metadata: ApiKeyMetadata.default({}),
}).superRefine(checkProviderMetadata).transform((input) => ({
  ...input,
  label: input.label ?? String(input.metadata["agent_name"] ?? "default"),
}));

/** An API key to store, as checked. */
export type UpsertApiKey = z.output<typeof UpsertApiKeyRequest>;

const Time = z.iso.datetime({ offset: true });

/** An OAuth token as its person may see it. */
export const TokenSummary = z.object({
  id: z.uuid(),
  provider: z.string(),
  /** `****` and the last four characters of a long token. */
  masked_token: z.string(),
  scopes: z.array(z.string()),
  /** expiring: within five minutes. */
  status: z.enum(["active", "expiring", "expired", "needs_reauth", "revoked"]),
  /** Why it needs a new sign-in, as a code. */
  status_reason: z.string().nullable(),
  has_refresh_token: z.boolean(),
  expires_at: Time.nullable(),
  refreshed_at: Time.nullable(),
  created_at: Time,
  updated_at: Time,
});
export type TokenSummary = z.output<typeof TokenSummary>;

/** An API key as its person may see it. */
export const ApiKeySummary = z.object({
  id: z.uuid(),
  provider: z.string(),
  label: z.string(),
  masked_key: z.string(),
  metadata: ApiKeyMetadata,
  status: z.enum(["active", "revoked"]),
  created_at: Time,
  updated_at: Time,
});
export type ApiKeySummary = z.output<typeof ApiKeySummary>;

/** Answer of `POST /api-keys`. */
export const StoredApiKey = ApiKeySummary.extend({
  /** Labels of the same provider that hold the very same key. */
  same_key_as: z.array(z.string()),
});
export type StoredApiKey = z.output<typeof StoredApiKey>;

const lastUsed = { last_used_at: Time.nullable() };

/** Answer of `GET /`. */
export const SecretList = z.object({
  tokens: z.array(TokenSummary.extend(lastUsed)),
  api_keys: z.array(ApiKeySummary.extend(lastUsed)),
});
export type SecretList = z.output<typeof SecretList>;

/**
 * Answer of `DELETE /:provider`: the ciphertext is gone; the provider is told within about a
 * minute.
 */
export const DisconnectedToken = z.object({
  id: z.uuid(),
  provider: z.string(),
  status: z.literal("revoked"),
});
export type DisconnectedToken = z.output<typeof DisconnectedToken>;

/** Answer of `DELETE /api-keys/:id`. */
export const DeletedApiKey = DisconnectedToken.extend({ label: z.string() });
export type DeletedApiKey = z.output<typeof DeletedApiKey>;
