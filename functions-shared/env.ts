/** The one place that reads environment variables. */

import { Problem } from "./http/problem.ts";

/** The value of `name`, or undefined when it is unset or empty. */
export function optionalEnv(name: string): string | undefined {
  const value = Deno.env.get(name);
  return value === undefined || value === "" ? undefined : value;
}

/**
 * The value of `name`.
 *
 * @throws {Problem} 503 `not_configured`, naming the variable to set. The value is never shown.
 */
export function env(name: string): string {
  const value = optionalEnv(name);
  if (value === undefined) {
    throw new Problem(503, "not_configured", `The server needs the environment variable ${name}.`);
  }
  return value;
}
