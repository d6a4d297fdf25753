/** `deno task db:consolidate`: all migrations as one file for the SQL editor. */

import { parseArgs } from "node:util";
import { listMigrations, type Migration, MIGRATIONS_DIR } from "./list_migrations.ts";
import { splitStatements } from "./split_statements.ts";

const HELP = `deno task db:consolidate [options]

Writes all migrations as one SQL file for Supabase's SQL editor, or for psql. The file keeps the
history that db:migrate and supabase db push keep, skips what that history knows, and applies each
migration whole or not at all: running it twice changes nothing, and the result is the same as
db:migrate's. Needs no database.

  --out <file>        where to write it (default: standard output)
  --migrations <dir>  the migrations (default supabase/migrations)
  --help              this text`;

/** The consolidated script: one `do` block per migration, each a transaction of its own. */
export function consolidate(migrations: Migration[]): string {
  const list = migrations.map(({ file }) => `--   ${file}`).join("\n");
  return `-- Mira, all migrations in one file. Made by deno task db:consolidate; do not edit.
-- Running it again changes nothing: a migration that the history knows is skipped.
--
${list}

create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
${migrations.map(block).join("")}`;
}

function block(migration: Migration): string {
  const statements = splitStatements(migration.sql).map(({ text }) => text);
  const tag = (prefix: string, text: string) => {
    let name = prefix;
    while (text.includes(`$${name}$`)) name += "_";
    return `$${name}$`;
  };
  const body = statements.map((text) => {
    const quote = tag("statement", text);
    return `    ${quote}${text}${quote}`;
  }).join(",\n");
  const outer = tag("migration", body);
  return `
-- ${migration.file}
do ${outer}
declare
  v_statements text[] := array[
${body}
  ];
  v_statement text;
begin
  if exists (select from supabase_migrations.schema_migrations where version = '${migration.version}') then
    return;
  end if;
  foreach v_statement in array v_statements loop
    execute v_statement;
  end loop;
  insert into supabase_migrations.schema_migrations (version, name, statements)
  values ('${migration.version}', '${migration.name}', v_statements);
end ${outer};
`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      out: { type: "string" },
      migrations: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  const migrations = await listMigrations(values.migrations ?? MIGRATIONS_DIR);
  const sql = consolidate(migrations);
  if (values.out === undefined) console.log(sql);
  else {
    await Deno.writeTextFile(values.out, sql);
    console.error(`${migrations.length} migrations, ${sql.length} characters: ${values.out}`);
  }
}
