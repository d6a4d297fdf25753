/** SQLSTATE to HTTP: what the database refused, in words that show no SQL. */

import { Problem } from "../http/problem.ts";

/** The Data API's error body. */
export interface SqlError {
  code?: string;
  message: string;
  details?: string | null;
  hint?: string | null;
}

const RETRY = { headers: { "retry-after": "1" } };

/**
 * - `PT<status>`: raised by Mira's own SQL; message is the code, details the sentence, and a hint
 *   that starts with `/` the JSON pointer of the field.
 * - integrity and data errors: 409 or 422 without the value.
 * - time-outs, overload, lost connections: 503 with Retry-After.
 * - anything else: 500, its cause only logged.
 */
export function problemFromSql(error: SqlError): Problem {
  // an aborted fetch brings the number of its DOMException along, which is no SQLSTATE
  const state = /^\d{1,2}$/.test(error.code ?? "") ? "" : error.code ?? "";
  const cause = new Error(`${state} ${error.message} ${error.details ?? ""}`.trim());
  const raised = /^PT([45]\d\d)$/.exec(state);
  if (raised) {
    const detail = error.details || error.message;
    const pointer = error.hint?.startsWith("/") ? error.hint : undefined;
    return new Problem(Number(raised[1]), error.message, detail, {
      ...(pointer ? { errors: [{ pointer, code: error.message, detail }] } : {}),
      ...(raised[1] === "429" ? { headers: { "retry-after": "5" } } : {}),
      cause,
    });
  }
  if (state === "23505") {
    return new Problem(409, "already_exists", "This exists already.", { cause });
  }
  if (state === "23503") {
    return new Problem(422, "reference_not_found", "Something this refers to does not exist.", {
      cause,
    });
  }
  if (state === "42501") return new Problem(403, "not_allowed", "This is not allowed.", { cause });
  if (state === "22P05") {
    return new Problem(422, "nul_character", "Text may not contain the NUL character.", { cause });
  }
  if (/^(22|23)/.test(state)) {
    return new Problem(422, "invalid_value", "A value does not fit its rule.", { cause });
  }
  if (state === "57014") {
    return new Problem(503, "database_timeout", "The database took too long.", { ...RETRY, cause });
  }
  if (
    /^(08|40|53|55|57|PGRST00)/.test(state) || (/^(SUP)?$/.test(state) && isNetwork(error.message))
  ) {
    return new Problem(503, "database_unavailable", "The database is not ready; try again.", {
      ...RETRY,
      cause,
    });
  }
  return new Problem(500, "internal_error", "Something went wrong on our side.", { cause });
}

/** supabase-js reports a failed fetch as an error without a code, `@supabase/lite` as SUP. */
function isNetwork(message: string): boolean {
  return /fetch|network|connection|socket|timed? ?out|sending request|reset|ECONN/i.test(message);
}
