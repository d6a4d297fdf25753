/** A stack with a keyring and a provider of tokens, and secrets that may stand nowhere in clear. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { openSecret } from "../../../../functions-shared/vault/open_secret.ts";
import { newKeyring } from "../../../../scripts/vault_keys.ts";
import { startStack, type TestUser } from "../../support/stack.ts";
import { startTokenProvider } from "../../support/token_provider.ts";

export const provider = startTokenProvider();
const env = {
  VAULT_KEYRING: newKeyring(),
  VAULT_PROVIDERS: JSON.stringify({
    mock: { token_url: provider.tokenUrl, revoke_url: provider.revokeUrl },
  }),
  MOCK_CLIENT_ID: "client",
};
for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
export const stack = await startStack({ env });
Deno.test.afterAll(async () => {
  await stack.close();
  await provider.close();
});

export const ROUTE = "/functions/v1/upsert-tokens";
/** A request to upsert-tokens. */
export const call = async (
  user: TestUser,
  path: string,
  json?: unknown,
  init: RequestInit = {},
) => {
  const response = await stack.fetch(`${ROUTE}${path}`, {
    as: user,
    ...(json === undefined ? {} : { json }),
    ...init,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
};
/** Opens a secret as the runner does, in this process. */
export const open = (
  user: TestUser,
  name: string,
  more: { label?: string; agentName?: string } = {},
) => openSecret(stack.service, { userId: user.id, provider: name, purpose: "test", ...more });
/** What the schedule does every minute. */
export const work = async () => {
  const response = await stack.fetch("/functions/v1/run-workflow/work", { as: "cron", json: {} });
  return (await response.json()).vault;
};
/** What the audit says was done to a person's secrets, in order. */
export const audit = async (user: TestUser) =>
  (await stack.sql("select action from private.vault_audit where user_id = $1 order by id", [
    user.id,
  ])).map((row) => row.action);

export const ACCESS = "ya29.canary-access-Zx81-AbCdEfGh-wxyz";
export const REFRESH = "1//canary-refresh-Zx82-AbCdEfGh";
export const KEY = "sk-canary-key-Zx83-AbCdEfGhIjKl-9876";

/** Fails when a secret of these tests stands in clear in a table or in a line of output. */
export async function assertNoCanary(): Promise<void> {
  const tables = await stack.sql<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname in ('public', 'private', 'auth')`,
  );
  ok(tables.length > 10);
  for (const { name } of tables) {
    const [found] = await stack.sql(
      `select count(*) as n from ${name} t where t::text like '%canary%'`,
    );
    equal(Number(found.n), 0, name);
  }
  deepEqual(stack.output().split("\n").filter((line) => line.includes("canary")), []);
}
