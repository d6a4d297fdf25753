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
  /** prices that the operator declared, by model */
  prices: Record<string, Price>;
}

/**
 * Services a user's own key may be for. A key is sent to the address written here and nowhere else:
 * an address from the database could send it to anyone.
 */
const PROVIDERS: Record<string, { url: string; model: string }> = {
  openai: { url: "https://api.openai.com/v1", model: "gpt-4o-mini" },
  openrouter: { url: "https://openrouter.ai/api/v1", model: "openai/gpt-4o-mini" },
  groq: { url: "https://api.groq.com/openai/v1", model: "llama-3.3-70b-versatile" },
  mistral: { url: "https://api.mistral.ai/v1", model: "mistral-small-latest" },
  deepseek: { url: "https://api.deepseek.com/v1", model: "deepseek-chat" },
  together: {
    url: "https://api.together.xyz/v1",
    model: "meta-llama/Llama-3.3-70B-Instruct-Turbo",
  },
  google: {
    url: "https://generativelanguage.googleapis.com/v1beta/openai",
    model: "gemini-2.5-flash",
  },
  anthropic: { url: "https://api.anthropic.com/v1", model: "claude-sonnet-4-5" },
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
  const url = read("MIRA_LLM_URL");
  const key = read("MIRA_LLM_KEY") ?? read("OPENAI_API_KEY");
  const openai = PROVIDERS.openai!;
  // a service on the own machine (Ollama, llama.cpp, vLLM) needs an address and no key
  if (url === undefined && key === undefined) throw notConfigured();
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

/**
 * The endpoint of a user's own key.
 *
 * @throws {ChatError} `llm_provider_unknown` when there is no address for the provider
 */
export function providerEndpoint(
  provider: string,
  key: string,
  model: string | undefined,
  read: (name: string) => string | undefined,
): ChatEndpoint {
  const known = Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined;
  if (!known) {
    throw new ChatError(
      "llm_provider_unknown",
      `There is no model service named "${provider}". Known: ${CHAT_PROVIDERS.join(", ")}.`,
    );
  }
  return {
    url: known.url,
    key,
    model: model ?? known.model,
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
