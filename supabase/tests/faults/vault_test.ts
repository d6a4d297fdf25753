import { deepEqual, equal, ok } from "node:assert/strict";
import { newDataKey, openForSealing } from "../../../functions-shared/vault/data_key.ts";
import { type Keyring, parseKeyring } from "../../../functions-shared/vault/keyring.ts";
import { openSecret } from "../../../functions-shared/vault/open_secret.ts";
import { refreshToken } from "../../../functions-shared/vault/refresh_token.ts";
import { seal } from "../../../functions-shared/vault/seal.ts";
import { storeToken } from "../../../functions-shared/vault/store_token.ts";
import { addKey, newKeyring, removeKey } from "../../../scripts/vault_keys.ts";
import { startStack, type TestStack } from "../support/stack.ts";
import { type SqlAdmin, sqlAdmin } from "../support/sql_admin.ts";
import { startTokenProvider, type TokenProvider } from "../support/token_provider.ts";
import type { OpenReport } from "./vault_worker.ts";

const PROCESSES = 4;
const CALLERS = 200;
const ROTATED_USERS = 100_000;
const native = Deno.env.get("MIRA_TEST_DB_URL") !== undefined;

let stack: TestStack;
let db: SqlAdmin;
let owner: SqlAdmin;
let provider: TokenProvider;
const ring = newKeyring();

/** A fault test, on a real server only: PGlite is one process with one connection. */
function fault(name: string, run: () => Promise<void>): void {
  const ignore = !native;
  Deno.test({ name: ignore ? `${name} (needs MIRA_TEST_DB_URL)` : name, ignore, fn: run });
}

if (native) {
  Deno.test.beforeAll(async () => {
    stack = await startStack();
    db = sqlAdmin(stack.dbUrl!, 4);
    owner = sqlAdmin(stack.dbUrl!, 2, "postgres");
    provider = startTokenProvider();
    setEnv(ring);
  });
  Deno.test.afterAll(async () => {
    await Promise.all([db.close(), owner.close(), provider.close()]);
    await stack.close();
  });
}

/** Variables of this process and, by inheritance, of every worker. */
function setEnv(keyring: string): void {
  Deno.env.set("VAULT_KEYRING", keyring);
  Deno.env.set("MOCK_CLIENT_ID", "client");
  Deno.env.set("VAULT_PROVIDERS", JSON.stringify({ mock: { token_url: provider.tokenUrl } }));
}

/** A new person with a token that expired, or (`isDue`) still lives and is due for refresh. */
async function personWithToken(isDue = false): Promise<string> {
  const [row] = await owner
    .sql`insert into auth.users (id) values (gen_random_uuid()) returning id`;
  const userId = String(row!["id"]);
  await storeToken(db.admin, userId, {
    provider: "mock",
    ...provider.grant(),
    scopes: [],
    expires_at: new Date(Date.now() + (isDue ? 60_000 : -60_000)).toISOString(),
  });
  if (isDue) {
    await owner.sql`update user_tokens set refresh_due_at = now() where user_id = ${userId}`;
  }
  return userId;
}

function worker(mode: string, userId = "", count = 0) {
  const path = new URL("./vault_worker.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", "--no-check", path, mode, stack.dbUrl!, userId, String(count)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = (async function* () {
    let rest = "";
    const texts = child.stdout.pipeThrough(new TextDecoderStream() as never);
    for await (const text of texts as ReadableStream<string>) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const part of parts) yield JSON.parse(part);
    }
  })();
  return {
    /** The next line; undefined at the end. */
    next: async () => (await lines.next()).value,
    go: async () => {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("go\n"));
      await writer.close();
    },
    kill: async () => {
      child.kill("SIGKILL");
      await child.stdin.close().catch(() => {});
      while (!(await lines.next()).done);
      await child.status;
    },
    end: async () => {
      await child.stdin.close().catch(() => {});
      while (!(await lines.next()).done);
      await child.status;
    },
  };
}

/** `callers` concurrent calls for one token, spread over four processes. */
async function storm(userId: string, callers = CALLERS): Promise<OpenReport> {
  const workers = Array.from(
    { length: PROCESSES },
    () => worker("open", userId, callers / PROCESSES),
  );
  for (const each of workers) equal(await each.next(), "ready");
  await Promise.all(workers.map((each) => each.go()));
  const reports: OpenReport[] = await Promise.all(workers.map((each) => each.next()));
  await Promise.all(workers.map((each) => each.end()));
  return {
    secrets: reports.flatMap((report) => report.secrets),
    failures: reports.flatMap((report) => report.failures),
    slowestMs: Math.max(...reports.map((report) => report.slowestMs)),
  };
}

async function audited(userId: string): Promise<Record<string, number>> {
  const rows = await owner.sql`select action, count(*)::int as n from private.vault_audit
    where user_id = ${userId} group by action`;
  return Object.fromEntries(rows.map((row) => [row["action"], row["n"]]));
}

/** Refresh calls and reuses the provider sees while `run` runs. */
async function seen(run: () => Promise<void>): Promise<{ calls: number; reuses: number }> {
  const before = [provider.refreshCalls(), provider.reuses()] as const;
  await run();
  return {
    calls: provider.refreshCalls() - before[0],
    reuses: provider.reuses() - before[1],
  };
}

fault(
  "200 callers in 4 processes and an expired token: one refresh, everybody served",
  async () => {
    const userId = await personWithToken();
    provider.delayMs = 300;
    const counts = await seen(async () => {
      const report = await storm(userId);
      deepEqual(report.failures, []);
      equal(report.secrets.length, CALLERS);
      ok(report.secrets.every((secret) => provider.accepts(secret)));
    });
    provider.delayMs = 0;
    deepEqual(counts, { calls: 1, reuses: 0 });
    // every plaintext that was handed out has its row, and nothing else has
    deepEqual(await audited(userId), { store: 1, refresh: 1, refreshed: 1, use: CALLERS });
  },
);

fault(
  "200 callers and a token that is due but lives: one refresh, nobody waits for it",
  async () => {
    const userId = await personWithToken(true);
    provider.delayMs = 3000;
    const counts = await seen(async () => {
      const report = await storm(userId);
      deepEqual(report.failures, []);
      equal(new Set(report.secrets).size, 2);
    });
    provider.delayMs = 0;
    deepEqual(counts, { calls: 1, reuses: 0 });
    equal((await audited(userId))["use"], CALLERS);
  },
);

fault("a lease holder killed before its call: the others take over, one refresh", async () => {
  const userId = await personWithToken();
  const counts = await seen(async () => {
    const holder = worker("stall", userId);
    equal(await holder.next(), "leased");
    await holder.kill();
    const report = await storm(userId);
    deepEqual(report.failures, []);
    equal(report.secrets.length, CALLERS);
    ok(report.secrets.every((secret) => provider.accepts(secret)));
  });
  deepEqual(counts, { calls: 1, reuses: 0 });
});

fault(
  "a lease holder killed during its call: two calls in all, one needs_reauth, no loop",
  async () => {
    const userId = await personWithToken();
    provider.delayMs = 1500;
    const counts = await seen(async () => {
      const before = provider.refreshCalls();
      const holder = worker("refresh", userId);
      while (provider.refreshCalls() === before) await new Promise((wake) => setTimeout(wake, 20));
      await holder.kill();
      provider.delayMs = 0;
      const report = await storm(userId);
      deepEqual(report.secrets, []);
      deepEqual([...new Set(report.failures)], ["needs_reauth"]);
      equal((await storm(userId, 40)).failures.length, 40);
    });
    deepEqual(counts, { calls: 2, reuses: 1 });
    equal((await audited(userId))["needs_reauth"], 1);
  },
);

fault("the same at a provider with a reuse grace: nobody has to sign in again", async () => {
  const userId = await personWithToken();
  provider.delayMs = 1500;
  provider.graceMs = 30_000;
  const counts = await seen(async () => {
    const before = provider.refreshCalls();
    const holder = worker("refresh", userId);
    while (provider.refreshCalls() === before) await new Promise((wake) => setTimeout(wake, 20));
    await holder.kill();
    provider.delayMs = 0;
    const report = await storm(userId);
    deepEqual(report.failures, []);
    ok(report.secrets.every((secret) => provider.accepts(secret)));
  });
  provider.graceMs = 0;
  deepEqual(counts, { calls: 2, reuses: 0 });
});

fault("three faults of the provider: four calls, everybody served", async () => {
  const userId = await personWithToken();
  provider.failures.push({ status: 503 }, { status: 503 }, { status: 429 });
  const counts = await seen(async () => {
    const report = await storm(userId, 40);
    deepEqual(report.failures, []);
    ok(report.secrets.every((secret) => provider.accepts(secret)));
  });
  deepEqual(counts, { calls: 4, reuses: 0 });
});

fault(
  "the database gone after the provider's answer: the new token is stored when it is back",
  async () => {
    const userId = await personWithToken();
    let refused = 0;
    const flaky = {
      rpc: (name: string, args: unknown) => {
        const isStore = name === "mira_store_token_refresh";
        if (!isStore || refused === 2) return db.admin.rpc(name as never, args as never);
        // one call never arrives, of the other only the answer is lost
        const lost = { data: null, error: { message: "fetch failed", code: "" } };
        const answer = refused++ === 0
          ? Promise.resolve(lost)
          : db.admin.rpc(name as never, args as never).then(() => lost);
        return Object.assign(answer, { abortSignal: () => answer });
      },
    };
    const counts = await seen(async () => {
      equal((await refreshToken(flaky as never, userId, "mock")).outcome, "fresh");
    });
    deepEqual([counts, refused], [{ calls: 1, reuses: 0 }, 2]);
    const opened = await openSecret(db.admin, { userId, provider: "mock", purpose: "fault test" });
    ok(opened && provider.accepts(opened.secret));
    deepEqual(await audited(userId), { store: 1, refresh: 1, refreshed: 1, use: 1 });
  },
);

fault("a new sign-in during a refresh wins: the refresh does not overwrite it", async () => {
  const userId = await personWithToken();
  provider.delayMs = 800;
  const before = provider.refreshCalls();
  const holder = worker("refresh", userId);
  while (provider.refreshCalls() === before) await new Promise((wake) => setTimeout(wake, 20));
  const signedIn = provider.grant();
  await storeToken(db.admin, userId, {
    provider: "mock",
    ...signedIn,
    scopes: [],
    expires_in: 3600,
  });
  await holder.end();
  provider.delayMs = 0;
  const ask = { userId, provider: "mock", purpose: "fault test" };
  equal((await openSecret(db.admin, ask))?.secret, signedIn.access_token);
  deepEqual(await audited(userId), { store: 2, refresh: 1, use: 1 });
});

/** People with a data key and a sealed token each, written in bulk. */
async function people(count: number, keys: Keyring): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 5000) {
    const rows = await Promise.all(
      Array.from({ length: Math.min(5000, count - at) }, async () => {
        const user = crypto.randomUUID();
        const wrapped = await newDataKey(keys, user);
        const place = {
          userId: user,
          provider: "crm",
          field: "access_token",
          generation: 1,
        } as const;
        const token = await seal(await openForSealing(keys, user, wrapped), place, `for ${user}`);
        return { user, id: wrapped.id, wrapped: wrapped.wrapped_key, token };
      }),
    );
    ids.push(...rows.map((row) => row.user));
    const list = owner.sql.json(rows);
    const shape = 'r("user" uuid, id uuid, wrapped text, token text)';
    await owner.sql.unsafe(
      `insert into auth.users (id) select r."user" from jsonb_to_recordset($1) as ${shape}`,
      [list],
    );
    await owner.sql.unsafe(
      `insert into private.vault_data_keys (id, user_id, wrapped_key)
       select r.id, r."user", r.wrapped from jsonb_to_recordset($1) as ${shape}`,
      [list],
    );
    await owner.sql.unsafe(
      `insert into public.user_tokens (user_id, provider, encrypted_access_token)
       select r."user", 'crm', r.token from jsonb_to_recordset($1) as ${shape}`,
      [list],
    );
  }
  return ids;
}

fault(
  "100,000 people's data keys rotate while readers read, killed on the way: no read fails",
  async () => {
    const old = await parseKeyring(ring);
    const ids = await people(ROTATED_USERS, old);
    const both = addKey(JSON.parse(ring));
    setEnv(both);

    let reads = 0, isRunning = true;
    const failures: string[] = [];
    const read = async () => {
      const userId = ids[Math.floor(Math.random() * ids.length)]!;
      try {
        const opened = await openSecret(db.admin, { userId, provider: "crm", purpose: "rotation" });
        if (opened?.secret !== `for ${userId}`) failures.push("wrong plaintext");
      } catch (error) {
        failures.push((error as { code?: string }).code ?? String(error));
      }
      reads++;
    };
    const readers = Array.from({ length: 4 }, async () => {
      while (isRunning) await read();
    });

    const killed = worker("rotate");
    while (Number(await killed.next()) < 20_000);
    await killed.kill();
    const readsBefore = reads;
    const started = performance.now();
    const second = worker("rotate");
    let report:
      | { rewrapped: number; left: Record<string, number>; removable: string[] }
      | undefined;
    for (let line = await second.next(); line !== undefined; line = await second.next()) {
      report = line;
    }
    const seconds = (performance.now() - started) / 1000;
    isRunning = false;
    await Promise.all(readers);
    await second.end();

    deepEqual(failures, []);
    ok(reads - readsBefore > 100, `readers read ${reads} times`);
    ok(
      report!.rewrapped > 0 && report!.rewrapped < ROTATED_USERS - 15_000,
      "it went on where it was",
    );
    deepEqual(report!.left, {});
    deepEqual(report!.removable, [old.active.id]);
    console.log(
      `    ${report!.rewrapped} re-wrapped in ${seconds.toFixed(1)} s beside ${reads} reads`,
    );

    setEnv(removeKey(JSON.parse(both), old.active.id));
    for (let n = 0; n < 200; n++) await read();
    deepEqual(failures, []);
  },
);
