/** The database tasks, run as an operator runs them: by command line, on a database behind a URL. */

import assert from "node:assert/strict";
import postgres from "postgres";
import { readCatalog } from "../../../scripts/db/catalog.ts";
import { consolidate } from "../../../scripts/db/consolidate.ts";
import { postgresExecutor } from "../../../scripts/db/executor.ts";
import { listMigrations } from "../../../scripts/db/list_migrations.ts";
import { type BareDatabase, bareDatabase } from "./bare_database.ts";

const LOOSE = { sanitizeOps: false, sanitizeResources: false };

async function withDatabase(
  platform: boolean,
  work: (database: BareDatabase) => Promise<void>,
): Promise<void> {
  const database = await bareDatabase({ platform });
  try {
    await work(database);
  } finally {
    await database.close();
    Deno.exitCode = 0; // PGlite sets it when a statement fails, as some here must
  }
}

Deno.test({
  name: "on a bare PostgreSQL, migrate says what is missing, and --bootstrap makes it",
  ...LOOSE,
}, () =>
  withDatabase(false, async ({ sql, task }) => {
    const refused = await task("migrate");
    assert.equal(refused.code, 1);
    assert.match(refused.said, /Missing:[^]*table auth\.users[^]*--bootstrap/);
    const [before] = await sql("select to_regnamespace('private') is null as untouched");
    assert.equal(before.untouched, true);

    const done = await task("migrate", "--bootstrap");
    assert.equal(done.code, 0, done.said);
    const again = await task("migrate");
    assert.match(again.said, /Nothing to do/);
  }));

Deno.test({
  name: "a failing migration leaves nothing half-done and names its statement",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ sql, task }) => {
    const dir = await Deno.makeTempDir();
    await Deno.writeTextFile(
      `${dir}/20260101000000_good.sql`,
      "create table public.good (id int);",
    );
    await Deno.writeTextFile(
      `${dir}/20260102000000_bad.sql`,
      "create table public.half (id int);\n\n-- now it breaks\ninsert into public.half\nvalues ('x');\n",
    );
    const failed = await task("migrate", "--migrations", dir);
    assert.equal(failed.code, 1);
    assert.match(
      failed.said,
      /20260102000000_bad\.sql:4: [^]*SQLSTATE 22P02[^]*in: insert into public\.half/,
    );
    const [row] = await sql(
      `select to_regclass('public.good') is not null as good, to_regclass('public.half') is null as half,
         (select array_agg(version) from supabase_migrations.schema_migrations) as versions`,
    );
    assert.deepEqual(row, { good: true, half: true, versions: ["20260101000000"] });
  }));

Deno.test({
  name: "verify tells every kind of drift, and repair mends it after showing it",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ sql, task }) => {
    assert.equal((await task("migrate")).code, 0);
    const clean = await task("verify");
    assert.equal(clean.code, 0, clean.said);
    assert.match(clean.said, /All is as declared/);

    await sql("drop index public.leads_email_idx");
    await sql("alter table public.leads disable row level security");
    await sql("grant truncate on public.leads to anon");
    await sql("alter table public.prompts drop column category");
    await sql("alter table public.prompts alter column title drop not null");
    await sql("drop policy prompts_delete_own on public.prompts");
    await sql("drop trigger mira_account_created on auth.users");
    await sql(
      `create or replace function private.is_admin() returns boolean language sql stable security definer
      set search_path = '' as 'select true'`,
    );
    await sql("create table public.somebody_elses (id int)");
    const told = await task("verify", "--json", "-");
    assert.equal(told.code, 1);
    const report = JSON.parse(told.printed);
    const found = report.findings.map((f: Record<string, string>) =>
      `${f["state"]} ${f["kind"]} ${f["name"]}`
    );
    for (
      const drift of [
        "missing index public.leads_email_idx",
        "missing row security public.leads",
        "extra grant table public.leads to anon",
        "missing column public.prompts.category",
        "different column public.prompts.title",
        "missing policy public.prompts.prompts_delete_own",
        "missing trigger auth.users.mira_account_created",
        "different function private.is_admin()",
      ]
    ) assert.ok(found.includes(drift), `not told: ${drift}\n${found.join("\n")}`);
    assert.ok(
      !found.some((f: string) => f.includes("somebody_elses")),
      "other people's tables are theirs",
    );

    const shown = await task("repair");
    assert.equal(shown.code, 1);
    assert.match(shown.said, /take away grant table public\.leads to anon[^]*Nothing was changed/);
    const [still] = await sql("select to_regclass('public.leads_email_idx') is null as missing");
    assert.equal(still.missing, true);
    const mended = await task("repair", "--apply");
    assert.equal(mended.code, 0, mended.said);
    const after = await task("verify");
    assert.equal(after.code, 0, after.said);
  }));

Deno.test({
  name: "repair mends a history that says one thing of a database that is another",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ sql, task }) => {
    assert.equal((await task("migrate")).code, 0);
    // seed 000: the database has it all, its history has forgotten; and it remembers what is not there
    await sql(
      "delete from supabase_migrations.schema_migrations where version >= '20260101000300'",
    );
    const blocked = await task("migrate");
    assert.equal(blocked.code, 1, "the blocker is reproduced");
    assert.match(blocked.said, /already exists/);
    await sql("drop view public.run_outcomes, public.agent_latency");
    await sql(`insert into supabase_migrations.schema_migrations (version, name)
      values ('20260101001060', 'analytics'), ('20241110', 'stranger')`);

    const shown = await task("repair");
    assert.match(shown.said, /record 20260101000300 as applied/);
    assert.match(shown.said, /take 20260101001060 out of the history: it is not there/);
    assert.match(shown.said, /20241110 +recorded +not in this folder/);
    const mended = await task("repair", "--apply", "--forget", "20241110");
    assert.equal(mended.code, 0, mended.said);
    const [views] = await sql("select to_regclass('public.run_outcomes') is null as gone");
    assert.equal(views.gone, true, "what is not there is left to migrate, not marked");
    const migrated = await task("migrate");
    assert.match(migrated.said, /Done: 1 applied/);
    assert.equal((await task("verify")).code, 0);
  }));

Deno.test({
  name: "seed 000's blocker is reproduced, shown and mended, without marking what is not there",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ sql, task }) => {
    const dir = await Deno.makeTempDir();
    const old = "create table if not exists public.channels (id int primary key, name text);\n" +
      "insert into public.channels values (1, 'web');\n";
    await Deno.writeTextFile(`${dir}/20241110_channels.sql`, old);
    await Deno.writeTextFile(`${dir}/20251119_agents.sql`, "create table public.agents (id int);");
    const on = ["--migrations", dir];
    // the database was made by hand; its history never heard of it
    await sql("create table public.channels (id int primary key, name text)");
    await sql("insert into public.channels values (1, 'web')");
    const blocked = await task("migrate", ...on);
    assert.match(
      blocked.said,
      /20241110_channels\.sql:2: duplicate key value violates unique constraint/,
    );

    const mended = await task("repair", "--apply", ...on);
    assert.match(
      mended.said,
      /20241110_channels\.sql +not recorded +there[^]*20251119_agents\.sql +not recorded +absent/,
    );
    assert.equal(mended.code, 0, mended.said);
    const [history] = await sql(
      "select array_agg(version) as versions from supabase_migrations.schema_migrations",
    );
    assert.deepEqual(history.versions, ["20241110"], "agents is not there, so it is not marked");
    assert.match((await task("migrate", ...on)).said, /Done: 1 applied/);

    await Deno.writeTextFile(`${dir}/20251119_again.sql`, "select 1;");
    const twins = await task("migrate", ...on);
    assert.equal(twins.code, 1);
    assert.match(twins.said, /share the version 20251119[^]*duplicate key/);
  }));

Deno.test({
  name: "rollback guards the vault, drops what is ours and leaves what is others'",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ sql, task }) => {
    assert.equal((await task("migrate")).code, 0);
    const user = crypto.randomUUID();
    const key = crypto.randomUUID();
    await sql("insert into auth.users (id, email) values ($1, 'ann@example.com')", [user]);
    await sql(
      "insert into private.vault_data_keys (id, user_id, wrapped_key) values ($1, $2, $3)",
      [
        key,
        user,
        `w1.2026-11.${"A".repeat(8)}.${"A".repeat(16)}.${"A".repeat(107)}`,
      ],
    );
    await sql(
      "create table public.somebody_elses (id int); create view public.theirs as select id from public.leads",
    );

    const guarded = await task("rollback");
    assert.equal(guarded.code, 1);
    assert.match(guarded.said, /The vault is not empty[^]*vault_data_keys: 1[^]*--export/);

    const file = `${await Deno.makeTempDir()}/vault.json`;
    const blocked = await task("rollback", "--export", file);
    assert.equal(blocked.code, 1);
    assert.match(blocked.said, /view theirs depends on table leads/);
    const [kept] = await sql("select count(*)::int as n from public.profiles");
    assert.equal(kept.n, 1, "a refused rollback changes nothing");
    assert.equal(JSON.parse(await Deno.readTextFile(file))["private.vault_data_keys"][0].id, key);

    await sql("drop view public.theirs");
    const done = await task("rollback", "--yes-lose-tokens");
    assert.equal(done.code, 0, done.said);
    const left = await sql(
      `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ('public', 'private') or c.relname = 'schema_migrations'
       union all select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ('public', 'private')
       union all select t.tgname from pg_trigger t where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal
       union all select nspname from pg_namespace where nspname = 'private'`,
    );
    assert.deepEqual(left.map((row) => row.name), ["somebody_elses"]);
    const [account] = await sql("select count(*)::int as n from auth.users");
    assert.equal(account.n, 1, "accounts are not ours to drop");
    const again = await task("migrate");
    assert.equal(again.code, 0, again.said);
  }));

Deno.test({
  name: "the consolidated file gives what migrate gives, and a second run changes nothing",
  ...LOOSE,
}, () =>
  withDatabase(true, async ({ url, task }) => {
    const script = consolidate(await listMigrations());
    const client = postgres(url, { max: 1, onnotice: () => {}, prepare: false });
    const db = postgresExecutor(client);
    try {
      await db.exec(script);
      const once = await readCatalog(db);
      await db.exec(script);
      assert.deepEqual(await readCatalog(db), once);
    } finally {
      await client.end();
    }
    const verified = await task("verify");
    assert.equal(verified.code, 0, verified.said);
    assert.match((await task("migrate")).said, /Nothing to do/);
  }));
