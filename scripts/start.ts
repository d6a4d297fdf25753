/** `deno task start`: Mira on this machine, with nothing but Deno. */

import { parseArgs } from "node:util";
import { type Stack, startStack } from "./stack/stack.ts";
import { explainFailure } from "./stack/explain_failure.ts";
import { lockHome } from "./stack/lock_home.ts";

const HELP = `deno task start [options]

Starts the embedded stack: PostgreSQL in process (PGlite with pgvector), Data API and Auth,
the six functions, the schedule and the console, on 127.0.0.1.

  --port <n>        TCP port; 0 takes any free one (default 54321)
  --memory          keep nothing: data and keys vanish at the end
  --db-url <url>    a PostgreSQL server with pgvector instead of PGlite
  --home <folder>   where data and keys are kept (default .mira)
  --env-out <file>  write API_URL= PUBLISHABLE_KEY= SECRET_KEY= CRON_KEY= JWT_SECRET= DB_URL= when ready
  --no-cron         do not run the schedule
  --no-watch        do not reload changed functions
  --quiet           print nothing but errors
  --exit-with-stdin end when standard input closes (for a parent that may die)
  --help            this text`;

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    port: { type: "string", default: "54321" },
    memory: { type: "boolean", default: false },
    "db-url": { type: "string" },
    home: { type: "string", default: new URL("../.mira", import.meta.url).pathname },
    "env-out": { type: "string" },
    "no-cron": { type: "boolean", default: false },
    "no-watch": { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
    "exit-with-stdin": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(HELP);
  Deno.exit(0);
}

// the Data API's library counts uses unless told not to; nothing here phones home
Deno.env.set("LITE_TELEMETRY", "0");
Deno.env.set("DO_NOT_TRACK", "1");

const say = (line: string) => flags.quiet || console.log(line);
const started = performance.now();
let stack: Stack;
try {
  await Deno.mkdir(flags.home, { recursive: true, mode: 0o700 });
  if (!flags.memory) await lockHome(flags.home);
  stack = await startStack({
    port: Number(flags.port),
    home: flags.home,
    memory: flags.memory,
    ...(flags["db-url"] === undefined ? {} : { dbUrl: flags["db-url"] }),
    watch: !flags["no-watch"],
    cron: !flags["no-cron"],
    log: (line) => say(`  ${line}`),
  });
} catch (error) {
  console.error(`Mira could not start: ${explainFailure(error, flags)}`);
  Deno.exit(1);
}

if (flags["env-out"] !== undefined) {
  const lines = {
    API_URL: stack.url,
    PUBLISHABLE_KEY: stack.keys.publishable,
    SECRET_KEY: stack.keys.secret,
    CRON_KEY: stack.keys.cron,
    JWT_SECRET: stack.keys.jwtSecret,
    DB_URL: flags["db-url"] ?? "",
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`).join("");
  // renamed into place, so that whoever waits for the file reads it whole
  await Deno.writeTextFile(`${flags["env-out"]}.new`, text, { mode: 0o600 });
  await Deno.rename(`${flags["env-out"]}.new`, flags["env-out"]);
}

const where = flags["db-url"] ? "PostgreSQL by URL" : flags.memory ? "memory only" : flags.home;
say(`
  Mira is ready in ${((performance.now() - started) / 1000).toFixed(1)} s   (data: ${where})

  API          ${stack.url}
  Functions    ${stack.url}/functions/v1/<name>
  Console      ${stack.url}/console/
  Sample app   ${stack.url}/sample/

  publishable key   ${stack.keys.publishable}
  secret key        ${stack.keys.secret}

  Ctrl-C ends it.`);

let ending = false;
async function end(): Promise<void> {
  if (ending) Deno.exit(1); // asked twice: now
  ending = true;
  await stack.close();
  say("\n  The database is closed; nothing is lost.");
  Deno.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, end);

if (flags["exit-with-stdin"]) {
  const buffer = new Uint8Array(256);
  while (await Deno.stdin.read(buffer) !== null);
  await end();
}
