/** People whose days look alike, what they send and what is learned about them. */

import assert from "node:assert/strict";
import type { TestStack, TestUser } from "../../support/stack.ts";

export const DAY = 86_400_000;
/** When the first of the days begins. */
export const START = Date.now() - 20 * DAY;

/** An event as it is sent. */
export interface Sent {
  event_id: string;
  session_id: string;
  event_type: string;
  module: string;
  page: string;
  target?: string;
  payload?: Record<string, unknown>;
  occurred_at: string;
}

/** One session: events 5 s apart from `at` on. */
export function session(at: number, events: Partial<Sent>[]): Sent[] {
  const session_id = crypto.randomUUID();
  return events.map((event, i) => ({
    event_id: crypto.randomUUID(),
    session_id,
    event_type: "click",
    module: "crm",
    page: "/leads",
    occurred_at: new Date(at + i * 5_000).toISOString(),
    ...event,
  }));
}

/** A day of somebody who opens a lead, notes a call and saves. */
export function routine(day: number, customer = `c-${day}`): Sent[] {
  const noise = ["help", "bell", "menu", "theme"][day % 4]!;
  return session(START + day * DAY, [
    { event_type: "navigation", page: "/home", module: "app" },
    { target: noise },
    { target: "#new-call", payload: { customer } },
    {
      event_type: "input",
      target: "#outcome",
      payload: { control: "outcome", choice: "reached", customer },
    },
    ...(day % 2 === 0 ? [{ target: "#bell" }] : []),
    {
      event_type: "form_submit",
      target: "call-form",
      payload: { form: "call-form", ok: true, customer },
    },
    { event_type: "navigation", page: "/leads" },
  ]);
}

/** Sends events in batches; none may be rejected. */
export async function send(stack: TestStack, user: TestUser, events: Sent[]): Promise<void> {
  for (let i = 0; i < events.length; i += 500) {
    const response = await stack.fetch("/functions/v1/track-event", {
      as: user,
      json: { events: events.slice(i, i + 500) },
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { rejected } = await response.json();
    assert.deepEqual(rejected, []);
  }
}

/** A request to learn-patterns: the answer, and its status as `http`. */
export async function post(
  stack: TestStack,
  path: string,
  as: TestUser | "cron" | "secret",
  json: unknown = {},
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const response = await stack.fetch(`/functions/v1/learn-patterns${path}`, { as, json });
  return { http: response.status, ...(await response.json()) };
}

/** What holds of a person now. */
// deno-lint-ignore no-explicit-any
export async function patterns(user: TestUser): Promise<any[]> {
  const { data, error } = await user.client.from("mira_learned_patterns").select("*")
    .is("valid_to", null).order("pattern_type").order("pattern_key");
  assert.equal(error, null);
  return data!;
}
