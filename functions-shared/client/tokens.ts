import type { z } from "zod";
import type {
  DeletedApiKey,
  DisconnectedToken,
  SecretList,
  StoredApiKey,
  TokenSummary,
  UpsertApiKeyRequest,
  UpsertTokenRequest,
} from "../contracts/upsert_tokens.ts";
import type { Transport } from "./transport.ts";

/** The vault, as its owner may use it: secrets go in, masks come out. */
export interface Tokens {
  list(): Promise<SecretList>;
  /** Stores an OAuth token, or replaces the one of that provider. */
  put(token: z.input<typeof UpsertTokenRequest>): Promise<TokenSummary>;
  putKey(key: z.input<typeof UpsertApiKeyRequest>): Promise<StoredApiKey>;
  /** Disconnects a provider: the secret is destroyed. */
  remove(provider: string): Promise<DisconnectedToken>;
  removeKey(id: string): Promise<DeletedApiKey>;
}

/** Calls of `upsert-tokens`. */
export function tokens(transport: Transport): Tokens {
  const path = "upsert-tokens";
  const remove = { method: "DELETE" };
  return {
    list: () => transport.json(path),
    put: (body) => transport.json(path, { body }),
    putKey: (body) => transport.json(`${path}/api-keys`, { body }),
    remove: (provider) => transport.json(`${path}/${encodeURIComponent(provider)}`, remove),
    removeKey: (id) => transport.json(`${path}/api-keys/${id}`, remove),
  };
}
