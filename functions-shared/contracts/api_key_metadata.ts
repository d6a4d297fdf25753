/** Settings that go with an API key. They are stored in clear, so secrets are refused here. */

import { z } from "zod";
import { isSecretKey, redactText } from "../observe/redact.ts";

/** Where an OpenAI-compatible service listens: https by name; http only to this machine. */
const BaseUrl = z.string().max(500).superRefine((text, context) => {
  const refuse = (message: string) => context.addIssue({ code: "custom", message });
  if (!URL.canParse(text)) return refuse("must be a URL");
  const url = new URL(text);
  const isLocal = url.protocol === "http:" &&
    ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url.protocol !== "https:" && !isLocal) refuse("must be https");
  if (url.username !== "" || url.password !== "") refuse("must hold no credentials");
  if (url.search !== "" || url.hash !== "") refuse("must hold no query and no fragment");
  // the URL parser writes every spelling of an IPv4 address as four numbers
  const isAddress = /^[\d.]+$/.test(url.hostname) || url.hostname.startsWith("[");
  if (!isLocal && (isAddress || !url.hostname.includes("."))) {
    refuse("must name a public host, not an address");
  }
});

const Word = z.string().min(1).max(200).regex(
  /^[\w.:/@ -]+$/,
  "must be letters, digits and _ . : / @ -",
);

/** What every provider's key may carry; other names hold short texts, numbers or booleans. */
export const ApiKeyMetadata = z.object({
  base_url: BaseUrl.optional(),
  /** A deployment at the provider, such as `ep-lpvcnv-1761467347624133479`. */
  endpoint_id: Word.optional(),
  /** The agent that uses this key; also picks it when a run opens it. */
  agent_name: z.string().trim().min(1).max(100).optional(),
  description: z.string().max(500).optional(),
  model: Word.optional(),
  organization: Word.optional(),
  project: Word.optional(),
  region: Word.optional(),
  api_version: Word.optional(),
}).catchall(z.union([z.string().max(256), z.number(), z.boolean()])).superRefine((all, context) => {
  const names = Object.keys(all);
  if (names.length > 24) context.addIssue({ code: "custom", message: "may have 24 entries" });
  for (const name of names) {
    const refuse = (message: string) => context.addIssue({ code: "custom", message, path: [name] });
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) refuse("names are snake_case");
    if (tellsSecret(name) || looksSecret(all[name])) {
      refuse("looks like a secret: metadata is stored in clear, send secrets as key");
    }
  }
});
export type ApiKeyMetadata = z.output<typeof ApiKeyMetadata>;

/** What a provider's key cannot be used without. */
const REQUIRED: Record<string, readonly (keyof ApiKeyMetadata & string)[]> = {
  vanchin: ["endpoint_id"],
  azure_openai: ["base_url"],
  openai_compatible: ["base_url"],
};

/** Refuses a key whose provider needs settings that are missing. */
export function checkProviderMetadata(
  input: { provider: string; metadata: ApiKeyMetadata },
  context: z.RefinementCtx,
): void {
  for (const name of REQUIRED[input.provider] ?? []) {
    if (input.metadata[name] === undefined) {
      const message = `is required for ${input.provider}`;
      context.addIssue({ code: "custom", message, path: ["metadata", name] });
    }
  }
}

/** Whether a snake_case name, read up to any of its words, names a secret: `secret_hint`, `max_tokens`. */
function tellsSecret(name: string): boolean {
  const words = name.split("_");
  return words.some((_, last) => {
    const part = words.slice(0, last + 1).join("_");
    return isSecretKey(part) || isSecretKey(part.replace(/s$/, ""));
  });
}

function looksSecret(value: unknown): boolean {
  return typeof value === "string" && redactText(value) !== value;
}
