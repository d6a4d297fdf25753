/** A stack that remembers, and short ways to record and to recall on it. */

import { ok } from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

export const stack = await startStack();
Deno.test.afterAll(() => stack.close());

export const PATH = "/functions/v1/find-patterns";
/** What was done. */
const STEPS = [{ tool: "Read", outcome: "success" }, { tool: "Edit" }, { tool: "Bash" }];
/** A deed worth recalling. */
export const pattern = (change: Record<string, unknown> = {}) => ({
  trigger: "Deploy the API to staging",
  context: { directory: "/home/dev/api", project_type: "typescript-api", branch: "main" },
  actions: STEPS,
  final_outcome: "success",
  ...change,
});
type As = TestUser | "secret" | "cron" | "anon";
/** A request to find-patterns. */
export const post = async (
  as: As,
  path: string,
  json: unknown,
  headers: Record<string, string> = {},
) => {
  const response = await stack.fetch(PATH + path, { as, json, headers });
  return { status: response.status, body: await response.json(), headers: response.headers };
};
export const record = (as: As, change: Record<string, unknown> = {}) =>
  post(as, "/record", pattern(change));
export const find = (as: As, json: unknown, headers = {}) => post(as, "", json, headers);
export const triggers = (answer: { body: { patterns: { trigger: string }[] } }) =>
  answer.body.patterns.map((found) => found.trigger);
/** A vector in a direction of its own; `lean` tilts it towards the next one. */
export const vector = (axis: number, lean = 0, dimensions = 1536) =>
  Array.from(
    { length: dimensions },
    (_, i) => Math.cos(axis * 12.9898 + i * 0.7 * (axis + 1)) + lean * Math.sin(i * 3.1),
  );
export const eventually = async (check: () => Promise<boolean>) => {
  for (let i = 0; i < 100; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ok(await check(), "did not become true within 5 s");
};
