/** One statement of a SQL script. */
export interface Statement {
  /** The text, comments in front of it included, without the closing semicolon. */
  text: string;
  /** The line (from 1) on which the statement itself begins, comments skipped. */
  line: number;
}

/**
 * Splits a SQL script at the semicolons that end statements: those outside quotes, dollar quotes,
 * comments, parentheses and `begin atomic … end` bodies. Comments stay with the statement they
 * precede, as the Supabase CLI records them; a script of comments alone has no statements.
 *
 * @example
 * ```ts
 * splitStatements("select ';'; select 2").map((s) => s.text); // ["select ';'", "select 2"]
 * ```
 */
export function splitStatements(sql: string): Statement[] {
  const found: Statement[] = [];
  let start = 0; // where the current statement's text begins
  let first = -1; // where its first token outside comments begins
  let depth = 0; // open parentheses
  let atomic = 0; // open begin atomic / case blocks
  let previous = ""; // the word before, for `begin atomic`
  let i = 0;

  const finish = (end: number) => {
    if (first >= 0) {
      const text = sql.slice(start, end).trim();
      found.push({ text, line: sql.slice(0, first).split("\n").length });
    }
    first = -1;
    atomic = 0;
    depth = 0;
    previous = "";
  };

  while (i < sql.length) {
    const c = sql[i]!;
    if (/\s/.test(c)) {
      i++;
      continue;
    }
    if (sql.startsWith("--", i)) {
      const end = sql.indexOf("\n", i);
      i = end < 0 ? sql.length : end + 1;
      continue;
    }
    if (sql.startsWith("/*", i)) {
      i = skipBlockComment(sql, i);
      continue;
    }
    if (c === ";" && depth === 0 && atomic === 0) {
      finish(i);
      start = ++i;
      continue;
    }
    if (first < 0) first = i;
    if (c === "'") {
      const escapes = /(^|[^\p{L}\p{N}_$])e$/iu.test(sql.slice(Math.max(0, i - 2), i));
      i = skipQuoted(sql, i, "'", escapes);
    } else if (c === '"') {
      i = skipQuoted(sql, i, '"', false);
    } else if (c === "$") {
      i = skipDollarQuoted(sql, i);
    } else if (/[\p{L}_]/u.test(c)) {
      const word = /^[\p{L}\p{N}_$]+/u.exec(sql.slice(i, i + 128))![0];
      const lower = word.toLowerCase();
      if (lower === "atomic" && previous === "begin") atomic = 1;
      else if (atomic > 0 && lower === "case") atomic++;
      else if (atomic > 0 && lower === "end") atomic--;
      previous = lower;
      i += word.length;
    } else {
      if (c === "(") depth++;
      if (c === ")") depth = Math.max(0, depth - 1);
      i++;
    }
  }
  finish(sql.length);
  return found;
}

/** The index after a (nesting) block comment that opens at `i`. */
function skipBlockComment(sql: string, i: number): number {
  let open = 0;
  do {
    if (sql.startsWith("/*", i)) {
      open++;
      i += 2;
    } else if (sql.startsWith("*/", i)) {
      open--;
      i += 2;
    } else i++;
  } while (open > 0 && i < sql.length);
  return i;
}

/** The index after a quoted piece that opens at `i`; a doubled quote stands for itself. */
function skipQuoted(sql: string, i: number, quote: string, escapes: boolean): number {
  for (i++; i < sql.length; i++) {
    if (escapes && sql[i] === "\\") i++;
    else if (sql[i] === quote) {
      if (sql[i + 1] !== quote) return i + 1;
      i++;
    }
  }
  return i;
}

/** The index after a dollar-quoted piece that opens at `i`, or after the dollar sign alone. */
function skipDollarQuoted(sql: string, i: number): number {
  const tag = /^\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/u.exec(sql.slice(i, i + 128))?.[0];
  if (tag === undefined) return i + 1;
  const end = sql.indexOf(tag, i + tag.length);
  return end < 0 ? sql.length : end + tag.length;
}
