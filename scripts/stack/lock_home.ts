/** One stack per data folder: a file lock that the system drops when the process dies. */

/** Raised when another stack holds the folder. */
export class HomeInUse extends Error {}

let held: Deno.FsFile | undefined;

/** Takes the folder for the life of this process. */
export async function lockHome(home: string): Promise<void> {
  const file = await Deno.open(`${home}/lock`, { create: true, write: true });
  if (!await file.tryLock(true)) {
    file.close();
    throw new HomeInUse(home);
  }
  held = file; // a collected file would drop the lock
  held.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
}
