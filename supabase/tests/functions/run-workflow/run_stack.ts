/** A stack without a model, and two people who run workflows on it. */

import { startStack, type TestUser } from "../../support/stack.ts";

export const stack = await startStack();
Deno.test.afterAll(() => stack.close());
export const ada = await stack.newUser();
export const eve = await stack.newUser();

/** An answer whose shape the test looks at. */
// deno-lint-ignore no-explicit-any
export type Json = any;

/** A request to run-workflow, as Ada unless somebody else is named. */
export async function call(
  path: string,
  json?: unknown,
  options: { as?: TestUser | "secret" | "cron" | "anon"; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: Json; headers: Headers }> {
  const response = await stack.fetch(`/functions/v1/run-workflow${path}`, {
    as: options.as ?? ada,
    ...(options.headers ? { headers: options.headers } : {}),
    ...(json === undefined ? {} : { json }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text,
  };
}
