/**
 * A strict OAuth 2.0 provider for tests: refresh tokens rotate, and a second use of an old one
 * revokes the whole family (RFC 9700 §4.14.2).
 */

/** What the provider saw and does. */
export interface TokenProvider {
  tokenUrl: string;
  revokeUrl: string;
  /** Starts a family; returns its first tokens. */
  grant(): { access_token: string; refresh_token: string };
  /** Refresh calls that arrived. */
  refreshCalls(): number;
  /** Times an old refresh token came again. */
  reuses(): number;
  /** Tokens that were revoked by their holder. */
  revoked: string[];
  /** The last form that came to the token endpoint, and its authorization header. */
  lastForm: Record<string, string>;
  lastAuthorization: string | null;
  /** Whether the API of this provider accepts the access token now. */
  accepts(accessToken: string): boolean;
  /** Answers to give before honest ones: a status, a body, or a dropped connection. */
  failures: ({ status: number; body?: unknown } | "drop")[];
  /** Settings of honest answers. */
  delayMs: number;
  expiresIn: number;
  rotates: boolean;
  /** For how long the last old refresh token still works without harm, as many providers grant. */
  graceMs: number;
  close(): Promise<void>;
}

interface Family {
  refresh: string;
  access: Set<string>;
  isRevoked: boolean;
  /** The refresh token before this one, and when it was exchanged. */
  former?: { refresh: string; at: number };
}

/** Starts the provider on a free port of this machine. */
export function startTokenProvider(): TokenProvider {
  const families: Family[] = [];
  const used = new Map<string, Family>();
  let calls = 0, reuses = 0, serial = 0;
  const token = (kind: string) => `${kind}-${++serial}-${crypto.randomUUID()}`;

  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handle);
  const url = `http://127.0.0.1:${server.addr.port}`;

  async function handle(request: Request): Promise<Response> {
    const form = Object.fromEntries(new URLSearchParams(await request.text()));
    const path = new URL(request.url).pathname;
    const failure = provider.failures.shift();
    if (path === "/token") {
      calls++;
      provider.lastForm = form;
      provider.lastAuthorization = request.headers.get("authorization");
    }
    if (failure === "drop") throw new Error("the connection is dropped");
    if (failure) return Response.json(failure.body ?? {}, { status: failure.status });
    if (path === "/revoke") {
      provider.revoked.push(form["token"] ?? "");
      const family = families.find((each) => each.refresh === form["token"]);
      if (family) family.isRevoked = true;
      return new Response(null, { status: 200 });
    }
    const answer = refresh(form["refresh_token"] ?? "");
    await new Promise((wake) => setTimeout(wake, provider.delayMs));
    return answer;
  }

  function refresh(given: string): Response {
    const owner = used.get(given);
    const isGraced = owner?.former?.refresh === given &&
      Date.now() - owner.former.at < provider.graceMs;
    const family = isGraced ? owner : families.find((each) => each.refresh === given);
    if (!isGraced && owner !== undefined) {
      reuses++;
      owner.isRevoked = true;
    }
    if (family === undefined || family.isRevoked) {
      return Response.json({ error: "invalid_grant" }, { status: 400 });
    }
    const access_token = token("access");
    family.access.add(access_token);
    const answer = { access_token, token_type: "Bearer", expires_in: provider.expiresIn };
    if (!provider.rotates) return Response.json(answer);
    if (!isGraced) {
      used.set(given, family);
      family.former = { refresh: given, at: Date.now() };
      family.refresh = token("refresh");
    }
    return Response.json({ ...answer, refresh_token: family.refresh });
  }

  const provider: TokenProvider = {
    tokenUrl: `${url}/token`,
    revokeUrl: `${url}/revoke`,
    grant() {
      const family: Family = { refresh: token("refresh"), access: new Set(), isRevoked: false };
      const access_token = token("access");
      family.access.add(access_token);
      families.push(family);
      return { access_token, refresh_token: family.refresh };
    },
    refreshCalls: () => calls,
    reuses: () => reuses,
    revoked: [],
    lastForm: {},
    lastAuthorization: null,
    accepts: (access) => families.some((each) => !each.isRevoked && each.access.has(access)),
    failures: [],
    delayMs: 0,
    expiresIn: 3600,
    rotates: true,
    graceMs: 0,
    close: () => server.shutdown(),
  };
  return provider;
}
