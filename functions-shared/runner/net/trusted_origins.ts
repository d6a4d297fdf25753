/**
 * Origins that the operator vouches for.
 *
 * @module
 */

/**
 * `MIRA_HTTP_TRUSTED_ORIGINS`: origins such as `http://127.0.0.1:11434`, separated by commas, that
 * may be reached without https and at private addresses. For services on the own machine or network.
 */
export function trustedOrigins(read: (name: string) => string | undefined): string[] {
  return (read("MIRA_HTTP_TRUSTED_ORIGINS") ?? "").split(/[\s,]+/).filter(Boolean);
}
