/**
 * upsert-tokens: people hand over credentials and see masks of them.
 *
 * Write-only: nothing this function reaches can decrypt a stored credential, and no route returns
 * one.
 */

import { allow } from "../../../functions-shared/auth/allow.ts";
import { subjectUser } from "../../../functions-shared/auth/subject_user.ts";
import {
  type DeletedApiKey,
  type DisconnectedToken,
  Provider,
  type SecretList,
  UpsertApiKeyRequest,
  UpsertTokenRequest,
} from "../../../functions-shared/contracts/upsert_tokens.ts";
import { rpc } from "../../../functions-shared/db/rpc.ts";
import { miraFunction } from "../../../functions-shared/http/app.ts";
import { idempotent } from "../../../functions-shared/http/idempotency.ts";
import { readBody, uuidParam } from "../../../functions-shared/http/input.ts";
import { Problem } from "../../../functions-shared/http/problem.ts";
import { limit } from "../../../functions-shared/http/rate_limit.ts";
import { createLog } from "../../../functions-shared/observe/log.ts";
import { keyring } from "../../../functions-shared/vault/keyring.ts";
import { storeApiKey } from "../../../functions-shared/vault/store_api_key.ts";
import { storeToken } from "../../../functions-shared/vault/store_token.ts";

const app = miraFunction("upsert-tokens");

// a ring that cannot be used is told at the start, and to every request, not by the first write
keyring().catch((error) => {
  const { code, message } = error as Problem;
  createLog({ function: "upsert-tokens" }).error(code, { detail: message });
});
app.use(async (_c, next) => {
  await keyring();
  await next();
});

app.get("/", allow("user"), limit("upsert-tokens:read", 300), async (c) => {
  const p_user_id = subjectUser(c.var.caller);
  return c.json(await rpc<SecretList>(c.var.admin, "mira_list_secrets", { p_user_id }));
});

app.post("/", allow("user"), limit("upsert-tokens", 60), idempotent(), async (c) => {
  const input = await readBody(c, UpsertTokenRequest);
  return c.json(await storeToken(c.var.admin, subjectUser(c.var.caller), input));
});

app.post("/api-keys", allow("user"), limit("upsert-tokens", 60), idempotent(), async (c) => {
  const input = await readBody(c, UpsertApiKeyRequest);
  return c.json(await storeApiKey(c.var.admin, subjectUser(c.var.caller), input));
});

app.delete("/api-keys/:id", allow("user"), limit("upsert-tokens", 60), async (c) => {
  const deleted = await rpc<DeletedApiKey>(c.var.admin, "mira_delete_api_key", {
    p_user_id: subjectUser(c.var.caller),
    p_id: uuidParam(c, "id"),
  });
  return c.json(deleted);
});

app.delete("/:provider", allow("user"), limit("upsert-tokens", 60), async (c) => {
  const provider = Provider.safeParse(c.req.param("provider"));
  if (!provider.success) {
    throw new Problem(404, "token_not_found", "There is no provider of this name.");
  }
  const deleted = await rpc<DisconnectedToken>(c.var.admin, "delete_user_tokens", {
    p_user_id: subjectUser(c.var.caller),
    p_provider: provider.data,
  });
  return c.json(deleted);
});

export default { fetch: app.fetch };
