/** A stack, two people, and short ways to write and read their record. */

import assert from "node:assert/strict";
import { startStack, type TestUser } from "../../support/stack.ts";

export const stack = await startStack();
Deno.test.afterAll(() => stack.close());
export const [ann, ben] = await Promise.all([stack.newUser(), stack.newUser()]);
export const BASE = "/functions/v1/log-execution";

export const post = (path: string, json: unknown, as: TestUser | "secret" = ann, headers = {}) =>
  stack.fetch(BASE + path, { method: "POST", as, json, headers });
export const patch = (path: string, json: unknown, as: TestUser | "secret" = ann) =>
  stack.fetch(BASE + path, { method: "PATCH", as, json });
export const get = async (path: string, as: TestUser | "secret" = ann) => {
  const response = await stack.fetch(BASE + path, { as });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
};
/** Reads a refusal: its status, its code, its problem. */
export const refused = async (response: Response, status: number, code: string) => {
  const body = await response.json();
  assert.equal(response.status, status, JSON.stringify(body));
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(body.code, code);
  return body;
};
/** A line of a task. */
export const log = (task_id: string, message: string, more = {}) => ({
  task_id,
  agent_type: "worker",
  level: "info",
  message,
  ...more,
});
