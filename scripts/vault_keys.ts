/**
 * Makes root keys for the vault. `deno task vault:keys` prints the one line that sets a new ring on
 * a hosted project; with a ring in VAULT_KEYRING, `--add` puts a new active key into it and
 * `--remove <key id>` takes one out once `deno task vault:rotate` says that it may leave.
 */

import { Buffer } from "node:buffer";

interface Ring {
  active: string;
  keys: Record<string, string>;
}

/** A ring with one new random key, as the text VAULT_KEYRING wants. */
export function newKeyring(): string {
  return addKey({ active: "", keys: {} });
}

/** The ring with one more random key, which becomes the active one. */
export function addKey(ring: Ring): string {
  const month = new Date().toISOString().slice(0, 7);
  let id = month;
  for (let n = 2; id in ring.keys; n++) id = `${month}-${n}`;
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  return JSON.stringify({ active: id, keys: { ...ring.keys, [id]: key } });
}

/**
 * The ring without one of its keys.
 *
 * @throws {Error} when the key is active or unknown.
 */
export function removeKey(ring: Ring, id: string): string {
  if (!(id in ring.keys)) throw new Error(`The ring has no key "${id}".`);
  if (id === ring.active) throw new Error(`"${id}" is the active key: add another one first.`);
  const { [id]: _gone, ...keys } = ring.keys;
  return JSON.stringify({ ...ring, keys });
}

function main(args: string[]): void {
  const current = (): Ring => {
    const text = Deno.env.get("VAULT_KEYRING");
    if (!text) throw new Error("Set VAULT_KEYRING to the ring in use.");
    return JSON.parse(text) as Ring;
  };
  const [flag, id] = args;
  let ring: string;
  if (flag === undefined) {
    if (Deno.env.get("VAULT_KEYRING")) {
      throw new Error(
        "VAULT_KEYRING holds a ring already: use --add, a new one would lose the old.",
      );
    }
    ring = newKeyring();
  } else if (flag === "--add") ring = addKey(current());
  else if (flag === "--remove" && id !== undefined) ring = removeKey(current(), id);
  else throw new Error("Usage: vault:keys [--add | --remove <key id>]");
  console.error("Run this line, and keep a copy of the ring in a safe place: without it every");
  console.error("stored credential is lost.");
  console.log(`supabase secrets set VAULT_KEYRING='${ring}'`);
}

if (import.meta.main) {
  try {
    main(Deno.args);
  } catch (error) {
    const isJson = error instanceof SyntaxError;
    console.error(isJson ? "VAULT_KEYRING is not JSON." : (error as Error).message);
    Deno.exit(1);
  }
}
