import type { Catalog, CatalogObject } from "./catalog.ts";
import { belongsTo, GUARDED, isGone } from "./compare.ts";
import type { SqlExecutor } from "./executor.ts";

/** One step from a database as it is to a database as it should be. */
export interface Change {
  /** What happens, for people: `make index public.leads_email_idx`. */
  says: string;
  object: CatalogObject;
  /** Statements that only together make sense. */
  statements: string[];
}

/** Kinds that `create or replace` or a second `grant` cannot change in place. */
const REMADE: ReadonlySet<string> = new Set(["constraint", "index", "trigger", "policy", "grant"]);

/** What makes `actual` into `wanted`: what is missing or different, and rights granted beyond it. */
export function changesTo(wanted: Catalog, actual: Catalog): Change[] {
  const changes: Change[] = [];
  for (const [key, object] of wanted) {
    const found = actual.get(key);
    const name = `${object.kind} ${object.name}`;
    if (found === undefined) {
      if (object.make === "") continue;
      changes.push({ says: `make ${name}`, object, statements: [object.make] });
    } else if (found.definition !== object.definition) {
      const statements = object.kind === "column"
        ? alterColumn(object)
        : REMADE.has(object.kind)
        ? [found.unmake, object.make]
        : [object.make];
      changes.push({ says: `change ${name}`, object, statements });
    }
  }
  for (const [key, object] of actual) {
    if (wanted.has(key) || !GUARDED.has(object.kind) || !belongsTo(object, wanted)) continue;
    changes.push({
      says: `take away ${object.kind} ${object.name} (${object.definition})`,
      object,
      statements: [object.unmake],
    });
  }
  return changes;
}

/** What takes `gone` away from `actual`, leaving out what goes with its parent. */
export function removalsOf(gone: Catalog, actual: Catalog, kept: Catalog): Change[] {
  const remaining: Catalog = new Map(
    [...actual].filter(([key]) => !gone.has(key) || kept.has(key)),
  );
  const changes: Change[] = [];
  for (const [key, object] of [...gone].reverse()) {
    const found = actual.get(key);
    if (found === undefined || kept.has(key) || found.unmake === "") continue;
    // foreign keys, checks and policies are taken first all the same: they tie tables and functions together
    const ties = object.kind === "policy" || /^(FOREIGN KEY|CHECK)/.test(found.definition);
    if (!ties && isGone(asTable(object.parent, gone), gone, remaining)) continue;
    changes.push({
      says: `drop ${object.kind} ${object.name}`,
      object,
      statements: [found.unmake],
    });
  }
  return changes;
}

/** A grant on a view names its parent as a table. */
function asTable(parent: string | null, among: Catalog): string | null {
  const view = parent?.replace(/^table /, "view ") ?? null;
  return view !== null && among.has(view) ? view : parent;
}

function alterColumn(object: CatalogObject): string[] {
  const parts = /^(.*?)( generated .*?)?( default (.*?))?( not null)?$/s.exec(object.definition)!;
  const [, type, generated, , byDefault, required] = parts;
  const column = object.name.slice(object.parent!.replace("table ", "").length + 1);
  const table = object.parent!.replace("table ", "alter table ");
  if (generated) return [object.unmake, object.make];
  return [
    `${table} alter column ${column} drop default`,
    `${table} alter column ${column} type ${type} using ${column}::${type}`,
    ...(byDefault ? [`${table} alter column ${column} set default ${byDefault}`] : []),
    `${table} alter column ${column} ${required ? "set" : "drop"} not null`,
  ];
}

/** A change that PostgreSQL refused, and why. */
export interface Refused {
  change: Change;
  error: Error & { code?: string; detail?: string };
}

/**
 * Carries out changes inside the caller's transaction. The order need not be right: what fails is
 * tried again after the others, until a round brings nothing more.
 * @returns what is still refused.
 */
export async function carryOut(
  db: SqlExecutor,
  changes: Change[],
  onDone: (change: Change) => void = () => {},
): Promise<Refused[]> {
  await db.exec("set local check_function_bodies = off");
  let waiting = changes;
  let refused: Refused[] = [];
  do {
    refused = [];
    for (const change of waiting) {
      await db.exec("savepoint change");
      try {
        for (const statement of change.statements) await db.exec(statement);
        await db.exec("release savepoint change");
        onDone(change);
      } catch (error) {
        await db.exec("rollback to savepoint change");
        refused.push({ change, error: error as Refused["error"] });
      }
    }
    if (refused.length === waiting.length) break;
    waiting = refused.map((one) => one.change);
  } while (waiting.length > 0);
  return refused;
}
