/**
 * A runner in a process of its own: `runner_worker.ts <db url> <service origin> <lease ms>`. Does due
 * work until it is killed; prints what went wrong.
 */

import { doDueWork } from "../../../functions-shared/runner/do_due_work.ts";
import type { RunnerHost } from "../../../functions-shared/runner/tools/tool.ts";
import { sqlAdmin } from "../support/sql_admin.ts";

const [dbUrl, origin, leaseMs] = Deno.args as [string, string, string];
const { admin, sql } = sqlAdmin(dbUrl, 2);
const rpc = admin.rpc.bind(admin) as unknown as (
  name: string,
  args: unknown,
) => Promise<{ data: unknown; error: { code?: string; message: string } | null }>;

const environment: Record<string, string> = {
  MIRA_HTTP_ALLOW: JSON.stringify([{ host: "127.0.0.1", methods: ["POST"] }]),
  MIRA_HTTP_TRUSTED_ORIGINS: origin,
};

const host: RunnerHost = {
  admin: {
    rpc: (name: string, args: unknown) => ({
      abortSignal: async () => {
        const answer = await rpc(name, args);
        // the driver's own codes for a lost connection reach supabase-js as a failed fetch
        if (answer.error && !/^[0-9A-Z]{5}$/.test(answer.error.code ?? "")) {
          return { ...answer, error: { message: `connection: ${answer.error.message}` } };
        }
        return answer;
      },
    }),
    from: () => ({
      select: () => ({
        eq: () => ({
          abortSignal: async () => ({
            data: await sql`select * from public.mira_tool_definitions`,
            error: null,
          }),
        }),
      }),
    }),
  } as unknown as RunnerHost["admin"],
  read: (name) => environment[name],
  openSecret: () => Promise.resolve(undefined),
  unknown: (cause) => console.log("unknown", cause instanceof Error ? cause.message : cause),
};

for (;;) {
  const { steps } = await doDueWork(host, {
    parallel: 8,
    leaseMs: Number(leaseMs),
    maxSteps: 100_000,
  }).catch((error) => {
    console.log("failed", error.message);
    return { steps: 0 };
  });
  if (steps === 0) await new Promise((resolve) => setTimeout(resolve, 100));
}
