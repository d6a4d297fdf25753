import type { Catalog } from "./catalog.ts";
import type { Declared } from "./declared.ts";

/** How much of one migration a database shows. */
export interface Standing {
  migration: Declared["migration"];
  /** `unprovable`: the migration makes nothing that a catalog could show. */
  state: "there" | "absent" | "partly" | "unprovable";
  /** How many objects speak for it. */
  evidence: number;
  /** Those that are missing, or unlike every form that this or a later migration gives them. */
  lacking: string[];
}

/** Objects that may have been there before the migrations, or that others use as well. */
const SHARED = /^(schema|extension|grant schema) /;

/** Compares what each migration makes with what is there. */
export function standings(actual: Catalog, declared: Declared[]): Standing[] {
  const final = declared.at(-1)?.after ?? new Map();
  return declared.map(({ migration, after }, i) => {
    const before = declared[i - 1]?.after;
    const evidence = [...after].filter(([key, object]) =>
      final.has(key) && before?.get(key)?.definition !== object.definition
    ).map(([key]) => key);
    const lacking = evidence.filter((key) =>
      !declared.slice(i).some((later) =>
        later.after.get(key)?.definition === actual.get(key)?.definition
      )
    );
    const own = evidence.filter((key) => !SHARED.test(key));
    const absent = own.every((key) => before?.has(key) ? lacking.includes(key) : !actual.has(key));
    const state = evidence.length === 0
      ? "unprovable"
      : lacking.length === 0
      ? "there"
      : absent
      ? "absent"
      : "partly";
    return { migration, state, evidence: evidence.length, lacking };
  });
}
