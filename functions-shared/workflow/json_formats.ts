/**
 * The parts of JSON Schema that look at text: `format` and `pattern`.
 *
 * @module
 */

const FORMATS: Record<string, (text: string) => boolean> = {
  "date-time": (t) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(t) &&
    Number.isFinite(Date.parse(t)),
  date: (t) => /^\d{4}-\d\d-\d\d$/.test(t) && Number.isFinite(Date.parse(t)),
  time: (t) => /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?$/.test(t),
  email: (t) => t.length <= 254 && /^[^\s@]{1,64}@[^\s@.]{1,63}(?:\.[^\s@.]{1,63})+$/.test(t),
  uuid: (t) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(t),
  uri: (t) => URL.canParse(t),
  hostname: (t) => t.length <= 253 && /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(t),
};

/** True when `text` is of `format`. An unknown format holds, as the standard says. */
export function checkFormat(format: unknown, text: string): boolean {
  const check = typeof format === "string" && Object.hasOwn(FORMATS, format)
    ? FORMATS[format]
    : undefined;
  return check ? check(text) : true;
}

/** What a pattern may cost on text of {@link PATTERN_TEXT} characters: a few million steps, ~20 ms. */
const PATTERN_STEPS = 2 ** 23;

/** The longest text that a pattern is tried on, in UTF-16 units. */
export const PATTERN_TEXT = 2048;

/**
 * Compiles a pattern whose worst case is affordable, or returns undefined.
 *
 * A backtracking engine may try every combination of the choices a pattern offers. So the choices
 * are multiplied (`?` 2, `{m,n}` n-m+1, an unbounded repeat and an unanchored start one per
 * character, `|` 2) and the product is bounded. A repeated group multiplies its own choices with
 * themselves, hence none; nor back-references or look-around.
 */
export function safePattern(source: unknown): RegExp | undefined {
  if (typeof source !== "string" || source.length > 256) return undefined;
  const bare = source.replace(/\\[^1-9k]/g, "a").replace(/\[(?:[^\]\\]|\\.)*\]/g, "a");
  if (/\)[*+?{]|\(\?[^:]|\\/.test(bare)) return undefined;
  // an alternative may begin a match of its own, so the anchor must be outside all of them
  let steps = bare.startsWith("^") && !bare.includes("|") ? 1 : PATTERN_TEXT;
  for (const [quantifier, low, comma, high] of bare.matchAll(/[*+?|]|\{(\d+)(,?)(\d*)\}/g)) {
    if (quantifier === "?" || quantifier === "|") steps *= 2;
    else if (quantifier === "*" || quantifier === "+" || (comma && !high)) steps *= PATTERN_TEXT;
    else if (high) steps *= Number(high) - Number(low) + 1;
  }
  if (steps > PATTERN_STEPS) return undefined;
  try {
    return new RegExp(source, "u");
  } catch {
    return undefined;
  }
}
