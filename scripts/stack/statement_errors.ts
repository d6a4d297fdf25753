/** What the Data API says of a statement that failed: PostgREST's status to the client, a line to the log. */

import type { Connection } from "@supabase/lite";
import { redactText } from "../../functions-shared/observe/redact.ts";

interface StatementError {
  code?: string;
  message?: string;
  detail?: string | null;
  hint?: string | null;
}

/** States that `@supabase/lite` answers as PostgREST does. */
const KNOWN = /^(PT|PGRST|42|22|21|55|2350[235]|25006)/;

/**
 * Statuses of the states it would call 500 without naming them; every other state is the client's
 * doing, 400. Source: docs.postgrest.org, "Errors", "PostgreSQL errors".
 */
const STATUSES: [state: RegExp, status: number][] = [
  [/^(08|53(?!400)|57P01)/, 503],
  [/^(0L|0P|28)/, 403],
  [/^P0001/, 400],
  [/^(09|25|2D|38|39|3B|40|53|54|57|58|F0|HV|P0|XX)/, 500],
];

/**
 * Two ways in which lite differs from a hosted project. It knows few states: a failed check constraint
 * would be a 500 without its code. And it prints each error as it came, with the statement and the
 * values that the drivers hang on it: here it prints one line that holds nothing a client sent.
 */
export function answerAsPostgrest(connection: Connection): void {
  const normal = connection.normalizeDbError.bind(connection);
  connection.normalizeDbError = (error: unknown) => {
    const known = normal(error);
    if (!(known instanceof Error)) return known;
    const { code, message, detail, hint } = known as StatementError;
    const line = `Data API: ${code ?? "error"} ${redactText(message ?? "")}`;
    const isNamed = /^[0-9A-Z]{5}$/.test(code ?? "") && !KNOWN.test(code!);
    return Object.defineProperty(
      isNamed ? raised(code!, message, detail, hint) : known,
      Symbol.for("Deno.customInspect"),
      { value: () => line, configurable: true },
    );
  };
}

/** The error in the form in which a function may raise any status (PostgREST, "RAISE errors with HTTP status codes"). */
function raised(code: string, message = "", detail?: string | null, hint?: string | null): Error {
  const status = STATUSES.find(([state]) => state.test(code))?.[1] ?? 400;
  return Object.assign(new Error(JSON.stringify({ code, message, details: detail, hint })), {
    code: "PGRST",
    detail: JSON.stringify({ status, headers: {} }),
  });
}
