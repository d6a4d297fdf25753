/** Routes of `upsert-tokens`. */

import * as vault from "../upsert_tokens.ts";
import type { Route } from "./route.ts";

/** Every route of the function, with its contract. */
export const UPSERT_TOKENS_ROUTES: Route[] = [
  {
    verb: "get",
    path: "/",
    summary: "Masked list of tokens and API keys",
    modes: ["user"],
    answers: { 200: vault.SecretList },
  },
  {
    verb: "post",
    path: "/",
    summary: "Store an OAuth token",
    modes: ["user"],
    body: vault.UpsertTokenRequest,
    answers: { 200: vault.TokenSummary },
    isIdempotent: true,
  },
  {
    verb: "post",
    path: "/api-keys",
    summary: "Store an API key",
    modes: ["user"],
    body: vault.UpsertApiKeyRequest,
    answers: { 200: vault.StoredApiKey },
    isIdempotent: true,
  },
  {
    verb: "delete",
    path: "/api-keys/:id",
    summary: "Destroy an API key",
    modes: ["user"],
    answers: { 200: vault.DeletedApiKey },
  },
  {
    verb: "delete",
    path: "/:provider",
    summary: "Disconnect a provider",
    modes: ["user"],
    answers: { 200: vault.DisconnectedToken },
  },
];
