/**
 * The project's own secret keys.
 *
 * @module
 */

/** The key called `name` in `SUPABASE_SECRET_KEYS`, a JSON map, or undefined. */
export function secretKey(
  read: (name: string) => string | undefined,
  name: string,
): string | undefined {
  try {
    const keys = JSON.parse(read("SUPABASE_SECRET_KEYS") ?? "{}") as Record<string, string>;
    return Object.hasOwn(keys, name) ? keys[name] : undefined;
  } catch {
    return undefined;
  }
}
