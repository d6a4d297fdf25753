/**
 * Which model service a chat goes to.
 *
 * @module
 */
import type { Price } from "../workflow/usage.ts";
import { ChatError } from "./chat_error.ts";

/** Everything needed to call a model. The key never leaves the server and is never logged. */
export interface ChatEndpoint {
  /** base address of an OpenAI-compatible API, ending in /v1 */
  url: string;
  key: string;
  model: string;
  /**
   * the address comes from a user, so requests to it must go through a guard
   */
  isForeign?: boolean;
  /** prices that the operator declared, by model */
  prices: Record<string, Price>;
}

/**
 * Services whose OpenAI-compatible address is known, checked on 2026-11-21 in their documentation or
 * that of clients that use it. No model is named here but OpenAI's: names are retired (`deepseek-chat`
 * was in July 2026), so the node or the key says which one.
 *
 * Sources: openrouter.ai/docs, console.groq.com/docs/openai, docs.mistral.ai (migration guides),
 * api-docs.deepseek.com, docs.together.ai/docs/openai-api-compatibility,
 * ai.google.dev/gemini-api/docs/openai, platform.claude.com/docs (OpenAI SDK compatibility).
 */
const PROVIDERS: Record<string, { url: string; model?: string }> = {
  openai: { url: "https://api.openai.com/v1", model: "gpt-4o-mini" },
  openrouter: { url: "https://openrouter.ai/api/v1" },
  groq: { url: "https://api.groq.com/openai/v1" },
  mistral: { url: "https://api.mistral.ai/v1" },
  deepseek: { url: "https://api.deepseek.com" },
  together: { url: "https://api.together.xyz/v1" },
  google: { url: "https://generativelanguage.googleapis.com/v1beta/openai" },
  anthropic: { url: "https://api.anthropic.com/v1" },
  // the model is the deployment that the key's endpoint_id names
  vanchin: { url: "https://vanchin.streamlake.ai/api/gateway/v1/endpoints" },
};

/** Names of the services whose keys a user may bring. */
export const CHAT_PROVIDERS: readonly string[] = Object.keys(PROVIDERS);

/**
 * The endpoint of the operator: `MIRA_LLM_URL` with `MIRA_LLM_KEY` and `MIRA_LLM_MODEL`, else
 * `OPENAI_API_KEY` (and `MIRA_LLM_MODEL`). `MIRA_LLM_PRICES` declares prices.
 *
 * @param read reads one environment variable
 * @param model the model a node names, which wins over the environment's
 * @throws {ChatError} `llm_not_configured`
 */
export function environmentEndpoint(
  read: (name: string) => string | undefined,
  model?: string,
): ChatEndpoint {
  if (!isConfigured(read)) throw notConfigured();
  const url = read("MIRA_LLM_URL");
  // a service on the own machine (Ollama, llama.cpp, vLLM) needs no key; OpenAI's key is for OpenAI
  const key = read("MIRA_LLM_KEY") ?? (url === undefined ? read("OPENAI_API_KEY") : undefined);
  const openai = PROVIDERS["openai"]!;
  const named = model ?? read("MIRA_LLM_MODEL") ?? (url === undefined ? openai.model : undefined);
  if (named === undefined) {
    throw new ChatError(
      "llm_not_configured",
      "MIRA_LLM_URL is set without a model: set MIRA_LLM_MODEL, or name a model in the node.",
    );
  }
  return {
    url: (url ?? openai.url).replace(/\/+$/, ""),
    key: key ?? "none",
    model: named,
    prices: readPrices(read("MIRA_LLM_PRICES")),
  };
}

/** Whether the environment names a model service at all. */
export function isConfigured(read: (name: string) => string | undefined): boolean {
  return ["MIRA_LLM_URL", "MIRA_LLM_KEY", "OPENAI_API_KEY"].some((name) =>
    read(name) !== undefined
  );
}

/**
 * The endpoint of a user's own key: the key's `base_url`, else the provider's address; the node's
 * model, else the key's `endpoint_id` or `model`, else the provider's.
 *
 * @throws {ChatError} `llm_provider_unknown` without an address, `llm_not_configured` without a model
 */
export function providerEndpoint(
  provider: string,
  own: { secret: string; metadata: Record<string, unknown> },
  model: string | undefined,
  read: (name: string) => string | undefined,
): ChatEndpoint {
  const known = Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined;
  const { base_url: base, endpoint_id: deployment, model: preferred } = own.metadata;
  const url = typeof base === "string" ? base : known?.url;
  if (url === undefined) {
    throw new ChatError(
      "llm_provider_unknown",
      `No address is known for "${provider}": store its key with a base_url, or use one of ` +
        `${CHAT_PROVIDERS.join(", ")}.`,
    );
  }
  const named = [model, deployment, preferred, known?.model].find((name) =>
    typeof name === "string"
  );
  if (typeof named !== "string") {
    throw new ChatError(
      "llm_not_configured",
      `Name a model for "${provider}" in the node or its key.`,
    );
  }
  return {
    url: url.replace(/\/+$/, ""),
    key: own.secret,
    model: named,
    isForeign: typeof base === "string",
    prices: readPrices(read("MIRA_LLM_PRICES")),
  };
}

/** The error that names what to set. */
export function notConfigured(provider?: string): ChatError {
  const own = provider ? ` Or store a key for "${provider}" with upsert-tokens.` : "";
  return new ChatError(
    "llm_not_configured",
    "No model service is configured: set MIRA_LLM_URL, MIRA_LLM_KEY and MIRA_LLM_MODEL for any " +
      `OpenAI-compatible service, or OPENAI_API_KEY.${own}`,
  );
}

function readPrices(text: string | undefined): Record<string, Price> {
  if (text === undefined) return {};
  try {
    const prices = JSON.parse(text) as Record<string, Price>;
    const good = Object.values(prices).every((p) => p.input >= 0 && p.output >= 0);
    if (good && !Array.isArray(prices)) return prices;
  } catch {
    // falls through to the one error that names the variable
  }
  throw new ChatError(
    "llm_not_configured",
    'MIRA_LLM_PRICES must be JSON such as {"my-model": {"input": 0.1, "output": 0.4}}.',
  );
}
