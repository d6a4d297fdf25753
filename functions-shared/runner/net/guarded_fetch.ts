/**
 * HTTP requests that a workflow may make: to declared hosts, at public addresses, and no further.
 *
 * @module
 */
import {
  type Bytes,
  ExchangeError,
  type ExchangeReply,
  openExchange,
  type OpenReply,
  readWhole,
} from "./exchange.ts";
import { isGlobalAddress } from "./global_address.ts";

/** Where requests may go. A rule without methods allows GET and HEAD. */
export interface AllowRule {
  /** exact host name, or `*.example.com` for its subdomains */
  host: string;
  /** the path must start with it, at a segment border; default everything */
  path_prefix?: string;
  methods?: string[];
}

/** One request. */
export interface GuardedRequest {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** What guards it. */
export interface Guard {
  allow: AllowRule[];
  /**
   * origins (`http://127.0.0.1:9000`) whose address and scheme the operator vouches for; they still
   * need a rule
   */
  trustedOrigins?: string[];
  /** default 5 000 */
  timeoutMs?: number;
  /** default 1 MiB */
  maxBytes?: number;
  /** default 3 */
  maxRedirects?: number;
  signal?: AbortSignal;
  /** addresses of a host; default asks DNS for A and AAAA */
  lookUp?: (host: string) => Promise<string[]>;
  /** headers that may only reach the origin first asked; redirects elsewhere lose them */
  secretHeaders?: Record<string, string>;
}

/** A request that was refused or went wrong. `retryable` when the same request may work later. */
export class GuardError extends Error {
  override readonly name = "GuardError";
  constructor(readonly code: string, message: string, readonly retryable = false) {
    super(message);
  }
}

/**
 * Makes the request, following redirects itself so that every hop is checked like the first.
 *
 * Refused: other schemes than https, user names in addresses, IP addresses, ports other than 443,
 * hosts or paths without a rule, and hosts of which any address is not on the public internet.
 *
 * @throws {GuardError} `url_refused`, `host_not_allowed`, `address_refused`, `host_not_found`,
 *   `too_many_redirects`, `request_timed_out`, `response_too_large`, `response_invalid`,
 *   `request_failed`
 */
export async function guardedFetch(
  request: GuardedRequest,
  guard: Guard,
): Promise<ExchangeReply & { url: string }> {
  const { url, ...reply } = await openGuarded(request, guard);
  return { ...await readWhole(reply), url };
}

/**
 * The same, answered when the head is in: the body can be read as it comes, under the same limits of
 * time and size.
 *
 * @throws {GuardError} as {@link guardedFetch}; what happens later is thrown by the body
 */
export async function openGuarded(
  request: GuardedRequest,
  guard: Guard,
): Promise<OpenReply & { url: string }> {
  const timeout = AbortSignal.timeout(guard.timeoutMs ?? 5_000);
  const signal = guard.signal ? AbortSignal.any([guard.signal, timeout]) : timeout;
  let method = (request.method ?? "GET").toUpperCase();
  let body = request.body === undefined ? undefined : new TextEncoder().encode(request.body);
  let url = request.url;
  let first: string | undefined;
  for (let hop = 0; hop <= (guard.maxRedirects ?? 3); hop++) {
    const target = checkUrl(url, method, guard);
    first ??= target.origin;
    const headers = new Headers(request.headers);
    if (target.origin === first) {
      for (const [name, value] of Object.entries(guard.secretHeaders ?? {})) {
        headers.set(name, value);
      }
    }
    const address = await addressOf(target, guard, signal);
    const reply = await attempt({ method, url: target, address, headers, body }, guard, signal);
    const location = reply.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(reply.status) || location === null) {
      return { ...reply, url: target.href };
    }
    await reply.body.cancel();
    if (!URL.canParse(location, target)) {
      throw new GuardError("url_refused", "The redirect does not lead to a valid address.");
    }
    url = new URL(location, target).href;
    if (reply.status === 303 || (reply.status < 303 && method === "POST")) {
      method = "GET";
      body = undefined;
    }
  }
  throw new GuardError("too_many_redirects", "The service redirects too often.");
}

function checkUrl(text: string, method: string, guard: Guard): URL {
  const refuse = (why: string) => new GuardError("url_refused", why);
  if (!URL.canParse(text)) throw refuse("The address is not a valid URL.");
  const url = new URL(text);
  if (url.username || url.password) {
    throw refuse("An address may not carry a user name or password.");
  }
  if (!/^[A-Z]{3,10}$/.test(method)) throw refuse("The method is not a word.");
  const trusted = guard.trustedOrigins?.includes(url.origin) ?? false;
  if (!trusted) {
    if (url.protocol !== "https:") throw refuse("Only https addresses are allowed.");
    if (url.port !== "") throw refuse("Only port 443 is allowed.");
    if (/^[\d.]+$/.test(url.hostname) || url.hostname.startsWith("[")) {
      throw refuse("Name the host; IP addresses are not allowed.");
    }
  }
  // a path with an escaped dot or slash may mean another path to the server behind it
  if (/%(2e|2f|5c)/i.test(url.pathname)) throw refuse("The path may not hide dots or slashes.");
  if (!guard.allow.some((rule) => matches(rule, url, method))) {
    throw new GuardError(
      "host_not_allowed",
      `No rule allows ${method} ${url.host}${url.pathname.slice(0, 100)}.`,
    );
  }
  return url;
}

function matches(rule: AllowRule, url: URL, method: string): boolean {
  const host = rule.host.toLowerCase();
  const name = url.hostname.replace(/\.$/, "");
  const hostFits = host.startsWith("*.")
    ? name.endsWith(host.slice(1)) && name.length > host.length - 1
    : name === host;
  const prefix = rule.path_prefix ?? "/";
  const pathFits = url.pathname === prefix ||
    url.pathname.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
  return hostFits && pathFits && (rule.methods ?? ["GET", "HEAD"]).includes(method);
}

async function addressOf(url: URL, guard: Guard, signal: AbortSignal): Promise<string> {
  if (guard.trustedOrigins?.includes(url.origin)) return url.hostname.replace(/^\[|\]$/g, "");
  const addresses = await (guard.lookUp ?? askDns)(url.hostname, signal).catch(() => {
    if (signal.aborted) throw timedOut();
    return [] as string[];
  });
  if (addresses.length === 0) {
    throw new GuardError("host_not_found", `The host ${url.hostname} has no address.`, true);
  }
  if (!addresses.every(isGlobalAddress)) {
    throw new GuardError(
      "address_refused",
      `The host ${url.hostname} leads to an address that is not on the public internet.`,
    );
  }
  return addresses[0]!;
}

async function askDns(host: string, signal?: AbortSignal): Promise<string[]> {
  const ask = (type: "A" | "AAAA") =>
    Deno.resolveDns(host, type, signal ? { signal } : {}).catch(() => [] as string[]);
  const [v4, v6] = await Promise.all([ask("A"), ask("AAAA")]);
  return [...v4, ...v6];
}

async function attempt(
  what: {
    method: string;
    url: URL;
    address: string;
    headers: Headers;
    body: Bytes | undefined;
  },
  guard: Guard,
  signal: AbortSignal,
): Promise<OpenReply> {
  const { body, ...rest } = what;
  return await openExchange({
    ...rest,
    ...(body ? { body } : {}),
    maxBytes: guard.maxBytes ?? 1024 * 1024,
    signal,
    explain: (failure) => {
      if (failure instanceof ExchangeError) return new GuardError(failure.code, failure.message);
      if (signal.aborted) return timedOut();
      return new GuardError(
        "request_failed",
        `The connection to ${what.url.hostname} failed.`,
        true,
      );
    },
  });
}

function timedOut(): GuardError {
  return new GuardError("request_timed_out", "The service did not answer in time.", true);
}
