/** Keys of an embedded stack: made once, kept in a file only its owner can read. */

import { generateApiKey } from "@supabase/lite";
import { newKeyring } from "../vault_keys.ts";

/** Everything secret about a stack. */
export interface Keys {
  /** HS256 secret of the access tokens. */
  jwtSecret: string;
  /** What browsers send as `apikey`. */
  publishable: string;
  /** What servers send as `apikey`: full access. */
  secret: string;
  /** The secret key named `cron`, held by the scheduler. */
  cron: string;
  /** Key ring of the vault, as in VAULT_KEYRING. */
  vaultKeyring: string;
}

/** Makes a fresh set. */
export async function newKeys(): Promise<Keys> {
  return {
    jwtSecret: randomText(48),
    publishable: (await generateApiKey("publishable")).key,
    secret: (await generateApiKey("secret")).key,
    cron: (await generateApiKey("secret")).key,
    vaultKeyring: newKeyring(),
  };
}

/** Reads the keys kept at `path`, making and keeping them (mode 600) the first time. */
export async function keptKeys(path: string): Promise<Keys> {
  try {
    return JSON.parse(await Deno.readTextFile(path)) as Keys;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const keys = await newKeys();
  // written beside and renamed, so that a crash leaves either no keys or all of them
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(keys, null, 2), { mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
  return keys;
}

function randomText(bytes: number): string {
  const raw = crypto.getRandomValues(new Uint8Array(bytes));
  return btoa(String.fromCharCode(...raw)).replaceAll("+", "-").replaceAll("/", "_");
}
