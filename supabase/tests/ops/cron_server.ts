import postgres from "postgres";

/** A PostgreSQL of its own with pg_cron loaded, which a running server cannot be asked to load. */
export interface CronServer {
  /** URL of the database that pg_cron keeps its jobs in. */
  url: string;
  close(): Promise<void>;
}

/** Where the programs of a local server are, and whose they are to run. */
export interface Installation {
  bin: string;
  uid: number;
  gid: number;
}

/** The installation that the server of `url` runs from; undefined when it is far away or without pg_cron. */
export async function cronInstallation(
  url: string | undefined,
): Promise<Installation | undefined> {
  if (url === undefined) return undefined;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [found] = await sql`select (select setting from pg_config where name = 'BINDIR') as bin,
      current_setting('data_directory') as data,
      exists (select from pg_available_extensions where name = 'pg_cron') as has_cron`;
    if (found!["has_cron"] !== true) return undefined;
    await Deno.stat(`${found!["bin"]}/initdb`);
    const { uid, gid } = await Deno.stat(found!["data"]);
    return { bin: found!["bin"], uid: uid!, gid: gid! };
  } catch {
    return undefined;
  } finally {
    await sql.end();
  }
}

/** Starts one in a folder of its own. */
export async function startCronServer({ bin, uid, gid }: Installation): Promise<CronServer> {
  const folder = await Deno.makeTempDir({ prefix: "mira-cron-" });
  await Deno.chown(folder, uid, gid);
  const data = `${folder}/data`;
  const run = async (program: string, ...args: string[]) => {
    // a server that root may not run is run by whoever runs the other one
    const { success } = await new Deno.Command(`${bin}/${program}`, {
      args: ["-D", data, ...args],
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...(Deno.uid() === uid ? {} : { uid, gid }),
    }).output();
    if (!success) throw new Error(`${program} failed in ${folder}`);
  };
  await run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync");
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  await Deno.writeTextFile(
    `${data}/postgresql.conf`,
    `listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
shared_preload_libraries = 'pg_cron'
cron.database_name = 'mira'
cron.use_background_workers = on
`,
    { append: true },
  );
  await run("pg_ctl", "-l", `${folder}/log`, "-w", "start");
  const close = async () => {
    await run("pg_ctl", "-m", "immediate", "-w", "stop");
    await Deno.remove(folder, { recursive: true });
  };
  const url = `postgres://postgres@127.0.0.1:${port}`;
  const sql = postgres(`${url}/postgres`, { max: 1, onnotice: () => {} });
  try {
    await sql`create database mira`;
  } catch (error) {
    await close();
    throw error;
  } finally {
    await sql.end();
  }
  return { url: `${url}/mira`, close };
}
