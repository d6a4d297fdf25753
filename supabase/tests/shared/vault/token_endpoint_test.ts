import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { oauthClient, oauthProviders } from "../../../../functions-shared/vault/providers.ts";
import {
  requestRefresh,
  requestRevocation,
} from "../../../../functions-shared/vault/token_endpoint.ts";
import { startTokenProvider } from "../../support/token_provider.ts";

const provider = startTokenProvider();
Deno.test.afterAll(() => provider.close());
Deno.env.set("MOCK_CLIENT_ID", "client 1");
Deno.env.set("MOCK_CLIENT_SECRET", "s3cret/+");

const definition = {
  token_url: provider.tokenUrl,
  revoke_url: provider.revokeUrl,
  client_auth: "post" as const,
};
const refresh = (token: string, change = {}) =>
  requestRefresh("mock", { ...definition, ...change }, token, 500);

Deno.test("a refresh sends what RFC 6749 section 6 asks for and reads the rotated tokens", async () => {
  const { refresh_token } = provider.grant();
  const answer = await refresh(refresh_token, { scopes: ["a", "b"] });
  ok(answer.ok && answer.tokens.refreshToken && provider.accepts(answer.tokens.accessToken));
  equal(answer.tokens.expiresIn, 3600);
  deepEqual(provider.lastForm, {
    grant_type: "refresh_token",
    refresh_token,
    scope: "a b",
    client_id: "client 1",
    client_secret: "s3cret/+",
  });
});

Deno.test("a client may name itself in the header, form-encoded first", async () => {
  await refresh(provider.grant().refresh_token, { client_auth: "basic" });
  equal(provider.lastAuthorization, `Basic ${btoa("client%201:s3cret%2F%2B")}`);
  equal(provider.lastForm["client_secret"], undefined);
});

Deno.test("only invalid_grant is final; everything else may pass", async () => {
  const cases: [{ status: number; body?: unknown } | "drop", boolean, string][] = [
    [{ status: 400, body: { error: "invalid_grant" } }, true, "invalid_grant"],
    [{ status: 200, body: { error: "bad_refresh_token" } }, true, "invalid_grant"],
    [{ status: 401, body: { error: "invalid_client" } }, false, "invalid_client"],
    [{ status: 400, body: { error: "sk-secret in the error" } }, false, "provider_error"],
    [{ status: 503 }, false, "provider_status_503"],
    [{ status: 429, body: [] }, false, "provider_status_429"],
    [{ status: 200, body: { access_token: 7 } }, false, "provider_status_200"],
    [{ status: 200, body: { access_token: "a\nb" } }, false, "provider_status_200"],
    [{ status: 200, body: { access_token: "x".repeat(100_000) } }, false, "provider_status_200"],
    [{ status: 302 }, false, "provider_status_302"],
  ];
  for (const [failure, isFinal, reason] of cases) {
    provider.failures.push(failure);
    deepEqual(await refresh("any"), { ok: false, isFinal, reason });
  }
});

Deno.test("a slow and an absent provider are told apart, and neither throws", async () => {
  provider.delayMs = 1500;
  const slow = await refresh(provider.grant().refresh_token);
  provider.delayMs = 0;
  deepEqual(slow, { ok: false, isFinal: false, reason: "provider_timeout" });
  const absent = await refresh("any", { token_url: "http://127.0.0.1:9/token" });
  deepEqual(absent, { ok: false, isFinal: false, reason: "provider_unreachable" });
});

Deno.test("without a client id nothing is sent", async () => {
  const before = provider.refreshCalls();
  const answer = await requestRefresh("nobody", definition, "any", 500);
  deepEqual(answer, { ok: false, isFinal: false, reason: "client_not_configured" });
  equal(provider.refreshCalls(), before);
});

Deno.test("a revoked token is gone, also one the provider no longer knows", async () => {
  const revoke = () => requestRevocation("mock", definition, "t-1", "refresh_token", 500);
  equal(await revoke(), true);
  equal(provider.revoked.at(-1), "t-1");
  provider.failures.push({ status: 400, body: { error: "invalid_token" } });
  equal(await revoke(), true);
  provider.failures.push({ status: 503 });
  equal(await revoke(), false);
});

Deno.test("providers are data: Google is built in, the operator adds and replaces others", () => {
  Deno.env.delete("VAULT_PROVIDERS");
  equal(oauthProviders().get("google")?.token_url, "https://oauth2.googleapis.com/token");
  equal(oauthProviders().get("google")?.revoke_url, "https://oauth2.googleapis.com/revoke");
  Deno.env.set(
    "VAULT_PROVIDERS",
    JSON.stringify({ "my-crm": { token_url: "https://crm.example/token" } }),
  );
  equal(oauthProviders().get("my-crm")?.client_auth, "post");
  ok(oauthProviders().has("google"));
  Deno.env.set("MY_CRM_CLIENT_ID", "id");
  deepEqual(oauthClient("my-crm", oauthProviders().get("my-crm")!), {
    id: "id",
    secret: undefined,
  });
});

Deno.test("a provider that would send tokens in clear or is misspelt is refused by name", () => {
  const cases: Record<string, RegExp> = {
    "nonsense": /not JSON/,
    '{"a":{}}': /a\.token_url/,
    '{"a":{"token_url":"http://crm.example/token"}}': /a\.token_url: must be https/,
    '{"a":{"token_url":"https://u:p@crm.example/token"}}': /a\.token_url: must be https/,
    '{"a":{"token_url":"https://crm.example/token","revokeurl":"x"}}': /a: /,
    '{"a":{"token_url":"https://crm.example/token","client_id_env":"x-y"}}': /a\.client_id_env/,
  };
  for (const [text, why] of Object.entries(cases)) {
    Deno.env.set("VAULT_PROVIDERS", text);
    throws(() => oauthProviders(), (error: Error & { code: string }) => {
      equal(error.code, "providers_invalid");
      match(error.message, why);
      return true;
    });
  }
  Deno.env.delete("VAULT_PROVIDERS");
});
