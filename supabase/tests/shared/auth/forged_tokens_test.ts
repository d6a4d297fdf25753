import { equal } from "node:assert/strict";
import { SignJWT } from "jose";
import { startStack } from "../../support/stack.ts";

const stack = await startStack();
Deno.test.afterAll(() => stack.close());

const now = () => Math.floor(Date.now() / 1000);
const secret = new TextEncoder().encode(stack.jwtSecret);
const b64 = (value: unknown) =>
  btoa(typeof value === "string" ? value : JSON.stringify(value))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A token as the stack's Auth makes it, with some claims or header fields changed or removed. */
async function token(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key: Uint8Array = secret,
): Promise<string> {
  const all: Record<string, unknown> = {
    sub: crypto.randomUUID(),
    aud: "authenticated",
    role: "authenticated",
    iss: `${stack.url}/auth/v1`,
    iat: now(),
    exp: now() + 600,
    ...claims,
  };
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  return await new SignJWT(all as never)
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: "mira-embedded", ...header }).sign(key);
}

const send = (jwt: string, headers: Record<string, string> = {}) =>
  stack.fetch("/functions/v1/track-event", {
    json: {
      event_id: crypto.randomUUID(),
      session_id: crypto.randomUUID(),
      event_type: "custom",
      module: "m",
      page: "/",
    },
    headers: { authorization: `Bearer ${jwt}`, ...headers },
  });

Deno.test("a whole, valid token is accepted, so that the refusals below mean something", async () => {
  const user = await stack.newUser();
  const response = await send(await token({ sub: user.id }));
  equal(response.status, 200, await response.text());
});

const unsigned = `${b64({ alg: "none", typ: "JWT" })}.${
  b64({ sub: crypto.randomUUID(), aud: "authenticated", role: "authenticated", exp: now() + 600 })
}.`;

const REFUSED: Record<string, () => Promise<string>> = {
  "without exp": () => token({ exp: undefined }),
  "expired": () => token({ exp: now() - 10 }),
  "exp a year ahead": () => token({ exp: now() + 31_536_000 }),
  "of another issuer": () => token({ iss: "https://evil.example/auth/v1" }),
  "of an issuer that only begins like ours": () =>
    token({ iss: `${stack.url}/auth/v1.evil.example` }),
  "for another audience": () => token({ aud: "anon" }),
  "for several audiences": () => token({ aud: ["authenticated", "other"] }),
  "without audience": () => token({ aud: undefined }),
  "with role service_role": () => token({ role: "service_role" }),
  "with role anon": () => token({ role: "anon" }),
  "with role postgres": () => token({ role: "postgres" }),
  "without role": () => token({ role: undefined }),
  "with empty sub": () => token({ sub: "" }),
  "without sub": () => token({ sub: undefined }),
  "with a sub that is no uuid": () => token({ sub: "1 or 1=1" }),
  "with a numeric sub": () => token({ sub: 7 }),
  "signed with another secret": () => token({}, {}, new TextEncoder().encode("x".repeat(40))),
  "not signed (alg none)": () => Promise.resolve(unsigned),
  "with a changed payload": async () => {
    const [head, , signature] = (await token()).split(".");
    return `${head}.${b64({ sub: crypto.randomUUID(), role: "authenticated" })}.${signature}`;
  },
  "cut short": async () => (await token()).slice(0, -3),
  "not yet valid": () => token({ nbf: now() + 600 }),
  "that is our secret key": () => Promise.resolve(stack.secretKey),
  "that is our publishable key": () => Promise.resolve(stack.publishableKey),
};

for (const [name, make] of Object.entries(REFUSED)) {
  Deno.test(`a token ${name} is refused with 401`, async () => {
    const response = await send(await make());
    const body = await response.json();
    equal(response.status, 401, JSON.stringify(body));
    equal(response.headers.get("content-type"), "application/problem+json");
  });
}

Deno.test("a bad token is refused even beside a good secret key", async () => {
  const response = await send(await token({ exp: now() - 10 }), { apikey: stack.secretKey });
  equal(response.status, 401);
  await response.body?.cancel();
});
