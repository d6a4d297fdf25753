/**
 * One process of the vault's fault tests: `vault_worker.ts <mode> <db url> <user id> <count>`.
 *
 * open    waits for a line on stdin, then opens the token in `count` concurrent calls; prints a report
 * stall   refreshes, but hangs where the call to the provider would leave; prints "leased" there
 * refresh refreshes as it is
 * rotate  rotates all data keys; prints the report
 */

import { openSecret } from "../../../functions-shared/vault/open_secret.ts";
import { keyring } from "../../../functions-shared/vault/keyring.ts";
import { refreshToken } from "../../../functions-shared/vault/refresh_token.ts";
import { rotateDataKeys } from "../../../functions-shared/vault/rotate_data_keys.ts";
import { sqlAdmin } from "../support/sql_admin.ts";

/** What `open` prints. */
export interface OpenReport {
  secrets: string[];
  /** Error codes. */
  failures: string[];
  /** The longest call, in ms. */
  slowestMs: number;
}

const [mode, dbUrl, userId, count] = Deno.args as [string, string, string, string];
const db = sqlAdmin(dbUrl, 4);
const print = (value: unknown) => console.log(JSON.stringify(value));

if (mode === "open") {
  await db.sql`select 1`;
  print("ready");
  await Deno.stdin.read(new Uint8Array(16));
  const report: OpenReport = { secrets: [], failures: [], slowestMs: 0 };
  await Promise.all(Array.from({ length: Number(count) }, async () => {
    const started = performance.now();
    try {
      const ask = { userId, provider: "mock", purpose: "fault test" };
      report.secrets.push((await openSecret(db.admin, ask))?.secret ?? "none");
    } catch (error) {
      report.failures.push((error as { code?: string }).code ?? String(error));
    }
    report.slowestMs = Math.max(report.slowestMs, performance.now() - started);
  }));
  print(report);
} else if (mode === "stall") {
  globalThis.fetch = () => {
    print("leased");
    setInterval(() => {}, 1000);
    return new Promise<Response>(() => {});
  };
  await refreshToken(db.admin, userId, "mock", { leaseMs: 3000 });
} else if (mode === "refresh") {
  await refreshToken(db.admin, userId, "mock", { leaseMs: 3000 });
} else {
  const onProgress = (rewrapped: number) => print(rewrapped);
  print(await rotateDataKeys(db.admin, await keyring(), { onProgress }));
}
await db.close();
