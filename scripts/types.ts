/** `deno task types`: the database's types, as the Supabase CLI generates them. */

import { parseArgs } from "node:util";
import { serveMigrated } from "./db/serve_pglite.ts";
import { supabaseCli } from "./db/supabase_cli.ts";

const FILE = new URL("../functions-shared/db/types.gen.ts", import.meta.url);
const HOME = new URL("../.mira", import.meta.url).pathname;

const HELP = `deno task types [options]

Writes functions-shared/db/types.gen.ts: what supabase gen types makes of the migrations, applied to
a PostgreSQL in this process. Needs no server and no container.

  --check          write nothing; fail when the file is not what the migrations would give
  --db-url <url>   take the types of this database instead
  --help           this text`;

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    "check": { type: "boolean" },
    "db-url": { type: "string" },
    "help": { type: "boolean", short: "h" },
  },
});
if (flags.help) {
  console.log(HELP);
  Deno.exit(0);
}

const served = flags["db-url"] === undefined ? await serveMigrated(HOME) : undefined;
const url = flags["db-url"] ?? served!.url;
const types = await formatted(
  await supabaseCli(["gen", "types", "typescript", `--remote=${url}`, "--schema", "public"]),
);
await served?.close();

if (!flags.check) {
  await Deno.writeTextFile(FILE, types);
  console.log(`functions-shared/db/types.gen.ts: ${types.split("\n").length} lines`);
} else if (await Deno.readTextFile(FILE) !== types) {
  console.error(
    "functions-shared/db/types.gen.ts is not what the migrations give: deno task types",
  );
  Deno.exit(1);
} else console.log("The generated types are in step with the migrations.");

/** The CLI's output is one long line per table; as everything else, it is read formatted. */
async function formatted(code: string): Promise<string> {
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "ts", "--line-width", "100", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  return new TextDecoder().decode((await fmt.output()).stdout);
}
