/**
 * What model calls cost.
 *
 * @module
 */

/** Tokens of one or more model calls, and money when the model's price is known. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
  /** US dollars; null when the price of a model used is not known */
  cost_usd: number | null;
}

/** US dollars per million tokens. */
export interface Price {
  input: number;
  output: number;
}

/**
 * Standard prices of api.openai.com, for models with one price whatever the length of the prompt.
 * Source: developers.openai.com/api/docs/pricing and /api/docs/models/<name>, checked on 2026-11-21
 * through copies of those pages of March to November 2026. Cached input costs less and counts in full.
 */
const OPENAI: Record<string, Price> = {
  "gpt-4.1": { input: 2, output: 8 },
  "gpt-4.1-mini": { input: 0.4, output: 1.6 },
  "gpt-4.1-nano": { input: 0.1, output: 0.4 },
  "gpt-4o": { input: 2.5, output: 10 },
  "gpt-4o-mini": { input: 0.15, output: 0.6 },
  "gpt-5": { input: 1.25, output: 10 },
  "gpt-5-mini": { input: 0.25, output: 2 },
  "gpt-5-nano": { input: 0.05, output: 0.4 },
  "o3": { input: 2, output: 8 },
  "o4-mini": { input: 1.1, output: 4.4 },
};
/** Snapshots that do not cost what their family costs. */
const OTHERWISE_PRICED = new Set(["gpt-4o-2024-05-13"]);

/** A model where it is called. */
export interface CalledModel {
  model: string;
  /** base address of the service */
  url: string;
  /** prices that the operator declared (`MIRA_LLM_PRICES`), by model */
  prices: Record<string, Price>;
}

/**
 * The price of a model: what the operator declared, else OpenAI's list if it is OpenAI that is called,
 * else undefined. A dated snapshot (`gpt-4o-mini-2024-07-18`) costs what its family costs; any other
 * longer name is another model (`gpt-5-pro` costs twelve times `gpt-5`), and nothing is guessed.
 */
export function priceOf({ model, url, prices }: CalledModel): Price | undefined {
  const family = OTHERWISE_PRICED.has(model) ? model : model.replace(/-\d{4}-\d{2}-\d{2}$/, "");
  const listed = new URL(url).hostname === "api.openai.com" ? OPENAI : {};
  for (const list of [prices, listed]) {
    for (const name of [model, family]) if (Object.hasOwn(list, name)) return list[name];
  }
  return undefined;
}

/** US dollars for these tokens, or null without a price. */
export function costOf(price: Price | undefined, input: number, output: number): number | null {
  return price ? (input * price.input + output * price.output) / 1e6 : null;
}

/**
 * An upper estimate of the tokens of a text, made without a tokenizer: byte-pair vocabularies
 * average four bytes of English a token and never need more than one token a byte, so three bytes
 * a token is high for prose and code. The real count replaces it as soon as the call is answered.
 */
export function estimateTokens(text: string): number {
  return Math.ceil(new TextEncoder().encode(text).length / 3);
}
