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

// list prices of 2026; MIRA_LLM_PRICES overrides and adds. A dated name falls under its family.
const LIST: Record<string, Price> = {
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

/**
 * The price of a model: its own entry, else that of the longest family name it starts with
 * (`gpt-4o-mini-2024-07-18` is `gpt-4o-mini`), else undefined.
 */
export function priceOf(model: string, prices: Record<string, Price> = {}): Price | undefined {
  const known: Record<string, Price> = { ...LIST, ...prices };
  const name = Object.keys(known)
    .filter((entry) => model === entry || model.startsWith(`${entry}-`))
    .sort((a, b) => b.length - a.length)[0];
  return name === undefined ? undefined : known[name];
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
