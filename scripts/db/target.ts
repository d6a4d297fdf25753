import { parseArgs, type ParseArgsConfig } from "node:util";
import postgres from "postgres";
import { postgresExecutor, type SqlExecutor } from "./executor.ts";
import { listMigrations, type Migration, MIGRATIONS_DIR } from "./list_migrations.ts";

/** A task that works on a database. */
export interface DatabaseTask<Options extends NonNullable<ParseArgsConfig["options"]>> {
  /** What `--help` prints. The options every task has are added to it. */
  help: string;
  options: Options;
}

/** What a database task is given. */
export interface Target {
  db: SqlExecutor;
  url: string;
  /** The URL without its password, for people. */
  label: string;
  migrations: Migration[];
  flags: Record<string, string | boolean | undefined>;
}

const COMMON = `
  --db-url <url>      the database (or the first argument, or DATABASE_URL in the environment)
  --migrations <dir>  the migrations (default supabase/migrations)
  --help              this text`;

/** Something the caller must change before the task can go on; printed without a stack. */
export class Refusal extends Error {
  override name = "Refusal";
}

/**
 * Runs a task: reads the command line, connects, and turns failures into one clear message.
 * Exits with 0 when `work` returns true, 1 when it returns false or fails, 2 for a bad command line.
 */
export async function runTask<Options extends NonNullable<ParseArgsConfig["options"]>>(
  task: DatabaseTask<Options>,
  work: (target: Target) => Promise<boolean>,
): Promise<never> {
  let client: postgres.Sql | undefined;
  let code = 1;
  try {
    const { values, positionals } = parse(task.options);
    const flags = values as Target["flags"];
    if (flags["help"]) {
      console.log(task.help + COMMON);
      Deno.exit(0);
    }
    const url = (flags["db-url"] as string | undefined) ?? positionals[0] ??
      Deno.env.get("DATABASE_URL");
    if (url === undefined) {
      throw new Refusal("Which database? Give --db-url postgres://user:password@host:port/name");
    }
    const label = withoutPassword(url);
    const dir = flags["migrations"] as string | undefined;
    const migrations = await listMigrations(dir ?? MIGRATIONS_DIR).catch((cause) => {
      throw new Refusal((cause as Error).message);
    });
    client = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 15, prepare: false });
    const db = postgresExecutor(client);
    const [server] = await db.query("select current_setting('server_version') as version").catch(
      (cause) => {
        throw new Refusal(`${label} cannot be reached: ${cause.code ?? ""} ${cause.message}`);
      },
    );
    // a report that is printed stands alone on standard output
    const say = flags["json"] === "-" ? console.error : console.log;
    say(`Database  ${label} (PostgreSQL ${server!["version"]})`);
    if (await work({ db, url, label, migrations, flags })) code = 0;
  } catch (error) {
    const { code: reason, message, stack } = error as Error & { code?: string };
    const plain = error instanceof Refusal || (error as Error).name === "MigrationError";
    if (reason?.startsWith("ERR_PARSE_ARGS")) {
      code = 2;
      console.error(`${message}\n\n${task.help}${COMMON}`);
    } else console.error(`\n${plain ? message : stack}`);
  }
  await client?.end({ timeout: 5 });
  Deno.exit(code);
}

function parse(options: NonNullable<ParseArgsConfig["options"]>) {
  return parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      ...options,
      "db-url": { type: "string" },
      "migrations": { type: "string" },
      "help": { type: "boolean", short: "h" },
    },
  });
}

function withoutPassword(url: string): string {
  try {
    const { hostname, port, pathname } = new URL(url);
    return `${hostname}${port && `:${port}`}${pathname}`;
  } catch {
    throw new Refusal("The database's URL cannot be read: postgres://user:password@host:port/name");
  }
}

/** Asks at a terminal; elsewhere the command line has said it all. */
export function goAhead(flags: Target["flags"], question: string): boolean {
  return flags["yes"] === true || !Deno.stdin.isTerminal() || confirm(question);
}
