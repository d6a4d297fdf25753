/** The environment of the functions, named as on the platform. */

import { parseEnv } from "node:util";
import { LOCAL_MODEL } from "./embedder.ts";
import type { Keys } from "./keys.ts";
import type { Tokens } from "./tokens.ts";

const DOTENV = new URL("../../supabase/functions/.env", import.meta.url);

/** Variables the platform sets, then those of supabase/functions/.env, as the CLI does. */
export async function functionEnv(stack: {
  url: string;
  keys: Keys;
  tokens: Tokens;
  dbUrl: string | undefined;
}): Promise<Record<string, string>> {
  const { url, keys, tokens, dbUrl } = stack;
  return {
    SUPABASE_URL: url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishable }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secret, cron: keys.cron }),
    SUPABASE_JWKS: tokens.jwks(),
    ...(dbUrl === undefined ? {} : { SUPABASE_DB_URL: dbUrl }),
    // a ring of one's own, to rotate the one this stack made
    VAULT_KEYRING: Deno.env.get("VAULT_KEYRING") || keys.vaultKeyring,
    // an exported service wins over the encoder of the stack, as it does for models
    ...(Deno.env.get("MIRA_EMBEDDINGS_URL")
      ? {}
      : { MIRA_EMBEDDINGS_URL: `${url}/embeddings/v1`, MIRA_EMBEDDINGS_MODEL: LOCAL_MODEL }),
    ...await ownVariables(),
  };
}

async function ownVariables(): Promise<Record<string, string>> {
  try {
    return parseEnv(await Deno.readTextFile(DOTENV)) as Record<string, string>;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}
