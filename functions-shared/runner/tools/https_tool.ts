/**
 * Tools that are web services: an https address, or `http_request` with one in its arguments.
 *
 * @module
 */
import { mapTexts } from "../../workflow/map_texts.ts";
import { storable } from "../../workflow/storable.ts";
import { type AllowRule, guardedFetch, GuardError } from "../net/guarded_fetch.ts";
import { trustedOrigins } from "../net/trusted_origins.ts";
import { type HttpResult, readReply } from "./http_reply.ts";
import { type ToolContext, type ToolDefinition, ToolError } from "./tool.ts";

/** Options of an https tool, written by the operator. */
interface HttpsOptions {
  /** default POST */
  method?: string;
  headers?: Record<string, string>;
  /** where redirects may lead besides the tool's own host */
  allow?: AllowRule[];
  /** the user's secret that goes into a header (default `authorization: Bearer …`) */
  secret?: { provider: string; label?: string; header?: string; prefix?: string };
  /** at most 30 000, default 5 000 */
  timeout_ms?: number;
}

/**
 * Calls the tool's address. `{name}` in it stands for an argument, escaped as one path segment; the
 * other arguments become the query of a GET or DELETE and the JSON body of anything else.
 */
export async function callHttps(
  args: Record<string, unknown>,
  context: ToolContext,
  definition: ToolDefinition,
): Promise<HttpResult> {
  const options = definition.options as HttpsOptions;
  const method = (options.method ?? "POST").toUpperCase();
  const rest = { ...args };
  const address = definition.function_path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    if (typeof value !== "string" && typeof value !== "number") {
      throw new ToolError("arguments_invalid", `The address needs the argument "${name}".`);
    }
    delete rest[name];
    const segment = encodeURIComponent(value);
    if (segment === "" || /^\.+$/.test(segment)) {
      throw new ToolError(
        "arguments_invalid",
        `The argument "${name}" cannot be part of an address.`,
      );
    }
    return segment;
  });
  const url = new URL(address);
  const inQuery = method === "GET" || method === "DELETE";
  if (inQuery) {
    for (const [name, value] of Object.entries(rest)) {
      url.searchParams.set(name, typeof value === "string" ? value : JSON.stringify(value));
    }
  }
  const own: AllowRule = {
    host: url.hostname,
    // everything before the first argument is the operator's
    path_prefix: new URL(definition.function_path.split("{")[0]!).pathname.replace(/(.)\/$/, "$1"),
    methods: [method],
  };
  return await request(
    context,
    {
      url: url.href,
      method,
      headers: { ...options.headers },
      ...(inQuery ? {} : { body: JSON.stringify(rest) }),
    },
    [own, ...(options.allow ?? [])],
    await secretHeader(context, definition.name, options.secret),
    Math.min(options.timeout_ms ?? 5_000, 30_000),
  );
}

/** `http_request`: an address from the arguments, if a rule of `MIRA_HTTP_ALLOW` lets it through. */
export async function httpRequest(
  args: Record<string, unknown>,
  context: ToolContext,
): Promise<HttpResult> {
  const { url, method = "GET", headers = {}, body } = args as {
    url: string;
    method?: string;
    headers?: Record<string, string>;
    body?: unknown;
  };
  for (const name of Object.keys(headers)) {
    if (/^(host|connection|content-length|transfer-encoding|proxy-.*|apikey)$/i.test(name)) {
      throw new ToolError("arguments_invalid", `The header ${name} may not be set.`);
    }
  }
  return await request(
    context,
    { url, method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) },
    rules(context.read("MIRA_HTTP_ALLOW")),
    undefined,
    5_000,
  );
}

interface SecretHeader {
  name: string;
  value: string;
  /** the part of the value that must not come back */
  secret: string;
}

async function request(
  context: ToolContext,
  what: { url: string; method: string; headers: Record<string, string>; body?: string },
  allow: AllowRule[],
  secret: SecretHeader | undefined,
  timeoutMs: number,
): Promise<HttpResult> {
  const headers: Record<string, string> = {
    accept: "application/json, text/*;q=0.5",
    "user-agent": "mira",
    ...what.headers,
    ...(what.body === undefined ? {} : { "content-type": "application/json" }),
    ...(what.method === "GET" ? {} : { "idempotency-key": context.key }),
  };
  try {
    const reply = await guardedFetch({ ...what, headers }, {
      allow,
      timeoutMs,
      trustedOrigins: trustedOrigins(context.read),
      signal: context.signal,
      ...(secret ? { secretHeaders: { [secret.name]: secret.value } } : {}),
    });
    const text = new TextDecoder().decode(reply.body).replaceAll("\u0000", "");
    const result = storable(
      readReply(new URL(reply.url).hostname, reply.status, reply.headers, text),
    ) as HttpResult;
    return secret ? without(secret.secret, result) : result;
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof GuardError) {
      throw new ToolError(error.code, error.message, { retryable: error.retryable });
    }
    // a header or body that Headers refuses
    if (error instanceof TypeError) throw new ToolError("arguments_invalid", error.message);
    throw error;
  }
}

/**
 * A result without the secret: a service that echoes its headers must not bring it into the state. Looked
 * for in what was parsed, since JSON may write the same text in many ways (`\/` for a slash).
 */
function without(secret: string, result: HttpResult): HttpResult {
  return mapTexts(result, (text) => text.replaceAll(secret, "[secret]"));
}

async function secretHeader(
  context: ToolContext,
  tool: string,
  secret: HttpsOptions["secret"],
): Promise<SecretHeader | undefined> {
  if (!secret) return undefined;
  const opened = await context.openSecret({
    userId: context.userId,
    provider: secret.provider,
    ...(secret.label ? { label: secret.label } : {}),
    purpose: `tool:${tool}`,
    runId: context.runId,
  });
  if (!opened) {
    throw new ToolError(
      "secret_not_found",
      `The tool ${tool} needs your ${secret.provider} account: connect it with upsert-tokens.`,
    );
  }
  const prefix = secret.prefix ?? (secret.header === undefined ? "Bearer " : "");
  return {
    name: secret.header ?? "authorization",
    value: prefix + opened.secret,
    secret: opened.secret,
  };
}

function rules(text: string | undefined): AllowRule[] {
  try {
    const list = JSON.parse(text ?? "[]");
    if (Array.isArray(list) && list.every((rule) => typeof rule?.host === "string")) return list;
  } catch {
    // falls through to the one error that names the variable
  }
  throw new ToolError(
    "not_configured",
    'MIRA_HTTP_ALLOW must be a JSON list such as [{"host":"api.example.com","path_prefix":"/v1","methods":["GET"]}].',
  );
}
