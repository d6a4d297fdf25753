/** One migration file: `<digits>_<name>.sql`; 14 digits by custom, a date and time. */
export interface Migration {
  /** The digits that order it and name it in the history. */
  version: string;
  name: string;
  /** The file's name, for messages. */
  file: string;
  sql: string;
}

/** Where the project keeps its migrations. */
export const MIGRATIONS_DIR = new URL("../../supabase/migrations/", import.meta.url);

/**
 * Reads the migrations of a folder in the order they apply.
 * @throws if two files share a version, or a `.sql` file is not named `<digits>_<name>.sql`.
 */
export async function listMigrations(dir: URL | string = MIGRATIONS_DIR): Promise<Migration[]> {
  const found: Migration[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (!entry.isFile || !entry.name.endsWith(".sql")) continue;
    const parts = /^(\d+)_(.+)\.sql$/.exec(entry.name);
    if (parts === null) throw new Error(`${entry.name}: a migration is named <digits>_<name>.sql`);
    const path = dir instanceof URL ? new URL(entry.name, dir) : `${dir}/${entry.name}`;
    const sql = await Deno.readTextFile(path);
    found.push({ version: parts[1]!, name: parts[2]!, file: entry.name, sql });
  }
  found.sort((a, b) => a.version < b.version ? -1 : 1);
  found.forEach((migration, i) => {
    if (migration.version === found[i + 1]?.version) {
      throw new Error(
        `${migration.file} and ${
          found[i + 1]!.file
        } share the version ${migration.version}. The history ` +
          `has one row per version: db push would fail with "duplicate key value violates unique ` +
          `constraint". Rename one of them.`,
      );
    }
  });
  return found;
}
