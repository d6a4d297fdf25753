import type { SqlExecutor } from "../../../scripts/db/executor.ts";
import { splitStatements } from "../../../scripts/db/split_statements.ts";

/** What a pgTAP file said. */
export interface TapResult {
  planned: number | undefined;
  passed: number;
  /** Each failed assertion with pgTAP's own diagnosis, and whatever else was wrong with the file. */
  failures: string[];
}

/** A pgTAP file with what it includes by `\ir <file beside it>`, as psql reads it. */
export async function readTap(file: URL): Promise<string> {
  const parts = (await Deno.readTextFile(file)).split(/^\\ir (\S+)$/m);
  const included = await Promise.all(
    parts.map((part, i) => i % 2 === 0 ? part : readTap(new URL(part, file))),
  );
  return included.join("");
}

/**
 * Runs one pgTAP file (`begin; select plan(n); … select * from finish(); rollback;`) as
 * `supabase test db` would, and reads what it says. A file that fails to parse, that runs another
 * number of assertions than it planned, or that plans none, has failed.
 */
export async function runTap(db: SqlExecutor, sql: string): Promise<TapResult> {
  const result: TapResult = { planned: undefined, passed: 0, failures: [] };
  let ran = 0;
  try {
    for (const { text, line } of splitStatements(sql)) {
      const rows = await db.query(text).catch((error) => {
        throw new Error(`line ${line}: ${error.message}`);
      });
      for (const said of rows.flatMap((row) => Object.values(row).flat())) {
        for (const each of String(said).split("\n")) read(each);
      }
    }
  } catch (error) {
    result.failures.push((error as Error).message);
  } finally {
    await db.exec("rollback");
    await db.exec("reset all");
    await db.exec("reset role");
    Deno.exitCode = 0; // PGlite sets it when a statement fails
  }
  if (result.planned === undefined) result.failures.push("the file planned no tests");
  else if (ran !== result.planned) {
    result.failures.push(`planned ${result.planned} tests but ran ${ran}`);
  }
  return result;

  function read(line: string): void {
    const plan = /^1\.\.(\d+)/.exec(line);
    if (plan) result.planned = Number(plan[1]);
    else if (/^ok \d+/.test(line)) {
      ran++;
      result.passed++;
    } else if (/^not ok \d+/.test(line)) {
      ran++;
      if (!/# TODO/.test(line)) result.failures.push(line);
    } else if (line.startsWith("#") && result.failures.length > 0) {
      result.failures[result.failures.length - 1] += `\n    ${line}`;
    }
  }
}
