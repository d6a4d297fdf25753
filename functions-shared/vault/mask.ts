/** What people see of a secret. */

/** The last four characters when that leaves at least sixteen unknown, else none. */
export function mask(secret: string): string {
  return secret.length >= 20 ? `****${secret.slice(-4)}` : "****";
}
