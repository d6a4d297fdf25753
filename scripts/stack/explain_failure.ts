/** One clear line for each way a start can fail. */

import { MigrationError } from "../db/apply_migrations.ts";
import { HomeInUse } from "./lock_home.ts";

/** Says what is wrong and what to do about it; never prints a URL's password. */
export function explainFailure(
  error: unknown,
  flags: { port: string; home: string; "db-url"?: string | undefined },
): string {
  if (error instanceof HomeInUse) {
    return `another Mira runs on ${flags.home}; stop it, or choose --home or --memory.`;
  }
  if (error instanceof Deno.errors.AddrInUse) {
    return `port ${flags.port} is taken; choose another with --port, or --port 0 for any.`;
  }
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotADirectory) {
    return `the folder ${flags.home} cannot be written; choose another with --home.`;
  }
  if (error instanceof MigrationError) return error.message;
  const code = (error as { code?: string }).code;
  if (flags["db-url"] !== undefined && isConnection(code)) {
    return `the database at ${hostOf(flags["db-url"])} cannot be reached (${code}).`;
  }
  return error instanceof Error ? error.message : String(error);
}

const isConnection = (code: string | undefined) =>
  code !== undefined &&
  /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ETIMEDOUT|CONNECT_TIMEOUT|CONNECTION_|28|3D|08)/.test(
    code,
  );

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "the given URL";
  }
}
