/**
 * Redaction: removes what must never be stored or logged, by the name of its key and by the shape
 * of its value.
 *
 * Shapes: JSON web tokens, PEM blocks, well-known key prefixes (OpenAI, GitHub, Google, AWS, Slack,
 * Stripe, Supabase), bearer and basic credentials, passwords in URLs, payment card numbers (Luhn).
 * Every expression is linear: no nested quantifiers, so hostile input cannot stall it.
 */

/** What stands in the place of a removed value. */
export const REDACTED = "[redacted]";

/** The words of `private.secret_key_words()`; those that are captured only where a word begins. */
const SECRET_KEY =
  /(?:pass(?:word|wd|phrase|code)|secret|token|(?:api|access|private)[-_.]?key|authorization|cookie|credentials?|(pass|jwt|cvv|cvc|ssn|pin|otp|card[-_.]?number|iban))$/i;
/** After a separator, or a capital after a small letter. */
const WORD_BEGINS = /^(?:[-_.]|[a-z0-9](?=[A-Z]))/;

const SECRET_SHAPES: RegExp[] = [
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
  /-----BEGIN [A-Z ]{1,40}-----[^-]*(-----END [A-Z ]{1,40}-----)?/g,
  /\bsk-[A-Za-z0-9_-]{16,}/g,
  /\b(sk|pk|rk)_(live|test)_[A-Za-z0-9]{10,}/g,
  /\bsb_secret_[A-Za-z0-9_-]{6,}/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,}/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,}/g,
  /\bya29\.[A-Za-z0-9_-]{10,}/g,
  /\b1\/\/[A-Za-z0-9_-]{20,}/g,
  /\bAIza[A-Za-z0-9_-]{30,}/g,
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bxox[abposr]-[A-Za-z0-9-]{10,}/g,
  /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{12,}/gi,
];

const URL_PASSWORD = /([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/:@]{1,256}:[^\s/@]{1,256}@/gi;
const CARD_LIKE = /\b\d(?:[ -]?\d){12,18}\b/g;

/** Whether a key's name (snake_case, kebab-case or camelCase) says that its value is secret. */
export function isSecretKey(key: string): boolean {
  const found = key.length > 200 ? null : SECRET_KEY.exec(key);
  if (found?.[1] === undefined || found.index === 0) return found !== null;
  return WORD_BEGINS.test(key.slice(found.index - 1));
}

/** `text` with everything that looks like a secret or a card number replaced. */
export function redactText(text: string): string {
  let out = text;
  for (const shape of SECRET_SHAPES) out = out.replace(shape, REDACTED);
  out = out.replace(URL_PASSWORD, `$1${REDACTED}@`);
  return out.replace(CARD_LIKE, (run) => isCardNumber(run) ? REDACTED : run);
}

/**
 * A deep copy of a JSON value without secrets.
 *
 * Strings are cleaned by shape, values of secret-looking keys are replaced whole, keys are cleaned
 * as well. Nothing else changes; depth beyond 64 is replaced.
 */
export function redact<T>(value: T, depth = 0): T {
  if (typeof value === "string") return redactText(value) as T;
  if (typeof value === "number") {
    return (Number.isSafeInteger(value) && isCardNumber(String(value)) ? REDACTED : value) as T;
  }
  if (value === null || typeof value !== "object") return value;
  if (depth > 64) return REDACTED as T;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1)) as T;
  const out: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const secret = isSecretKey(key) && item !== null && item !== "" && typeof item !== "boolean";
    Object.defineProperty(out, redactText(key), {
      value: secret ? REDACTED : redact(item, depth + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return out as T;
}

/** Luhn check over 13 to 19 digits with a card network's first digit (ISO/IEC 7812-1, annex B). */
function isCardNumber(run: string): boolean {
  const digits = run.replace(/[ -]/g, "");
  if (digits.length < 13 || digits.length > 19 || !/^[2-6]/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
