/**
 * Nobody gets at anybody else's rows: every verb of every kind of attacker is tried on every table
 * the catalog knows. And the trial itself is tried: holes are planted, and each must be found.
 */

import assert from "node:assert/strict";
import { tenantMatrix } from "../support/tenant_matrix.ts";
import { openTestDatabase } from "../support/test_database.ts";

/** Tables that belong to nobody and that everybody signed in may read. */
const SHARED = new Set(["public.mira_tool_definitions"]);

const WHOLE = { sanitizeResources: false, sanitizeOps: false };

Deno.test(
  { name: "no verb of any attacker reaches another person's row, on any table", ...WHOLE },
  async () => {
    const { db, close } = await openTestDatabase();
    try {
      await db.exec("begin");
      const cells = await tenantMatrix(db, SHARED);
      const wrong = cells.filter((cell) => cell.outcome === "LEAK" || cell.outcome === "not tried");
      assert.deepEqual(wrong, []);
      assert.ok(cells.length >= 400, `only ${cells.length} cells`);
    } finally {
      await db.exec("rollback");
      await close();
    }
  },
);

/** What is planted on which table, and which cell must turn. */
const HOLES: [name: string, table: string, sql: string, found: string][] = [
  [
    "a policy for everybody signed in",
    "public.prompts",
    "create policy hole on public.prompts for select to authenticated using (true)",
    "select another user",
  ],
  [
    "a policy that forgot its role, with a grant to anon",
    "public.prompts",
    "create policy hole on public.prompts for select using (true); grant select on public.prompts to anon",
    "select anon",
  ],
  [
    "a policy that lets a missing sub pass",
    "public.prompts",
    "create policy hole on public.prompts for select to authenticated using (user_id = coalesce(auth.uid(), user_id))",
    "select no sub",
  ],
  [
    "a policy that believes user_metadata",
    "public.prompts",
    `create policy hole on public.prompts for delete to authenticated
       using (user_id = (auth.jwt() -> 'user_metadata' ->> 'sub')::uuid);
     create policy hole_read on public.prompts for select to authenticated
       using (user_id = (auth.jwt() -> 'user_metadata' ->> 'sub')::uuid)`,
    "delete forged claims",
  ],
  [
    "an insert policy that checks nothing",
    "public.prompts",
    "create policy hole on public.prompts for insert to authenticated with check (true)",
    "insert anonymous sign-in",
  ],
  [
    "an update policy that lets a row change hands",
    "public.prompts",
    "create policy hole on public.prompts for update to authenticated using (user_id = auth.uid()) with check (true)",
    "transfer another user",
  ],
  [
    "row security switched off",
    "public.messages",
    "alter table public.messages disable row level security",
    "update another user",
  ],
  [
    "a child that may hang under another person's parent",
    "public.messages",
    `alter table public.messages drop constraint messages_user_id_session_id_fkey;
     alter table public.messages add foreign key (session_id) references public.chat_sessions (id)`,
    "insert another user",
  ],
];

Deno.test(
  { name: "a hole in a policy, a grant or a key is found, each in its own cell", ...WHOLE },
  async (t) => {
    const { db, close } = await openTestDatabase();
    try {
      for (const [name, table, sql, found] of HOLES) {
        await t.step(name, async () => {
          await db.exec("begin");
          try {
            await db.exec(sql);
            const cells = await tenantMatrix(db, SHARED, [table]);
            const leaks = cells.filter((cell) => cell.outcome === "LEAK")
              .map((cell) => `${cell.verb} ${cell.attacker}`);
            assert.ok(leaks.includes(found), `found only: ${leaks.join(", ") || "nothing"}`);
          } finally {
            await db.exec("rollback");
            Deno.exitCode = 0; // PGlite sets it when a statement fails, as many here must
          }
        });
      }
    } finally {
      await close();
    }
  },
);
