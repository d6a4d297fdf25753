/**
 * `deno task vault:rotate`: moves every person's data key under the active root key of
 * VAULT_KEYRING.
 *
 * Reads SUPABASE_URL (or API_URL), SUPABASE_SECRET_KEY (or SECRET_KEY) and VAULT_KEYRING from the
 * environment, or from `--env FILE` (lines NAME=value). Safe to stop, to repeat and to run while
 * the functions serve. Exits 1 while data keys are left on an old root key.
 *
 * The whole rotation: `vault:keys --add` and set the line it prints; `vault:rotate`; then
 * `vault:keys --remove <key id>` for each key it names.
 */

import { createClient } from "@supabase/supabase-js";
import type { Database } from "../functions-shared/db/types.gen.ts";
import { parseKeyring } from "../functions-shared/vault/keyring.ts";
import { rotateDataKeys } from "../functions-shared/vault/rotate_data_keys.ts";

async function main(args: string[]): Promise<number> {
  const file = args[0] === "--env" ? args[1] : undefined;
  if (args.length > 0 && file === undefined) throw new Error("Usage: vault:rotate [--env FILE]");
  const lines = file === undefined ? "" : await Deno.readTextFile(file);
  const setting = (...names: string[]): string => {
    for (const name of names) {
      const line = lines.split("\n").find((each) => each.startsWith(`${name}=`));
      const value = line?.slice(name.length + 1).trim() || Deno.env.get(name);
      if (value) return value;
    }
    throw new Error(`Set ${names.join(" or ")}.`);
  };
  const admin = createClient<Database>(
    setting("SUPABASE_URL", "API_URL"),
    setting("SUPABASE_SECRET_KEY", "SECRET_KEY"),
    { auth: { persistSession: false, autoRefreshToken: false } },
  );
  const ring = await parseKeyring(setting("VAULT_KEYRING"));
  const report = await rotateDataKeys(admin, ring, {
    onProgress: (count) => console.error(`${count} data keys re-wrapped`),
  });
  console.log(`Active root key: ${ring.active.id}. Re-wrapped: ${report.rewrapped}.`);
  for (const [code, count] of Object.entries(report.refused)) {
    console.log(`Not opened: ${count} (${code}).`);
  }
  for (const [id, count] of Object.entries(report.left)) {
    console.log(`Left on root key ${id}: ${count}. It must stay in the ring.`);
  }
  for (const id of report.removable) {
    console.log(`Root key ${id} wraps nothing: it may leave the ring (vault:keys --remove ${id}).`);
  }
  return Object.keys(report.left).length === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
